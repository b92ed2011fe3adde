"""eval of a formula."""
formula = "x ** 2 + 1"
print([eval(formula, {"x": x}) for x in range(3)])
