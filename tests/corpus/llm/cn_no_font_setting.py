import matplotlib.pyplot as plt

plt.figure(figsize=(6, 4))
plt.plot([-2, -1, 0, 1, 2], [4, 1, 0, 1, 4], 'b-o')
plt.title('二次函数 y = x² 的图像')
plt.xlabel('自变量 x')
plt.ylabel('函数值 y')
plt.show()
print('完成')
