"""A scratch file by tempfile."""
import os
import tempfile

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "x.txt")
    with open(path, "w") as f:
        f.write("scratch")
    print(os.path.getsize(path))
print(os.path.exists(path))
