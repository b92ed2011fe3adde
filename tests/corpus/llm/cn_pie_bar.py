import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["font.family"] = ["Noto Sans CJK SC"]
plt.rcParams["axes.unicode_minus"] = False

类别 = ["电子产品", "服装", "食品", "图书", "家居"]
占比 = [35, 25, 20, 8, 12]
同比 = [12.5, -3.2, 6.8, -8.1, 4.4]

fig, axes = plt.subplots(1, 2, figsize=(14, 6))
axes[0].pie(占比, labels=类别, autopct="%1.1f%%", startangle=90, explode=[0.05] + [0] * 4)
axes[0].set_title("各品类销售占比")
颜色 = ["#2ecc71" if v >= 0 else "#e74c3c" for v in 同比]
bars = axes[1].bar(类别, 同比, color=颜色)
for bar, v in zip(bars, 同比):
    axes[1].text(bar.get_x() + bar.get_width() / 2, v, f"{v:+.1f}%", ha="center", va="bottom" if v > 0 else "top")
axes[1].set_title("同比增长率")
axes[1].set_ylabel("增长率（%）")
plt.suptitle("年度品类分析", fontsize=18)
plt.tight_layout()
plt.show()
print(dict(zip(类别, 占比)), "最大:", 类别[int(np.argmax(占比))])
