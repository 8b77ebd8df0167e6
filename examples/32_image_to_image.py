# %% [markdown]
# # 32. How does a network draw a picture from its edges?
#
# You will see an encoder–decoder turn edges into pictures of clothes, with the losses of
# [chapter 26](26_restoration_trained.md): `fit`, `g_objective` and `d_objective` of `restoration.py` are used as they
# are. Three networks are compared on 800 held-out articles of Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): without skip
# connections, with them, and with a discriminator. (The chapter trains nine of them, for about ten
# minutes on one core.)
#
# **The edges.** Sobel's two filters give a weighted difference between the right and the left neighbours of a pixel,
# and between the lower and the upper ones: a convolution with fixed weights. A pixel is an edge where the length of
# this gradient is above a threshold. On a picture with one step, from 0 to 1:

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinygan import Parallel, Sequential, data, gradcheck, metrics, optim
from tinygan.data.files import read_npz
from tinygan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Identity, LeakyReLU
from restoration import fit, nearest, scores

SHORT, here = "TINYGAN_SHORT" in os.environ, Path(__file__).parent if "__file__" in globals() else Path()
sobel = Sequential([Conv2D(1, 2, 3, bias=False)], dtype="float32")
across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
sobel.params["0.W"] = np.stack([across, across.T], -1)[:, :, None]


def gradient(x):
    """(N, H, W, 2): across and down. The border of the picture x (N, H, W, 1) is no edge."""
    return sobel.forward(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge"))[0][:, 1:-1, 1:-1]


def edges(x, threshold=2.5):
    """1 where the length of the gradient is above the threshold, else 0: (N, H, W, 1)."""
    return (np.sqrt((gradient(x)**2).sum(-1, keepdims=True)) > threshold).astype(x.dtype)


step = np.tile(np.float32([0, 0, 0, 1, 1, 1]), (3, 1))[None, ..., None]
print("gradient across", gradient(step)[0, 1, :, 0], " edges", edges(step)[0, 1, :, 0])

# %% [markdown]
# **The skip connection.** In an encoder–decoder all that reaches the output goes through the few numbers in the middle.
# In a U-Net (Ronneberger, Fischer & Brox 2015) each level keeps a copy of its input beside what the levels below make
# of it, which is `Parallel([Identity(), inner])`: $y = (x, f(x))$. Backward is the adjoint of copying, a sum:
#
# $$ dx = dy_1 + (\partial f/\partial x)^\top dy_2 . $$
#
# So the gradient, too, has a path that no convolution weakens. With $f(x) = 3x_1 - 2x_2$:

# %%
level = Parallel([Identity(), Dense(2, 1, bias=False)])
level.params["1.W"] = [[3.0], [-2.0]]
y, cache = level.forward(np.array([[1.0, 4.0]]))
dx = level.backward(np.array([[0.5, 0.1, 2.0]]), cache)
print(f"y = {y.tolist()}, dx = {dx.tolist()}: 0.5 + 3·2 and 0.1 − 2·2")
print("all four maps are right:", gradcheck.check_layer(level, np.array([[1.0, 4.0]])).ok)

# %% [markdown]
# **The data** are 2,000 training pictures and 800 held-out ones. The classifier that reads the results, and in whose
# features the Fréchet distance is measured, is trained on the same 2,000 pictures.
#
# **The baselines**: the training article whose edges are nearest, and the best linear estimate of the picture from the
# edges (means $m$, $\bar e$ and covariances of the training pictures; $s$ was not tuned),
#
# $$ \hat x = m + C_{xe}(C_{ee} + s I)^{-1}(e - \bar e), \qquad s = 0.1 . $$

# %%
stored = read_npz(here / "data/fashion.npz")
train, x = (data.scale(stored[name][::40 if SHORT else 1]) for name in ("images", "held_out_images"))
classes, labels = (stored[name][::40 if SHORT else 1] for name in ("labels", "held_out_labels"))
steps, batch = (1, 4) if SHORT else (1500, 32)


def classifier(seed=0):
    """A network that reads the class: 28×28 → 64 features → 10 logits."""
    after = lambda n: [BatchNorm(n), LeakyReLU(0.2), Dropout(0.3)]
    net = Sequential([Conv2D(1, 16, 5, stride=2), *after(16), Conv2D(16, 32, 5, stride=2), *after(32), Flatten(),
                      Dense(1568, 64), *after(64), Dense(64, 10)], seed)
    opt, batches = optim.Adam(optim.cosine(2e-3, steps)), data.Batches(train, batch, seed, classes)
    for _ in range(steps):
        pictures, target = next(batches)
        logits, cache = net.forward(pictures)
        grads = net.zero_grads()
        net.backward(metrics.classifier.cross_entropy(logits, target)[1], cache, grads)
        opt.step(net, grads)
    return net


def linear(e):
    """The best linear estimate of pictures from their edges e."""
    flat, known = train.reshape(len(train), -1), edges(train).reshape(len(train), -1)
    m, mean = flat.mean(0), known.mean(0)
    gain = np.linalg.solve(np.cov(known.T) + 0.1 * np.eye(784), (known - mean).T @ (flat - m) / (len(train) - 1))
    return (m + (e.reshape(len(e), -1) - mean) @ gain).clip(-1, 1).astype("float32").reshape(e.shape)


class Edges:
    """The edges as a measurement for `nearest`."""
    forward = staticmethod(lambda x: (edges(x), None))


read, e = classifier(), edges(x)
features = lambda x: metrics.classifier.predict(x, read)[0]
found = {"nearest": [nearest(e, Edges, train)], "linear": [linear(e)]}
for name, w, skip in ("L1, no skips", 0.0, False), ("L1", 0.0, True), ("L1, w = 0.3", 0.3, True):
    networks = [fit(edges, train, w, seed, steps, batch=batch, skip=skip) for seed in range(3)]
    found[name] = [G.forward(e, train=False)[0] for G in networks]
distance = lambda x: metrics.frechet_distance(features(x), features(train))
print(f"{'mean and spread of three seeds':32} PSNR, dB        SSIM         read      Fréchet")
for name, pictures in found.items():
    values = [(*scores(p, x, labels, classifier=read), distance(p)) for p in pictures]
    mean, spread = np.mean(values, 0), np.std(values, 0)
    print(f"{name:26}", *(f"{a:7.{k}f} ± {b:.{k}f}" for a, b, k in zip(mean, spread, (1, 2, 2, 2))))
share = (metrics.classifier.predict(x, read)[1].argmax(1) == labels).mean()
print(f"the originals: read {share:.2f}, Fréchet distance {distance(x):.2f}; edges: {e.mean():.0%} of the pixels")

# %%
fig, some = Figure(figsize=(11, 5.9), dpi=100, layout="constrained"), slice(0, 800, 800 // 14)
ax, rows = fig.subplots(), {"edges": 2 * e - 1} | {name: p[0] for name, p in found.items()} | {"original": x}
strips = [np.concatenate(list(v[some, ..., 0]), 1) for v in rows.values()]
ax.imshow(np.concatenate(strips), cmap="gray", vmin=-1, vmax=1)
ax.set(xticks=[], yticks=14 + 28 * np.arange(len(rows)), yticklabels=list(rows))
fig.savefig("32_image_to_image.png")

# %% [markdown]
# ![held-out articles: edges, what each method draws, and the originals](32_image_to_image.png)
#
# PSNR and SSIM compare with the originals; *read* is the share that the classifier reads as the right class; the
# **reference** of the Fréchet distance is that of the originals, in the last line, with 800 pictures. All settings
# are those of chapter 26; none was chosen on these pictures. The rows of the networks are those of seed 0.
#
# **What it shows.** Each network has a higher PSNR than both baselines. The skip connections raise it from 17.9 to
# 19.1 dB: the position of each edge no longer has to pass through the 128 numbers in the middle. With $w = 0.3$ it
# falls to 18.1 dB, while the Fréchet distance falls from 1.30 to 0.69, near the 0.54 of the originals: the trade of
# chapter 26 again. Edges leave open how bright an article is and what its texture is like; L1 alone gives the median
# of these, $D$ asks for one that is possible. The share that is read hardly differs between the networks: the outline
# gives the class.
#
# ## Exercises
# 1. Show that with `join="sum"` in the place of "concat" the gradient of a level is $dx = dy + (\partial f/\partial
#    x)^\top dy$. What must the shapes of $x$ and $f(x)$ be?
# 2. Give the network the left half of a picture in the place of its edges, with `see` of chapter 26. Which of the two
#    measurements determines the picture better in PSNR, and which in the share that is read?
# 3. Draw edges of your own, as an array of 0 and 1, and give them to a trained network. Which lines does it ignore?
