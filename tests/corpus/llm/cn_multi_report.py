import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

plt.rcParams.update({
    'font.sans-serif': ['Source Han Sans SC', 'Noto Sans CJK SC', 'SimHei'],
    'axes.unicode_minus': False,
    'figure.dpi': 90,
    'savefig.dpi': 110,
})

原始数据 = """地区,年份,产量
华北,2020,310
华北,2021,325
华北,2022,341
华东,2020,412
华东,2021,430
华东,2022,418
西南,2020,208
西南,2021,231
西南,2022,257"""
with open('产量.csv', 'w', encoding='utf-8') as f:
    f.write(原始数据)

df = pd.read_csv('产量.csv')
透视 = df.pivot(index='年份', columns='地区', values='产量')
透视['合计'] = 透视.sum(axis=1)

# 图1：堆叠柱状图
透视.drop(columns='合计').plot(kind='bar', stacked=True, figsize=(8, 5), rot=0)
plt.title('图1 各地区产量')
plt.ylabel('产量（万吨）')
plt.savefig('图1.png')
plt.close()

# 图2：增长率
增长 = 透视.pct_change().dropna() * 100
ax = 增长.plot(kind='line', marker='o', figsize=(8, 5))
ax.set_title('图2 同比增长率')
ax.set_xticks(增长.index)
ax.axhline(0, color='k', lw=0.5)
plt.savefig('图2.png')
plt.close()

# 图3：面积图保持打开
透视[['华北', '华东', '西南']].plot.area(alpha=0.6, figsize=(8, 5))
plt.title('图3 产量面积图')

print(透视.to_string())
print('各地区平均产量：', {k: round(v, 1) for k, v in df.groupby('地区')['产量'].mean().items()})
