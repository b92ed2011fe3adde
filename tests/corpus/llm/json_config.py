import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import matplotlib.pyplot as plt

TEXT = """
The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs.
A fox is quick, a dog is lazy, and the forest is quiet.
"""

config = {"top_n": 6, "stopwords": ["the", "a", "is", "and"], "output": {"file": "words.png", "dpi": 80}}
Path("config.json").write_text(json.dumps(config, indent=2))

with open("config.json", "r", encoding="utf-8") as f:
    cfg = json.load(f)

words = re.findall(r"[a-z]+", TEXT.lower())
counts = Counter(w for w in words if w not in cfg["stopwords"])
by_length = defaultdict(list)
for w in counts:
    by_length[len(w)].append(w)

top = counts.most_common(cfg["top_n"])
labels, values = zip(*top)
fig, ax = plt.subplots(figsize=(8, 4))
ax.barh(labels[::-1], values[::-1], color="teal")
ax.set_title(f"Top {cfg['top_n']} words")
fig.savefig(cfg["output"]["file"], dpi=cfg["output"]["dpi"])

print(json.dumps({"total": len(words), "unique": len(counts), "top": top}, ensure_ascii=False))
print({k: sorted(v) for k, v in sorted(by_length.items())})
