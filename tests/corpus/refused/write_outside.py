"""Writing next to the system's files."""
with open("/var/tmp/warmfork_corpus_probe.txt", "w") as f:
    f.write("x")
import os

os.remove("/var/tmp/warmfork_corpus_probe.txt")
print("written outside")
