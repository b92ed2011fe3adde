import matplotlib.pyplot as plt
import numpy as np

plt.rcParams['font.sans-serif'] = ['KaiTi', 'SimSun', 'sans-serif']
plt.rcParams['axes.unicode_minus'] = False

年龄 = ['0-14', '15-29', '30-44', '45-59', '60-74', '75+']
男 = np.array([9.2, 9.8, 11.9, 12.1, 6.9, 2.1])
女 = np.array([8.1, 8.7, 11.3, 11.9, 7.1, 2.8])

fig, ax = plt.subplots(figsize=(9, 5))
ax.barh(年龄, -男, color='steelblue', label='男性')
ax.barh(年龄, 女, color='salmon', label='女性')
ax.set_xlim(-15, 15)
ax.set_xlabel('占总人口比例（%）')
ax.set_title('人口金字塔')
for y, (m, f) in enumerate(zip(男, 女)):
    ax.text(-m - 0.2, y, f'{m}%', ha='right', va='center')
    ax.text(f + 0.2, y, f'{f}%', ha='left', va='center')
ax.legend()
plt.tight_layout()
plt.savefig('pyramid.png', dpi=100)
print('男女合计：', round(float(男.sum() + 女.sum()), 2))
