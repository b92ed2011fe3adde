"""A missing column, as language models often meet it."""
import pandas as pd

df = pd.DataFrame({"sales": [1, 2], "cost": [1, 1]})
print(df.columns.tolist())
df["profit"] = df["revenue"] - df["cost"]
