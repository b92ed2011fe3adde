"""Defensive code as language models like it: every library guarded, every step reported."""
import sys

try:
    import matplotlib.pyplot as plt
    HAS_MPL = True
except ImportError as e:
    HAS_MPL = False
    print(f"matplotlib missing: {e}")

try:
    import plotly_that_is_not_installed  # noqa: F401
    HAS_PLOTLY = True
except ImportError:
    HAS_PLOTLY = False
    print("plotly not available, using matplotlib instead")

try:
    import pandas as pd
except ImportError:
    print("pandas missing")
    sys.exit(1)


def safe_divide(a, b):
    try:
        return a / b
    except ZeroDivisionError:
        print(f"Warning: division by zero for {a}")
        return 0.0
    finally:
        pass


def validate(df):
    required = {"name", "value", "total"}
    missing = required - set(df.columns)
    if missing:
        raise ValueError(f"missing columns: {sorted(missing)}")
    return True


def main():
    df = pd.DataFrame({"name": list("ABCD"), "value": [10, 20, 0, 5], "total": [100, 0, 50, 20]})
    try:
        validate(df.drop(columns=["total"]))
    except ValueError as error:
        print("Validation failed:", error)
    print("Validation passed:", validate(df))
    df["ratio"] = [safe_divide(v, t) for v, t in zip(df["value"], df["total"])]
    if HAS_MPL:
        try:
            fig, ax = plt.subplots(figsize=(6, 4))
            ax.bar(df["name"], df["ratio"])
            ax.set_title("Ratio")
            plt.savefig("ratio.png", dpi=100)
        except Exception as e:
            print("plot failed", e)
        finally:
            plt.close("all")
    print(df.to_dict("records"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
