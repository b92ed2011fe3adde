"""A data file that does not exist."""
import pandas as pd

df = pd.read_csv("data_that_is_not_there.csv")
