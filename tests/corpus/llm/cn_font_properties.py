import os
import matplotlib.pyplot as plt
from matplotlib.font_manager import FontProperties, findfont

# 尝试加载字体
字体 = FontProperties(family='WenQuanYi Zen Hei', size=12)
路径 = findfont(字体)
print('找到字体:', bool(路径) and os.path.splitext(路径)[1] in ('.otf', '.ttf', '.ttc'))

fig, ax = plt.subplots(figsize=(7, 4))
ax.bar(['甲', '乙', '丙'], [3, 7, 5])
ax.set_title('三个方案的比较', fontproperties=字体)
ax.set_xlabel('方案', fontproperties=字体)
ax.set_ylabel('得分', fontproperties=字体)
for label in ax.get_xticklabels():
    label.set_fontproperties(字体)
plt.show()
