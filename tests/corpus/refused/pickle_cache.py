"""Results cached by pickle."""
import pickle

data = {"a": [1, 2, 3], "b": (4, 5)}
with open("cache.pkl", "wb") as f:
    pickle.dump(data, f)
with open("cache.pkl", "rb") as f:
    print(pickle.load(f) == data)
