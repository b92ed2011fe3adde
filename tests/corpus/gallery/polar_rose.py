"""Polar axes: a curve and bars in the round."""
import matplotlib.pyplot as plt
import numpy as np

fig = plt.figure(figsize=(8, 4))
curve = fig.add_subplot(1, 2, 1, projection="polar")
theta = np.linspace(0, 2 * np.pi, 400)
curve.plot(theta, np.abs(np.cos(3 * theta)))
curve.set_rticks([0.25, 0.5, 0.75, 1])
curve.set_rlabel_position(-22.5)

rose = fig.add_subplot(122, polar=True)
radii = np.array([3, 7, 2, 5, 8, 4, 6, 1])
angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
rose.bar(angles, radii, width=2 * np.pi / len(radii) * 0.9, bottom=0.0, color=plt.cm.viridis(radii / 10), alpha=0.7)
rose.set_theta_zero_location("N")
