"""A chirp: its signal, spectrum and spectrogram."""
import matplotlib.pyplot as plt
import numpy as np

rate = 500
t = np.arange(0, 4, 1 / rate)
signal = np.sin(2 * np.pi * (20 * t + 15 * t**2))
fig, (ax1, ax2, ax3) = plt.subplots(3, 1, figsize=(7, 7), layout="constrained")
ax1.plot(t[:300], signal[:300])
ax2.magnitude_spectrum(signal, Fs=rate, scale="dB")
_, _, _, image = ax3.specgram(signal, NFFT=128, Fs=rate, noverlap=64)
fig.colorbar(image, ax=ax3)
