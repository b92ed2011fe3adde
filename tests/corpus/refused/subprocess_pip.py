"""Installing a package first, as language models like to."""
import subprocess
import sys

completed = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True)
print(completed.stdout.strip())
