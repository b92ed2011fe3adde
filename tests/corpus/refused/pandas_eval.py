"""pd.eval with a text."""
import pandas as pd

a = pd.Series([1, 2, 3])
b = pd.Series([10, 20, 30])
print(pd.eval("a + b * 2").tolist())
