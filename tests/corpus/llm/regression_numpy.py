import matplotlib.pyplot as plt
import numpy as np

np.random.seed(0)

# 1. Generate data
X = np.random.rand(100) * 10
y = 3.5 * X + 7 + np.random.randn(100) * 4


# 2. Define the model
class LinearRegression:
    def __init__(self, learning_rate=0.01, n_iterations=500):
        self.learning_rate = learning_rate
        self.n_iterations = n_iterations
        self.weight = 0.0
        self.bias = 0.0
        self.losses = []

    def fit(self, X, y):
        n = len(X)
        for _ in range(self.n_iterations):
            predictions = self.predict(X)
            error = predictions - y
            self.weight -= self.learning_rate * (2 / n) * np.dot(X, error)
            self.bias -= self.learning_rate * (2 / n) * error.sum()
            self.losses.append(float((error**2).mean()))
        return self

    def predict(self, X):
        return self.weight * X + self.bias

    def __repr__(self):
        return f"LinearRegression(weight={self.weight:.4f}, bias={self.bias:.4f})"


# 3. Train
model = LinearRegression().fit(X, y)
print(model)
print(f"Final loss: {model.losses[-1]:.4f}")

# 4. Visualize
fig, (ax1, ax2) = plt.subplots(1, 2, figsize=(12, 5))
ax1.scatter(X, y, alpha=0.5, label="Data")
xs = np.linspace(0, 10, 100)
ax1.plot(xs, model.predict(xs), "r-", lw=2, label="Fit")
ax1.legend()
ax1.set_title("Linear Regression")
ax2.plot(model.losses)
ax2.set_yscale("log")
ax2.set_xlabel("Iteration")
ax2.set_ylabel("MSE")
ax2.set_title("Training Loss")
plt.tight_layout()
plt.show()
