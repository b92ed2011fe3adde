"""KeyboardInterrupt raised by the script itself."""
print("one")
raise KeyboardInterrupt
