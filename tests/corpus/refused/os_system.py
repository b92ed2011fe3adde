"""A shell command."""
import os

print("code", os.system("true"))
