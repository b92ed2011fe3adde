"""Data from a data: URL through urllib.request; no network is touched."""
import urllib.request

with urllib.request.urlopen("data:text/plain,hello") as response:
    print(response.read().decode())
