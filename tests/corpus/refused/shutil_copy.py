"""Copying and removing a tree."""
import os
import shutil

os.makedirs("a/b")
open("a/b/c.txt", "w").close()
shutil.copytree("a", "d")
shutil.rmtree("a")
print(sorted(os.listdir("d/b")), os.path.exists("a"))
