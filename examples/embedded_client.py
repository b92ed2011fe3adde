"""A private daemon for one block: variables and a file in, output, charts and a file out."""

from pathlib import Path
from tempfile import mkdtemp

from warmfork import embedded

CODE = """
import pandas as pd

table = pd.read_csv("sales.csv")
table["total"] = table["units"] * price
table.to_json("totals.json", orient="records")
table.plot.bar(x="product", y="total", title=title, legend=False)
print(table.to_string(index=False))
"""

with embedded(workers=1) as client:
    result = client.execute(
        CODE,
        variables={"price": 2.5, "title": "Sales 销售额"},
        files={"sales.csv": b"product,units\npen,12\nbook,7\n"},
        timeout_s=20,
        memory_bytes=512 << 20,
        formats=("png", "svg"),
    )

print(result.verdict)
print(result.stdout, end="")
out = Path(mkdtemp(prefix="warmfork-example-"))
for chart in result.charts:
    print(chart.media_type, chart.width_px, "x", chart.height_px, chart.title, len(chart.data) > 0)
    chart.save(out / f"chart-{chart.index}.{'svg' if 'svg' in chart.media_type else 'png'}")
print("files:", {name: data.decode() for name, data in result.files.items()})
print(f"ran {result.usage.wall_s:.2f} s, waited {result.usage.queue_s:.2f} s; saved below {out}")
