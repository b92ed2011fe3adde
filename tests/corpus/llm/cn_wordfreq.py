import re
from collections import Counter

import matplotlib.pyplot as plt

plt.rcParams['font.sans-serif'] = ['STHeiti', 'SimHei']
plt.rcParams['axes.unicode_minus'] = False

文本 = '人工智能正在改变世界。机器学习是人工智能的重要分支，深度学习又是机器学习的分支。'
词表 = ['人工智能', '机器学习', '深度学习', '世界', '分支', '重要']
频率 = Counter({w: len(re.findall(w, 文本)) for w in 词表})

词, 次数 = zip(*频率.most_common())
plt.figure(figsize=(8, 4))
plt.bar(词, 次数, color=plt.cm.Set3(range(len(词))))
plt.title('词频统计')
plt.ylabel('出现次数')
plt.savefig('word_freq.png', bbox_inches='tight')
plt.close('all')
for w, c in 频率.most_common():
    print(f'{w}\t{c}')
