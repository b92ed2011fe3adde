"""Reading a system file."""
with open("/etc/passwd") as f:
    print("root" in f.read())
