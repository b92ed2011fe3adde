import matplotlib.pyplot as plt
import numpy as np

plt.style.use('seaborn-v0_8')
plt.rcParams['font.sans-serif'] = ['Microsoft YaHei']
plt.rcParams['axes.unicode_minus'] = False
rng = np.random.default_rng(6)
组别 = ['对照组', '实验组一', '实验组二']
数据 = [rng.normal(50 + 5 * k, 6, 40) for k in range(3)]
fig, ax = plt.subplots(figsize=(7, 5))
ax.boxplot(数据)
ax.set_xticks([1, 2, 3], 组别)
ax.set_title('不同组别得分分布')
plt.savefig('box.png')
print([round(float(d.mean()), 2) for d in 数据])
