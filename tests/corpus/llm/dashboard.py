import matplotlib.pyplot as plt
import matplotlib.gridspec as gridspec
import numpy as np
import pandas as pd
from datetime import datetime, timedelta

np.random.seed(42)

# Generate sample data
start = datetime(2024, 1, 1)
dates = [start + timedelta(days=i) for i in range(90)]
visitors = np.random.poisson(1000, 90) + np.arange(90) * 5
conversion = np.clip(np.random.normal(3.2, 0.4, 90), 1, 6)
df = pd.DataFrame({'date': dates, 'visitors': visitors, 'conversion': conversion})
df['orders'] = (df['visitors'] * df['conversion'] / 100).astype(int)
df['weekday'] = df['date'].dt.day_name()

fig = plt.figure(figsize=(16, 10))
gs = gridspec.GridSpec(2, 3, figure=fig, hspace=0.35, wspace=0.3)

ax1 = fig.add_subplot(gs[0, :2])
ax1.plot(df['date'], df['visitors'], color='steelblue', alpha=0.6, label='Daily')
ax1.plot(df['date'], df['visitors'].rolling(7).mean(), color='darkred', linewidth=2, label='7-day average')
ax1.set_title('Website Visitors')
ax1.legend()
ax1.tick_params(axis='x', rotation=30)

ax2 = fig.add_subplot(gs[0, 2])
ax2.hist(df['conversion'], bins=15, color='mediumpurple', edgecolor='white')
ax2.axvline(df['conversion'].mean(), color='k', linestyle='--')
ax2.set_title('Conversion Rate')

ax3 = fig.add_subplot(gs[1, 0])
order = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
by_day = df.groupby('weekday')['orders'].mean().reindex(order)
ax3.barh(by_day.index, by_day.values, color=plt.cm.Blues(np.linspace(0.4, 0.9, 7)))
ax3.invert_yaxis()
ax3.set_title('Average Orders by Weekday')

ax4 = fig.add_subplot(gs[1, 1:])
sc = ax4.scatter(df['visitors'], df['orders'], c=df['conversion'], cmap='viridis', s=40)
plt.colorbar(sc, ax=ax4, label='Conversion (%)')
z = np.polyfit(df['visitors'], df['orders'], 1)
ax4.plot(df['visitors'], np.poly1d(z)(df['visitors']), 'r--')
ax4.set_title('Visitors vs Orders')

fig.suptitle('E-commerce Dashboard Q1 2024', fontsize=18, fontweight='bold')
plt.savefig('dashboard.png', dpi=80, bbox_inches='tight', facecolor='white')
plt.show()

print(f"Total visitors: {df['visitors'].sum():,}")
print(f"Total orders: {df['orders'].sum():,}")
print(f"Average conversion: {df['conversion'].mean():.3f}%")
