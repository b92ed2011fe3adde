"""A module that is not installed anywhere."""
print("start")
import not_a_module_anywhere
