# %% [markdown]
# # 26. What does an adversarial loss add to a restoration?
#
# You will see one encoder–decoder with skip connections learn to fill a hole, to raise a resolution and to draw the
# missing right half of a digit. It is measured on 200 held-out digits beside classical methods. Then the same network
# is trained with and without a discriminator: with it the pictures look more like digits, and are farther from the
# originals. (The chapter trains twelve networks, for about ten minutes on one core.)
#
# **The losses** (Pathak et al. 2016, eq. 3; Isola et al. 2017, eq. 4). The generator sees the measured picture $y$ and
# draws $\hat x = G(y)$; $D$ judges whole pictures:
#
# $$ L_G = \operatorname{mean} |\hat x - x| + w \cdot \operatorname{mean}\bigl(-\log D(\hat x)\bigr) , $$
#
# and $L_D$ is that of the plain GAN with R1. The gradient in the picture is
# $d\hat x = \mathrm{sign}(\hat x - x)/n + w\,(\partial \ell/\partial\hat x)^\top d\ell$, where $n$ counts the pixels of
# the batch and $d\ell$ is the gradient of the non-saturating loss in the logits.
#
# **Perception against distortion.** For an absolute error the best answer to $y$ is the median of $p(x \mid y)$ in each
# pixel, for a squared error the mean. Where several digits fit $y$, neither is a digit: it is blurred or faint. Blau &
# Michaeli 2018 prove that no estimator has the least distortion and the distribution of real pictures at once, unless
# $y$ determines $x$. The weight $w$ selects a point between both.

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import Parallel, Sequential, data, losses, metrics, models, optim, penalties
from tinygan.errors import ShapeError
from tinygan.layers import AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Identity, LeakyReLU, Tanh, UpSampling2D
from restoration import HOLE, Mask, bicubic, finish, harmonic, held_out, linear, nearest, scores

SHORT = "TINYGAN_SHORT" in os.environ
adversarial = losses.get("non_saturating")
train, _ = data.load("mnist5k")
train, (x, labels) = train[::25 if SHORT else 1], held_out(20 if SHORT else 200)


def unet(rng, c=16, dtype="float32"):
    """28 → 14 → 7 → 14 → 28, each level with a skip: Parallel([Identity, down–inner–up]). Two input channels."""
    down = lambda a, b: [Conv2D(a, b, 4, stride=2, bias=False, init="he"), BatchNorm(b), LeakyReLU(0.2)]
    up = lambda a, b: [ConvTranspose2D(a, b, 4, stride=2, bias=False, init="he"), BatchNorm(b), LeakyReLU(0.2)]
    same = lambda a, b: [Conv2D(a, b, 3, bias=False, init="he"), BatchNorm(b), LeakyReLU(0.2)]
    inner = Sequential([*down(c, 2 * c), *same(2 * c, 2 * c), *up(2 * c, c)], dtype=dtype)
    outer = Sequential([*down(2, c), Parallel([Identity(), inner]), *up(2 * c, c)], dtype=dtype)
    return Sequential([Parallel([Identity(), outer]), *same(c + 2, c), Conv2D(c, 1, 3), Tanh()], rng, dtype)


def g_objective(G, D, seen, x, w):
    """L_G, the gradient in G's parameters, and the restored pictures."""
    restored, g_cache = G.forward(seen)
    if restored.shape != x.shape:
        raise ShapeError(f"expected originals of shape {restored.shape}, as G gives them, got {x.shape}; resize them")
    loss, dx = abs(restored - x).mean(), np.sign(restored - x) / x.size
    if w:
        logits, d_cache = D.forward(restored)
        fooled, dlogits = adversarial.g_loss(logits)
        loss, dx = loss + w * fooled, dx + w * D.backward(dlogits, d_cache)
    grads = G.zero_grads()
    G.backward(dx, g_cache, grads)
    return loss, grads, restored


def d_objective(D, x, restored, gamma=1.0):
    """L_D with R1, and the gradient in D's parameters."""
    (real, real_cache), (fake, fake_cache) = D.forward(x), D.forward(restored)
    loss, dreal, dfake = adversarial.d_loss(real, fake)
    grads = D.zero_grads()
    D.backward(dreal, real_cache, grads)
    D.backward(dfake, fake_cache, grads)
    return loss + penalties.r1(D, x, gamma, grads), grads


def fit(see, w, seed, steps=400, batch=32):
    """G trained on pairs (see(x), x)."""
    G, (_, D), steps = unet(seed), models.dcgan_small(rng=seed, dropout=0), 1 if SHORT else steps
    g_opt, d_opt = optim.Adam(optim.cosine(2e-3, steps, 0.05)), optim.Adam(5e-4)
    batches = data.Batches(train, 4 if SHORT else batch, rng=seed)
    for _ in range(steps):
        x = next(batches)
        _, grads, restored = g_objective(G, D, see(x), x, w)
        if w:
            d_opt.step(D, d_objective(D, x, restored)[1])
        g_opt.step(G, grads)
    return G


# %% [markdown]
# **What the network sees** is a picture of two channels: the measured one, with 0 where nothing is known, and the mask.
# For the resolution the small picture is enlarged and the mask is 1 everywhere. Measured pixels are kept.

# %%
holes = {"hole 14×14": HOLE, "right half missing": (slice(None), slice(None), slice(14, None))}
masks = {}
for task, where in holes.items():
    masks[task] = np.ones((28, 28, 1), "float32")
    masks[task][where[1:]] = 0


def see(x, task):
    """What G sees of x: (N, 28, 28, 2)."""
    mask = masks.get(task, np.ones((28, 28, 1), "float32")).astype(x.dtype)
    if task in masks:
        known, _ = Mask(mask).forward(x)
    else:
        known, _ = Sequential([AvgPool2D(4), UpSampling2D(4)], dtype=x.dtype.name).forward(x)
    return np.concatenate([known, np.broadcast_to(mask, x.shape)], axis=-1)


def classical(x, task):
    """name: restored pictures, of the classical methods."""
    A = Mask(masks[task]) if task in masks else AvgPool2D(4)
    y = A.forward(x)[0]
    first = {"hole 14×14": ("harmonic", harmonic), "resolution ×4": ("bicubic", bicubic)}.get(task)
    found = {first[0]: first[1](y)} if first else {}
    return found | {"nearest": nearest(y, A, train), "linear": linear(y, A, 0, train)}


features, _ = metrics.classifier.predict(train)
RUNS = [("hole 14×14", 0.0), ("resolution ×4", 0.0), ("right half missing", 0.0), ("right half missing", 0.3)]
results, shown = {}, {}
for task, w in RUNS:
    found = {} if (task, "nearest") in results else {name: [v] for name, v in classical(x, task).items()}
    trained = [fit(lambda x: see(x, task), w, seed) for seed in range(3)]
    found[f"L1, w = {w:g}"] = [G.forward(see(x, task), train=False)[0] for G in trained]
    for method, pictures in found.items():
        whole = [finish(p, see(x, task)[..., :1], holes.get(task)) for p in pictures]
        shown.setdefault(task, {"original": x, "seen": see(x, task)[..., :1]})[method] = whole[0]
        results[task, method] = [(*scores(p, x, labels, holes.get(task)), metrics.frechet_distance(
            metrics.classifier.predict(p)[0], features)) for p in whole]
print(f"{'mean and spread of three seeds':32}   PSNR, dB       SSIM       read        Fréchet")
for (task, method), values in results.items():
    mean, spread = np.mean(values, 0), np.std(values, 0)
    print(f"{task:18} {method:12}", *(f"{a:6.{k}f} ± {b:.{k}f}" for a, b, k in zip(mean, spread, (1, 2, 2, 2))))
print(f"Fréchet distance of the originals {metrics.frechet_distance(metrics.classifier.predict(x)[0], features):.2f}")

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
# PSNR and SSIM are those of the missing pixels in the tasks with a hole. The Fréchet distance compares the features of
# 200 restored digits with those of the training digits; that of the originals, in the last line, is its **reference**:
# no method that draws from the true $p(x \mid y)$ falls much below it. Compare the last two rows of "right half
# missing": both networks saw the same pairs in the same order, and only $w$ differs.
#
# **What it shows.** In the hole and at the low resolution the network is better in PSNR and SSIM than each classical
# method, and a classifier reads its digits as often as the nearest training digit, which is another digit than the
# original. In the right half the best linear estimate has the higher PSNR, 13.7 dB. With $w = 0.3$ the PSNR falls from
# 13.2 to 11.8 dB. The Fréchet distance falls too, from 8.80 to 8.61, but by less than its spread over the seeds: after
# this short training the adversarial term has cost distortion and has not yet shown a gain in perception. A longer
# training is needed to measure the trade; see exercise 2.
#
# ## Exercises
# 1. Let $p(x \mid y)$ be $-1$ or $1$ with probability ½ each. Show that a restoration that draws from it has twice the
#    squared error of the mean. What does an absolute error prefer?
# 2. Change $w$ from 0 in three steps. Plot PSNR against the Fréchet distance, one point for each $w$.
# 3. Let $D$ see $y$ as well (two more channels, as in Isola et al. 2017). Which mistake of $G$ can $D$ now punish?
