import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import seaborn as sns

# Data
companies = ['Alpha', 'Beta', 'Gamma', 'Delta', 'Others']
market_share = [32.5, 24.1, 18.7, 11.2, 13.5]
growth = [5.2, -1.3, 8.9, 12.4, -0.7]

# Color palette
colors = sns.color_palette("husl", len(companies))

fig, axes = plt.subplots(1, 2, figsize=(14, 6))

# Pie chart
wedges, texts, autotexts = axes[0].pie(market_share, labels=companies, autopct='%1.1f%%',
                                       colors=colors, startangle=140, pctdistance=0.8)
for autotext in autotexts:
    autotext.set_color('white')
    autotext.set_fontweight('bold')
axes[0].set_title('Market Share 2023', fontsize=14)

# Bar chart
bars = axes[1].bar(companies, growth, color=['green' if g > 0 else 'red' for g in growth])
for bar, g in zip(bars, growth):
    height = bar.get_height()
    axes[1].text(bar.get_x() + bar.get_width() / 2., height + (0.2 if height > 0 else -0.8),
                 f'{g}%', ha='center', va='bottom')
axes[1].axhline(y=0, color='black', linewidth=0.8)
axes[1].set_title('Growth Rate', fontsize=14)
axes[1].set_ylabel('Growth (%)')

plt.tight_layout()
plt.savefig('market_share.png', dpi=100)
plt.show()

print("Leader:", companies[market_share.index(max(market_share))])
print("Sum of shares:", sum(market_share))
