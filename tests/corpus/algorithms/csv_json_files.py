"""Files in the working directory: csv, json, pathlib, glob, zip, configparser."""
import configparser
import csv
import glob
import gzip
import json
import os
import zipfile
from pathlib import Path

rows = [{"name": "Zoë", "score": 9.5}, {"name": 'say "hi", ok', "score": 7}]
with open("scores.csv", "w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, fieldnames=["name", "score"])
    writer.writeheader()
    writer.writerows(rows)
with open("scores.csv", newline="", encoding="utf-8") as file:
    print(list(csv.DictReader(file)))
Path("out/deep").mkdir(parents=True)
(Path("out") / "deep" / "data.json").write_text(json.dumps(rows, ensure_ascii=False, sort_keys=True), encoding="utf-8")
print(json.loads(Path("out/deep/data.json").read_text(encoding="utf-8"))[0]["name"])
with gzip.open("text.gz", "wt", encoding="utf-8") as file:
    file.write("line\n" * 1000)
with zipfile.ZipFile("all.zip", "w") as archive:
    archive.write("scores.csv")
    archive.writestr("readme.txt", "made here")
print(zipfile.ZipFile("all.zip").namelist(), sum(1 for _ in gzip.open("text.gz")))
parser = configparser.ConfigParser()
parser.read_string("[main]\nsize = 3\nname = x\n[other]\nflag = yes\n")
print(parser.getint("main", "size"), parser.getboolean("other", "flag"), parser.sections())
os.rename("text.gz", "moved.gz")
os.remove("all.zip")
print(sorted(glob.glob("**/*.*", recursive=True)), os.path.splitext("a/b.tar.gz"))
with open("raw.bin", "wb+") as file:
    file.write(bytes(range(16)))
    file.seek(4)
    print(file.read(4).hex())
try:
    open("absent.txt")
except FileNotFoundError as error:
    print(error.strerror, error.filename)
