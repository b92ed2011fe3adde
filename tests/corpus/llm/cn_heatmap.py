import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

sns.set(font='SimHei', style='white')
plt.rcParams['font.sans-serif'] = ['SimHei']
plt.rcParams['axes.unicode_minus'] = False

np.random.seed(1)
城市 = ['北京', '上海', '广州', '深圳', '成都']
指标 = ['人口', '产值', '房价', '绿化', '交通']
df = pd.DataFrame(np.random.randn(5, 5), index=城市, columns=指标)

plt.figure(figsize=(8, 6))
sns.heatmap(df, annot=True, fmt='.2f', cmap='RdYlGn', center=0, linewidths=0.5)
plt.title('城市指标热力图（标准化）')
plt.savefig('heatmap.png', dpi=90, bbox_inches='tight')
plt.close()
print(df.round(2).to_string())
