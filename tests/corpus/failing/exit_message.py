"""sys.exit with a text: printed to stderr, code 1."""
import sys

print("checking")
sys.exit("nothing to do")
