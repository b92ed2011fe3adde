# -*- coding: utf-8 -*-
import warnings
warnings.filterwarnings('ignore')
import matplotlib.pyplot as plt
import pandas as pd

# 设置中文字体
plt.rcParams['font.sans-serif'] = ['SimHei', 'Microsoft YaHei', 'DejaVu Sans']
plt.rcParams['axes.unicode_minus'] = False

# 数据
数据 = {
    '月份': ['1月', '2月', '3月', '4月', '5月', '6月'],
    '销售额': [120.5, 98.2, 143.7, 156.3, 149.9, 178.4],
    '利润': [22.1, -5.3, 28.9, 33.0, 30.2, 41.7],
}
df = pd.DataFrame(数据)

fig, ax = plt.subplots(figsize=(10, 6))
ax.plot(df['月份'], df['销售额'], marker='o', label='销售额（万元）')
ax.plot(df['月份'], df['利润'], marker='s', label='利润（万元）')
ax.axhline(0, color='gray', linewidth=0.8)
ax.set_title('2023年上半年销售额与利润变化趋势', fontsize=16)
ax.set_xlabel('月份')
ax.set_ylabel('金额（万元）')
ax.legend()
ax.grid(True, linestyle='--', alpha=0.6)
plt.tight_layout()
plt.savefig('销售趋势.png', dpi=100)
plt.show()

print("销售额合计：%.1f 万元" % df['销售额'].sum())
print("利润最高的月份：", df.loc[df['利润'].idxmax(), '月份'])
