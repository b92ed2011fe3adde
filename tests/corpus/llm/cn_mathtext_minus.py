import matplotlib.pyplot as plt
import numpy as np

plt.rcParams['font.sans-serif'] = ['SimHei']
plt.rcParams['axes.unicode_minus'] = True

x = np.linspace(-5, 5, 100)
fig, ax = plt.subplots(2, 1, figsize=(7, 7))
ax[0].plot(x, x**3 - 10 * x, label=r'$f(x)=x^3-10x$')
ax[0].set_title('函数图像：$x^3-10x$')
ax[0].legend()
ax[1].semilogy(x, np.exp(-x), label=r'$e^{-x}$ 衰减')
ax[1].legend(title='曲线')
ax[1].set_xlabel('横坐标（负数到正数）')
plt.tight_layout()
plt.show()
print('极值点:', np.round(np.roots([3, 0, -10]), 4).tolist())
