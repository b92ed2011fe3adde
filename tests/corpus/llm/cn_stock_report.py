import matplotlib.pyplot as plt
import matplotlib.dates as mdates
import numpy as np
import pandas as pd

plt.rcParams['font.sans-serif'] = ['Microsoft YaHei', 'SimHei', 'Arial Unicode MS']
plt.rcParams['axes.unicode_minus'] = False


def generate(days=120):
    rng = np.random.default_rng(2023)
    dates = pd.date_range('2023-01-03', periods=days, freq='B')
    returns = rng.normal(0.0005, 0.015, days)
    price = 50 * np.exp(np.cumsum(returns))
    return pd.DataFrame({'收盘价': price, '收益率': returns}, index=dates)


def draw(df):
    df['MA10'] = df['收盘价'].rolling(10).mean()
    df['MA30'] = df['收盘价'].rolling(30).mean()
    fig, (ax1, ax2) = plt.subplots(2, 1, figsize=(12, 8), sharex=True, gridspec_kw={'height_ratios': [2, 1]})
    ax1.plot(df.index, df['收盘价'], label='收盘价', color='black')
    ax1.plot(df.index, df['MA10'], label='10日均线', color='orange')
    ax1.plot(df.index, df['MA30'], label='30日均线', color='blue')
    ax1.set_title('股票价格走势与均线分析')
    ax1.set_ylabel('价格（元）')
    ax1.legend(loc='upper left')
    ax2.bar(df.index, df['收益率'] * 100, color=np.where(df['收益率'] > 0, 'red', 'green'))
    ax2.set_ylabel('日收益率（%）')
    ax2.xaxis.set_major_formatter(mdates.DateFormatter('%Y年%m月'))
    fig.autofmt_xdate()
    return fig


def main():
    try:
        df = generate()
        fig = draw(df)
        fig.savefig('stock.png', dpi=80, bbox_inches='tight')
        plt.close(fig)
        夏普 = df['收益率'].mean() / df['收益率'].std() * np.sqrt(252)
        回撤 = (df['收盘价'] / df['收盘价'].cummax() - 1).min()
        print('【分析结果】')
        print(f'  夏普比率：{夏普:.3f}')
        print(f'  最大回撤：{回撤:.2%}')
        print(f'  期末价格：{df["收盘价"].iloc[-1]:.2f}')
    except Exception as e:
        print('绘图失败：', e)


if __name__ == '__main__':
    main()
