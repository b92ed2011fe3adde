import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager

# 检查可用字体
候选 = ['PingFang SC', 'WenQuanYi Micro Hei', 'Microsoft YaHei', 'SimHei', 'Source Han Sans SC']
可用 = {f.name for f in font_manager.fontManager.ttflist}
字体 = next((name for name in 候选 if name in 可用), None)
print("有中文字体:", 字体 is not None)
if 字体:
    plt.rcParams['font.sans-serif'] = [字体] + plt.rcParams['font.sans-serif']
plt.rcParams['axes.unicode_minus'] = False

labels = np.array(['沟通能力', '专业技能', '团队合作', '创新能力', '执行力'])
scores = np.array([85, 92, 78, 88, 95])
angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False)
scores_c = np.concatenate((scores, [scores[0]]))
angles_c = np.concatenate((angles, [angles[0]]))

fig = plt.figure(figsize=(6, 6))
ax = fig.add_subplot(111, polar=True)
ax.plot(angles_c, scores_c, 'o-', linewidth=2)
ax.fill(angles_c, scores_c, alpha=0.25)
ax.set_thetagrids(angles * 180 / np.pi, labels)
ax.set_title('员工能力雷达图', pad=20)
plt.show()
print(f"平均分：{scores.mean():.1f}")
