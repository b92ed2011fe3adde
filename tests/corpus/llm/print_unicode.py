import matplotlib.pyplot as plt

print("✅ Analysis complete")
print("📊 Naïve café — “quotes” … ½ ± µ Ω → ≤")
print("\u2588" * 10, "100%")
for name, value in {"α": 1.5, "β": -2.25, "γ": 1e-7}.items():
    print(f"{name:>4} = {value:>12.6g}")
fig, ax = plt.subplots()
ax.plot([-1, 0, 1], [1e-3, -1e-3, 2e-3], label="Δ (µm)")
ax.set_ylabel("Größe [Ω·m²]")
ax.legend()
