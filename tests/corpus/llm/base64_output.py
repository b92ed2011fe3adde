import base64
import io

import matplotlib.pyplot as plt
import numpy as np

buffer = io.BytesIO()
x = np.linspace(0, 2 * np.pi, 50)
plt.figure(figsize=(5, 3))
plt.plot(x, np.sin(x), label='sin')
plt.plot(x, np.cos(x), label='cos')
plt.legend()
plt.savefig(buffer, format='png', dpi=60)
buffer.seek(0)
image_base64 = base64.b64encode(buffer.read()).decode('utf-8')
plt.close()
print("image starts with:", image_base64[:16])
print("image is big enough:", len(image_base64) > 5000)
