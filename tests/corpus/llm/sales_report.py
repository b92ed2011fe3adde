import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")

# Set plot style
plt.style.use("ggplot")
plt.rcParams["figure.figsize"] = (12, 6)
plt.rcParams["font.size"] = 11


def create_data():
    """Create the sales data."""
    data = {
        "Month": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        "Revenue": [120, 135, 148, 162, 158, 171, 190, 205, 198, 214, 229, 251],
        "Cost": [80, 88, 95, 101, 99, 108, 115, 122, 120, 128, 135, 146],
    }
    return pd.DataFrame(data)


def main():
    try:
        df = create_data()
        df["Profit"] = df["Revenue"] - df["Cost"]
        df["Margin"] = (df["Profit"] / df["Revenue"] * 100).round(2)

        fig, ax1 = plt.subplots()
        x = np.arange(len(df))
        ax1.bar(x - 0.2, df["Revenue"], 0.4, label="Revenue", color="#3498db")
        ax1.bar(x + 0.2, df["Cost"], 0.4, label="Cost", color="#e74c3c")
        ax1.set_xticks(x)
        ax1.set_xticklabels(df["Month"])
        ax1.set_ylabel("Amount (10k USD)")
        ax2 = ax1.twinx()
        ax2.plot(x, df["Margin"], color="#2ecc71", marker="o", label="Margin (%)")
        ax2.set_ylabel("Margin (%)")
        lines1, labels1 = ax1.get_legend_handles_labels()
        lines2, labels2 = ax2.get_legend_handles_labels()
        ax1.legend(lines1 + lines2, labels1 + labels2, loc="upper left")
        plt.title("Monthly Revenue, Cost and Margin", fontsize=14, fontweight="bold")
        plt.tight_layout()
        plt.savefig("sales_report.png", dpi=150, bbox_inches="tight")
        plt.close()

        print("=" * 40)
        print("Sales summary")
        print("=" * 40)
        print(f"Total revenue: {df['Revenue'].sum():,}")
        print(f"Total profit:  {df['Profit'].sum():,}")
        print(f"Best month:    {df.loc[df['Profit'].idxmax(), 'Month']}")
        print(df.to_string(index=False))
        print("Chart saved to sales_report.png")
    except Exception as e:
        print(f"Error: {e}")
        raise


if __name__ == "__main__":
    main()
