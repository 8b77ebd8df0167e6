# %% [markdown]
# # 25. Can a generator restore a picture that it was not trained to restore?
#
# You will see a search in the latent space that fills a hole, raises a resolution, removes noise and finds a picture
# from 100 random projections: one function, one generator, and no training for any of these tasks. It is measured on
# 100 held-out digits beside classical methods. (The chapter first trains three generators, for about 15 minutes on one
# core, and stores them in `data/search_generators.npz`; while that file is there, it only searches, for about five.)
#
# **The objective.** The measurement is $y = A x + \sigma n$ with a known linear map $A$ and normal noise $n$. Suppose
# that $x = G(z)$ with $z \sim N(0, I)$. Then up to a constant
#
# $$ -2\sigma^2 \log p(z \mid y) = \lVert A\,G(z) - y \rVert^2 + \lambda \lVert z \rVert^2 ,
#    \qquad \lambda = \sigma^2 , $$
#
# and the search minimises it (Bora et al. 2017, section 3). Without noise λ allows for the error of $G$, and is chosen
# on training digits. Yeh et al. 2017 (section 3.3) add the generator's loss, $\mu \log(1 - D(G(z)))$, so that
# $D$ takes the result for real. With $r = A\,G(z) - y$ and $\ell = D(G(z))$ as a logit the gradient is
#
# $$ dx = 2A^\top r - \mu\,\sigma(\ell)\,\partial\ell/\partial x ,
#    \qquad dz = (\partial G/\partial z)^\top dx + 2\lambda z : $$
#
# `backward` of $A$, of $D$ and of $G$ without gradients of weights. Any affine layer is an $A$: its map measures, its
# adjoint is $A^\top$. A lower resolution is `AvgPool2D`, noise alone `Identity`, projections are a `Dense` without
# bias. Only the hole needs a layer of its own, whose map and adjoint multiply by a mask of 0 and 1.

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, data, losses, metrics, models, optim
from tinygan.data.files import read_npz
from tinygan.errors import ShapeError
from tinygan.layers import AvgPool2D, Dense, Flatten, Identity, Layer
from tinygan.inversion import Mask
from restoration import HOLE, bicubic, finish, harmonic, held_out, linear, measure, nearest, scores

SHORT, here = "TINYGAN_SHORT" in os.environ, Path(__file__).parent if "__file__" in globals() else Path()
minimax, PLACE = losses.get("minimax"), {"hole 14×14": HOLE}


def objective(z, y, A, G, lam, D=None, mu=0.0):
    """‖A·G(z) − y‖² + λ‖z‖² + μ log(1 − D(G(z))) of each picture (N,), and its gradient (N, d) in z."""
    x, g_cache = G.forward(z, train=False)
    ax, a_cache = A.forward(x, train=False)
    if ax.shape != y.shape:
        raise ShapeError(f"expected measurements of shape {ax.shape}, as A gives them, got {y.shape}; y and A differ")
    value, dx = ((ax - y)**2).reshape(len(z), -1).sum(1) + lam * (z**2).sum(1), A.backward(2 * (ax - y), a_cache)
    if mu:
        logits, d_cache = D.forward(x, train=False)
        value = value + mu * np.array([minimax.g_loss(row)[0] for row in logits])
        dx = dx + D.backward(mu * len(z) * minimax.g_loss(logits)[1], d_cache)      # g_loss averages over the batch
    return value, G.backward(dx, g_cache) + 2 * lam * z


def search(y, A, G, lam, D=None, mu=0.0, restarts=2, steps=100, rng=0):
    """The best G(z) for each y: Adam on z from several random starts."""
    ys, steps = np.concatenate([y] * restarts), 3 if SHORT else steps
    latents = Layer(z=(len(ys), G.layers[0].params["W"].shape[0]))      # a layer that is only its parameter
    latents.params["z"] = np.random.default_rng(rng).standard_normal(latents.params["z"].shape)
    opt = optim.Adam(optim.cosine(0.15, steps), 0.9, 0.99)
    for _ in range(steps):
        z = latents.params["z"].astype(y.dtype)
        opt.step(latents, {"z": objective(z, ys, A, G, lam, D, mu)[1]})
    z = latents.params["z"].astype(y.dtype).reshape(restarts, len(y), -1)
    values = [objective(part, y, A, G, lam, D, mu)[0] for part in z]
    return G.forward(z[np.argmin(values, 0), np.arange(len(y))], train=False)[0]


def trained(seeds=3, steps=2000):
    """The arrays of G (averaged weights) and D of each seed: a DCGAN with R1 and a latent vector of 20 numbers."""
    arrays = {}
    for seed in range(seeds):
        gan = GAN(*models.dcgan_small(rng=seed, latent=20), "non_saturating", optim.Adam(5e-4), optim.Adam(5e-4),
                  rng=seed, penalty="r1", gamma=0.5, average=0.99)
        gan.train(data.Batches(train, 4 if SHORT else 64, rng=seed), 1 if SHORT else steps)
        G = gan.average.net
        arrays |= {f"G{seed}": G.theta.astype("float16"), f"D{seed}": gan.D.theta.astype("float16"),
                   **{f"G{seed}.{key}": array for key, array in G.state.items()}}
    return arrays


def generator(seed):
    """G and D of this seed."""
    G, D = models.dcgan_small(rng=seed, latent=20)
    G.theta, D.theta = (stored[f"{name}{seed}"].astype("float32") for name in "GD")
    for key, array in G.state.items():
        array[...] = stored[f"G{seed}.{key}"]
    return G, D


def tasks(seed):
    """name: (A, σ). The projections are drawn anew for each seed."""
    mask, project = np.ones((28, 28, 1), "float32"), Dense(784, 100, bias=False)
    mask[HOLE[1:]] = 0
    project.params["W"] = np.random.default_rng(seed).standard_normal((784, 100)) / 10
    return {"hole 14×14": (Mask(mask), 0), "resolution ×4": (AvgPool2D(4), 0), "noise σ = 1": (Identity(), 1),
            "100 projections": (Sequential([Flatten(), project], dtype="float32"), 0)}


train, _ = data.load("mnist5k")
file = here / "data/search_generators.npz"
stored = read_npz(file) if file.exists() else trained()
if not (SHORT or file.exists()):
    np.savez_compressed(file, **stored)
x, labels = held_out(8 if SHORT else 100)

# %% [markdown]
# **The baselines.** *Nothing*: the noisy picture, clipped to the range. *Harmonic*: each missing pixel is the mean of
# its four neighbours (a linear system). *Bicubic*: Keys's cubic kernel (Keys 1981, with $a = -\tfrac12$), in rows, then
# in columns. *Nearest*: that of the 5,000 training digits $x$ with the least $\lVert A x - y\rVert$. *Linear*: the best
# linear estimate for the mean $m$ and the covariance $C$ of the training digits,
#
# $$ \hat x = m + C A^\top (A C A^\top + s I)^{-1} (y - A m) , $$
#
# which is the search with a linear $G$. Here $s = \sigma^2$, or $s = 0.1$ without noise (not tuned). All four are in
# `restoration.py`, beside this chapter, because the next one uses them, too.

# %%
(G, _), chosen, GRID = generator(0), {}, (0.01, 0.1, 1.0, 10.0)
for task, (A, sigma) in tasks(0).items():
    some = train[::2500 if SHORT else 125]                              # 40 training digits choose λ
    y = measure(some, A, sigma)
    mean = [metrics.psnr(finish(search(y, A, G, a, restarts=1), y, PLACE.get(task, ...)), some).mean() for a in GRID]
    chosen[task] = GRID[int(np.argmax(mean))]
    print(f"{task:16} PSNR on training digits {', '.join(f'λ = {a:g}: {b:.1f}' for a, b in zip(GRID, mean))} dB")

# %%
results, shown = {}, {}
for seed in range(3):
    G, D = generator(seed)
    for task, (A, sigma) in tasks(seed).items():
        y = measure(x, A, sigma, seed)
        found = {"nearest": nearest(y, A, train), "linear": linear(y, A, sigma, train)}
        found["search"] = search(y, A, G, chosen[task])
        if task.startswith("hole"):
            found = {"harmonic": harmonic(y), **found, "with D": search(y, A, G, chosen[task], D, 1.0)}
        first = {"resolution ×4": ("bicubic", bicubic), "noise σ = 1": ("nothing", lambda y: y.clip(-1, 1))}.get(task)
        found = ({first[0]: first[1](y)} if first else {}) | found
        shown.setdefault(task, {"original": x, "Aᵀy": A.backward(y, A.forward(x)[1])} | found)
        for method, restored in found.items():
            results.setdefault((task, method), []).append(
                scores(finish(restored, y, PLACE.get(task, ...)), x, labels, PLACE.get(task, ...)))
print(f"{'mean and spread of three seeds':30}    PSNR, dB          SSIM   read by the classifier")
for (task, method), values in results.items():
    (a, b, c), (d, e, f) = np.mean(values, 0), np.std(values, 0)
    print(f"{task:16} {method:13} {a:8.1f} ± {d:.1f} {b:10.2f} ± {e:.2f} {c:10.2f} ± {f:.2f}")
read = metrics.classifier.predict(x)[1].argmax(1) == labels
print(f"the originals themselves are read: {read.mean():.2f}")

# %%
fig, some = Figure(figsize=(11, 8.5), dpi=100, layout="constrained"), slice(8)
for ax, (task, rows) in zip(fig.subplots(2, 2).flat, shown.items()):
    strips = [v[some] if name in ("original", "Aᵀy") else finish(v, rows["Aᵀy"], PLACE.get(task, ...))[some]
              for name, v in rows.items()]
    strips[1] = strips[1] / np.quantile(abs(strips[1]), 0.99)           # Aᵀ changes the scale
    ax.imshow(np.concatenate([np.concatenate(list(s[..., 0]), 1) for s in strips]), cmap="gray", vmin=-1, vmax=1)
    ax.set(title=task, xticks=[], yticks=14 + 28 * np.arange(len(rows)), yticklabels=list(rows))
fig.savefig("25_restoration_search.png")

# %% [markdown]
# ![eight held-out digits, their measurements, and what each method restores](25_restoration_search.png)
#
# Each column is one held-out digit (seed 2 of the generator, of the noise and of the projections). $A^\top y$ shows the
# measurement as a picture. **Reference.** The linear estimate has the least mean squared error of all that are linear
# in $y$, on digits with this mean and covariance: a search pays only where it exceeds that row. *Read* says whether the
# result is a digit and the right one, which PSNR does not. The two can disagree: a blurred mean of several
# digits has a good PSNR, and the nearest training digit is always a digit.
#
# **What it shows.** With these generators, trained for a minute or two each, the search stays below the linear
# estimate in PSNR in every task; its results are read more often, except for the projections. D's term changes nothing
# measurable. The search cannot leave the range of $G$: a generator that was trained longer is the first thing to try.
#
# ## Exercises
# 1. Let $G(z) = m + Bz$ with $BB^\top = C$. Show that the minimum of the objective is the linear estimate with
#    $s = \lambda$.
# 2. Change the number of projections from 10 to 400. Predict where the error of the search stops falling, and why that
#    of the linear estimate does not. Check.
# 3. The objective is not convex. For the hole, print the values that the two restarts reach. Does the lower value give
#    the higher PSNR?
