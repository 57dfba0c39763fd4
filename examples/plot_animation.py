"""
A fit, as it goes
=================

:func:`skdec.plotting.animate_fit` fits an estimator and writes its maps as they come:
one call makes a GIF, or an MP4 where ffmpeg is installed.  Neighbours first find each
other, while their attraction is exaggerated; then the map unfolds.
"""

from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib import pyplot as plt
from PIL import Image, ImageSequence
from sklearn.datasets import load_digits

from skdec import ExactTSNE
from skdec.plotting import animate_fit

X, y = load_digits(return_X_y=True)
X, y = X[:1000], y[:1000]

with TemporaryDirectory() as folder:
    path = Path(folder, "digits.gif")
    tsne = animate_fit(
        ExactTSNE(random_state=0), X, path, labels=y, legend=False, dpi=80
    )
    picture = path.read_bytes()
    with Image.open(path) as film:
        frames = [np.array(f.convert("RGB")) for f in ImageSequence.Iterator(film)]
print(f"{len(frames)} frames of {tsne.n_iter_} iterations, {len(picture) / 1e3:.0f} kB")


# %%
# The film
# --------
# Notebooks and this page show what has ``_repr_html_``.


class Film:
    """A GIF inside a page."""

    def _repr_html_(self):
        data = b64encode(picture).decode()
        return f'<img src="data:image/gif;base64,{data}" alt="a map as it is fitted">'


Film()

# %%
# Some of its frames
# ------------------

shown = np.geomspace(1, len(frames), 6).round().astype(int) - 1
figure, axes = plt.subplots(2, 3, figsize=(12, 8), layout="constrained")
for ax, number in zip(axes.flat, shown, strict=True):
    ax.imshow(frames[number])
    ax.set_axis_off()
    ax.set_title(f"frame {number + 1} of {len(frames)}")
plt.show()
