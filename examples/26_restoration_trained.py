# %% [markdown]
# # 26. What does an adversarial loss add to a restoration?
#
# You will see one encoder–decoder with skip connections learn to fill a hole, to raise a resolution and to draw the
# missing right half of a digit. It is measured on 2,000 held-out digits beside classical methods. Then the same network
# is trained with and without a discriminator: with it the pictures look more like digits, and are farther from the
# originals. (The chapter trains twelve networks of 2,000 steps, for about 20 minutes on one core.)
#
# **The losses** (Pathak et al. 2016, eq. 3; Isola et al. 2017, eq. 4). The generator sees the measured picture $y$ and
# draws $\hat x$; pixels that were measured are kept. $D$ sees the pair of a picture and $y$:
#
# $$ L_G = \operatorname{mean} |\hat x - x| + w \cdot \operatorname{mean}\bigl(-\log D(\hat x, y)\bigr) , $$
#
# and $L_D$ is that of the plain GAN with R1. With $n$ restored pixels in the batch and the gradient $d\ell$ of the
# non-saturating loss in the logits, the gradient in these pixels is
#
# $$ d\hat x = \mathrm{sign}(\hat x - x)/n + w\,(\partial \ell/\partial\hat x)^\top d\ell . $$
#
# It goes back through $G$. In `restoration.py`, which is beside this chapter, `g_objective` and `d_objective` are these
# lines, `fit` takes a step of Adam on each in turn, and `unet` is $G$: two convolutions of stride 2, a dense layer that
# sees the whole picture, and back, where each level is `Parallel([Identity(), …])`, a skip connection.
#
# **Perception against distortion.** First one pixel. Let $y$ leave two values possible: $x = 1$ with probability 0.6,
# else $x = -1$. Three restorations are compared: the least squared error, the least absolute error, and one that draws
# from $p(x \mid y)$, which is what an ideal $D$ asks for.

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, data, metrics
from tinygan.inversion import Mask
from tinygan.layers import AvgPool2D, UpSampling2D
from restoration import HOLE, bicubic, finish, fit, harmonic, linear, nearest, scores, test_digits

SHORT, p = "TINYGAN_SHORT" in os.environ, 0.6
draws = np.sign(p - np.random.default_rng(0).random(100_000))
x1 = np.sign(p - np.random.default_rng(1).random(100_000))
for name, answer in {"the mean": 0 * x1 + 2 * p - 1, "the median": 0 * x1 + 1, "a draw": draws}.items():
    print(f"{name:11} squared error {((answer - x1)**2).mean():.2f}, absolute {abs(answer - x1).mean():.2f}; "
          f"mean {answer.mean():5.2f}, standard deviation {answer.std():.2f} (of x: {x1.mean():.2f}, {x1.std():.2f})")

# %% [markdown]
# Only the draw has the distribution of $x$, and it has the largest errors. Blau & Michaeli 2018 prove it in general: no
# estimator has the least distortion and the distribution of real pictures at once, unless $y$ determines $x$. A mean of
# several digits is blurred, a median faint. The weight $w$ selects a point between both.
#
# **What the network sees**: the measured picture with 0 where nothing is known; of the low resolution, each pixel as
# 4×4 pixels.

# %%
train, _ = data.load("mnist5k")
train, (x, labels) = train[::25 if SHORT else 1], test_digits(20 if SHORT else 2000)
PLACE = {"hole 14×14": HOLE, "resolution ×4": ..., "right half missing": (slice(None), slice(None), slice(14, None))}


def measurement(task):
    """A, and what G sees of x."""
    if task == "resolution ×4":
        return AvgPool2D(4), Sequential([AvgPool2D(4), UpSampling2D(4)], dtype="float32")
    mask = np.ones((28, 28, 1), "float32")
    mask[PLACE[task][1:]] = 0
    return Mask(mask), Mask(mask)


def classical(x, task):
    """name: restored pictures, of the classical methods."""
    A, _ = measurement(task)
    y = A.forward(x)[0]
    first = {"hole 14×14": ("harmonic", harmonic), "resolution ×4": ("bicubic", bicubic)}.get(task)
    found = {first[0]: first[1](y)} if first else {}
    return found | {"nearest": nearest(y, A, train), "linear": linear(y, A, 0, train).clip(-1, 1)}


features, _ = metrics.classifier.predict(train)
distance = lambda x: metrics.frechet_distance(metrics.classifier.predict(x)[0], features)
RUNS = [("hole 14×14", 0.0), ("resolution ×4", 0.0), ("right half missing", 0.0), ("right half missing", 0.3)]
results, shown = {}, {}
for task, w in RUNS:
    see, where = (lambda x: measurement(task)[1].forward(x)[0]), PLACE[task]
    found = {} if (task, "nearest") in results else {name: [v] for name, v in classical(x, task).items()}
    networks = [fit(see, train, w, seed, 1 if SHORT else 2000, where, 4 if SHORT else 32) for seed in range(3)]
    found[f"L1, w = {w:g}"] = [G.forward(see(x), train=False)[0] for G in networks]
    for method, pictures in found.items():
        whole = [finish(p, x, where) for p in pictures]
        shown.setdefault(task, {"original": x, "seen": see(x)})[method] = whole[0]
        results[task, method] = [(*scores(p, x, labels, where), distance(p)) for p in whole]
print(f"{'mean and spread of three seeds':32}   PSNR, dB       SSIM       read        Fréchet")
for (task, method), values in results.items():
    mean, spread = np.mean(values, 0), np.std(values, 0)
    print(f"{task:18} {method:12}", *(f"{a:6.{k}f} ± {b:.{k}f}" for a, b, k in zip(mean, spread, (1, 2, 2, 2))))
read = metrics.classifier.predict(x)[1].argmax(1) == labels
print(f"the originals: read {read.mean():.2f}, Fréchet distance {distance(x):.2f}")

# %%
fig, some = Figure(figsize=(11, 2.9), dpi=100, layout="constrained"), slice(8)
for ax, (task, rows) in zip(fig.subplots(1, 3), shown.items()):
    strips = [np.concatenate(list(v[some, ..., 0]), 1) for v in rows.values()]
    ax.imshow(np.concatenate(strips), cmap="gray", vmin=-1, vmax=1)
    ax.set(title=task, xticks=[], yticks=14 + 28 * np.arange(len(rows)), yticklabels=list(rows))
fig.savefig("26_restoration_trained.png")

# %% [markdown]
# ![eight held-out digits, what the network sees, and what each method restores](26_restoration_trained.png)
#
# PSNR and SSIM are those of the restored pixels. The Fréchet distance compares the features of 2,000 restored digits
# with those of the training digits; that of the originals, in the last line, is its **reference**: no method that draws
# from the true $p(x \mid y)$ falls much below it. Compare the last two rows of "right half missing": both networks saw
# the same pairs in the same order, and only $w$ differs. The size of the network, the number of steps, the learning
# rates and γ were chosen on 500 training digits that were left out of training for that; $w$ was not tuned.
#
# **What it shows.** In the hole and at the low resolution the network is better in PSNR and SSIM than each classical
# method, and the classifier reads its digits more often than those of any other method. In the right half, $w = 0.3$
# lowers the PSNR from 14.7 to 14.0 dB, and the Fréchet distance falls from 1.84 to 0.78, towards the 0.40 of the
# originals: more distortion, better perception. The classifier reads both alike, since it recognises a blurred digit,
# too. The nearest training digit has the distribution of real digits and so the least Fréchet distance, at the price
# of the largest distortion.
#
# ## Exercises
# 1. Let $p(x \mid y)$ be $-1$ or $1$ with probability ½ each. Show that a restoration that draws from it has twice the
#    squared error of the mean. What does an absolute error prefer?
# 2. Change $w$ from 0 in three steps. Plot PSNR against the Fréchet distance, one point for each $w$.
# 3. Let $D$ see $\hat x$ alone, without $y$. Which mistake of $G$ can $D$ no longer punish?
