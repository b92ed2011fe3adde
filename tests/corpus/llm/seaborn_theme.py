import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

sns.set_style("darkgrid")
sns.set_context("talk", font_scale=0.8)

np.random.seed(7)
n = 120
data = pd.DataFrame({
    'Department': np.random.choice(['IT', 'HR', 'Sales', 'Legal'], n),
    'Experience': np.random.randint(1, 25, n),
    'Remote': np.random.choice([True, False], n),
})
data['Salary'] = 40 + data['Experience'] * 2.1 + data['Department'].map({'IT': 15, 'HR': 0, 'Sales': 8, 'Legal': 12}) \
    + np.random.normal(0, 5, n)

g = sns.catplot(data=data, x='Department', y='Salary', hue='Remote', kind='bar', errorbar='sd', height=5, aspect=1.4)
g.set_axis_labels('', 'Salary (k)')
g.fig.suptitle('Salary by Department', y=1.03)
plt.savefig('salary.png', dpi=70, bbox_inches='tight')
plt.show()

h = sns.lmplot(data=data, x='Experience', y='Salary', hue='Remote', ci=None, height=4)
plt.show()

stats = data.groupby('Department')['Salary'].agg(['count', 'mean', 'std']).round(2)
print(stats)
print("\nCorrelation:", round(data['Experience'].corr(data['Salary']), 4))
