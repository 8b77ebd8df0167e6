# %% [markdown]
# # 25. Can a generator restore a picture that it was not trained to restore?
#
# You will see a search in the latent space that fills a hole, raises a resolution, removes noise and finds a picture
# from 100 random projections: one function, one generator, and no training for any of these tasks. It is measured on
# 100 held-out digits beside classical methods. (The chapter first trains three generators, for some minutes each;
# while `data/search_generators.npz` is there, it only searches, for about three.)
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
# `backward` of $A$, of $D$ and of $G$ without gradients of weights. This is `objective` in `tinygan.inversion`, and
# `search` is Adam on $z$ from several random starts. Any affine layer is an $A$: its map measures, its adjoint is
# $A^\top$. A lower resolution is `AvgPool2D`, noise alone `Identity`, projections are a `Dense` without bias, a hole is
# `inversion.Mask`. First the smallest case: $G(z) = (z, 2z)$, and only the first number is measured, $y = 1$. The
# minimum of $(z - 1)^2 + \lambda z^2$ is $z = 1/(1 + \lambda)$; it also gives the number that was not measured.

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, data, inversion, metrics, models, optim
from tinygan.data.files import read_npz
from tinygan.layers import AvgPool2D, BatchNorm, Dense, Flatten, Identity, LeakyReLU, Reshape, Tanh
from restoration import HOLE, bicubic, finish, harmonic, linear, measure, nearest, scores, test_digits

SHORT, here = "TINYGAN_SHORT" in os.environ, Path(__file__).parent if "__file__" in globals() else Path()
G1, first = Sequential([Dense(1, 2, bias=False)], input_shape=(1,)), inversion.Mask(np.array([1, 0]))
G1.params["0.W"] = [[1.0, 2.0]]
z1 = inversion.search(np.float32([[1, 0]]), first, G1, lam=0.25, steps=300)
print(f"z = {z1[0, 0]:.3f}, expected {1 / 1.25:.3f}; G(z) = {np.round(G1.forward(z1)[0][0], 3).tolist()}")

# %% [markdown]
# **The generators** are networks of dense layers: a search takes hundreds of passes, and these are fast. They are
# trained with relativistic pairs and R1 + R2 (the stable recipe of this library), and their weights are averaged. The
# file holds them in 8 bits: each weight array as integers of $-127$ to $127$ and one scale.

# %%
LATENT = 64


def networks(seed):
    after = lambda n: [BatchNorm(n), LeakyReLU(0.2)]
    G = [Dense(LATENT, 128), *after(128), Dense(128, 256), *after(256), Dense(256, 784), Tanh(), Reshape((28, 28, 1))]
    return Sequential(G, seed, input_shape=(LATENT,)), models.mlp(rng=seed, width=0.75)[1]


def arrays(name, net):
    """All arrays of a network that the file holds, by their names there."""
    return {f"{name}.{key}": array for part in (net.params, net.state) for key, array in part.items()}


def trained(seeds=3, steps=7000):
    """Three pairs G and D, in 8 bits."""
    stored, steps = {}, 1 if SHORT else steps
    for seed in range(seeds):
        opts = [optim.Adam(optim.cosine(1e-3, steps, 0.1), 0, 0.99) for _ in range(2)]
        gan = GAN(*networks(seed), "relativistic", *opts, rng=seed, penalty="r1+r2",
                  gamma=optim.anneal(1.0, 0.1, steps, 0.5), average=0.999)
        gan.train(data.Batches(train, 64, rng=seed), steps)
        for name, array in (arrays(f"G{seed}", gan.average.net) | arrays(f"D{seed}", gan.D)).items():
            scale = abs(array).max() / 127 or 1
            stored |= {name: np.round(array / scale).astype("int8"), f"{name}.scale": np.float32(scale)}
    return stored


def generator(seed):
    """G and D of this seed."""
    G, D = networks(seed)
    for name, array in (arrays(f"G{seed}", G) | arrays(f"D{seed}", D)).items():
        array[...] = stored[name] * stored[f"{name}.scale"]
    return G, D


def tasks(seed):
    """name: (A, σ). The projections are drawn anew for each seed."""
    mask, project = np.ones((28, 28, 1), "float32"), Dense(784, 100, bias=False)
    mask[HOLE[1:]] = 0
    project.params["W"] = np.random.default_rng(seed).standard_normal((784, 100)) / 10
    return {"hole 14×14": (inversion.Mask(mask), 0), "resolution ×4": (AvgPool2D(4), 0), "noise σ = 1": (Identity(), 1),
            "100 projections": (Sequential([Flatten(), project], dtype="float32"), 0)}


train, PLACE = data.load("mnist5k")[0], dict.fromkeys(tasks(0), ...) | {"hole 14×14": HOLE}
file = here / "data/search_generators.npz"
stored = read_npz(file) if file.exists() else trained()
if not (SHORT or file.exists()):
    np.savez_compressed(file, **stored)
x, labels = test_digits(8 if SHORT else 100)


def search(y, A, G, lam, *d, restarts=4):
    z = inversion.search(y, A, G, lam, *d, restarts=restarts, steps=3 if SHORT else 250)
    return G.forward(z, train=False)[0]


# %% [markdown]
# **The baselines.** *Nothing*: the noisy picture, clipped to the range. *Harmonic*: each missing pixel is the mean of
# its four neighbours (a linear system). *Bicubic*: Keys's cubic kernel (Keys 1981, with $a = -\tfrac12$), in rows, then
# in columns. *Nearest*: that of the 5,000 training digits $x$ with the least $\lVert A x - y\rVert$. *Linear*: the best
# linear estimate for the mean $m$ and the covariance $C$ of the training digits,
#
# $$ \hat x = m + C A^\top (A C A^\top + s I)^{-1} (y - A m) , $$
#
# with $s = \sigma^2$, or $s = 0.1$ without noise (not tuned). They are in `restoration.py`, beside this chapter.
#
# **What $G$ cannot draw.** Let $x = G(z) + e$. After the search, $y - A\,G(z)$ measures $e$ in the same way as $y$
# measures $x$, so the same formula estimates it, with the mean and the covariance of the errors $e$ of training digits
# (found by a search with $A = I$): $\hat x = G(z) + \hat e$. This is the row *with e*. With $G = 0$ it is the linear
# estimate.

# %%
some, (G, _), chosen, GRID = train[::2500 if SHORT else 125], generator(0), {}, (0.03, 0.1, 0.3, 1.0, 3.0)
for task, (A, sigma) in tasks(0).items():                                   # 40 training digits choose λ
    y = measure(some, A, sigma)
    mean = [metrics.psnr(finish(search(y, A, G, lam), y, PLACE[task]), some).mean() for lam in GRID]
    chosen[task] = GRID[int(np.argmax(mean))]
    print(f"{task:16} PSNR on training digits {', '.join(f'λ = {a:g}: {b:.1f}' for a, b in zip(GRID, mean))} dB")

# %%
results, shown = {}, {}
for seed in range(3):
    (G, D), many = generator(seed), train[3::1250 if SHORT else 10]
    errors = many - search(many, Identity(), G, 0.1, restarts=1)
    for task, (A, sigma) in tasks(seed).items():
        y = measure(x, A, sigma, seed)
        drawn = search(y, A, G, chosen[task])
        found = {"nearest": nearest(y, A, train), "linear": linear(y, A, sigma, train).clip(-1, 1)}
        found["search"] = drawn
        if task.startswith("hole"):
            found = {"harmonic": harmonic(y), **found, "with D": search(y, A, G, chosen[task], D, 1.0)}
        found["with e"] = (drawn + linear(y - A.forward(drawn)[0], A, sigma, errors)).clip(-1, 1)
        first = {"resolution ×4": ("bicubic", bicubic), "noise σ = 1": ("nothing", lambda y: y.clip(-1, 1))}.get(task)
        found = ({first[0]: first[1](y)} if first else {}) | found
        shown.setdefault(task, {"original": x, "Aᵀy": A.backward(y, A.forward(x)[1])} | found)
        for method, restored in found.items():
            results.setdefault((task, method), []).append(
                scores(finish(restored, y, PLACE[task]), x, labels, PLACE[task]))
print(f"{'mean and spread of three seeds':30}    PSNR, dB          SSIM   read by the classifier")
for (task, method), values in results.items():
    (a, b, c), (d, e, f) = np.mean(values, 0), np.std(values, 0)
    print(f"{task:16} {method:13} {a:8.1f} ± {d:.1f} {b:10.2f} ± {e:.2f} {c:10.2f} ± {f:.2f}")
read = metrics.classifier.predict(x)[1].argmax(1) == labels
print(f"the originals themselves are read: {read.mean():.2f}")

# %%
fig, some = Figure(figsize=(11, 8.5), dpi=100, layout="constrained"), slice(8)
for ax, (task, rows) in zip(fig.subplots(2, 2).flat, shown.items()):
    strips = [v[some] if name in ("original", "Aᵀy") else finish(v, rows["Aᵀy"], PLACE[task])[some]
              for name, v in rows.items()]
    strips[1] = strips[1] / np.quantile(abs(strips[1]), 0.99)           # Aᵀ changes the scale
    ax.imshow(np.concatenate([np.concatenate(list(s[..., 0]), 1) for s in strips]), cmap="gray", vmin=-1, vmax=1)
    ax.set(title=task, xticks=[], yticks=14 + 28 * np.arange(len(rows)), yticklabels=list(rows))
fig.savefig("25_restoration_search.png")

# %% [markdown]
# ![eight held-out digits, their measurements, and what each method restores](25_restoration_search.png)
#
# Each column is one held-out digit (seed 0 of the generator, of the noise and of the projections). $A^\top y$ shows the
# measurement as a picture. **Reference.** The linear estimate has the least mean squared error of all that are linear
# in $y$, on digits with this mean and covariance: a search pays only where it exceeds that row. *Read* says whether the
# result is a digit and the right one, which PSNR does not: a blurred mean of several digits has a good PSNR, and the
# nearest training digit is always a digit.
#
# **What it shows.** At the low resolution the search is best in PSNR, 16.0 dB against 15.5 dB of the linear estimate,
# and 0.78 of its digits are read against 0.27. With noise and from 100 projections it is best once the error is
# estimated: 17.7 dB as the linear estimate and 0.91 read against 0.62; 19.8 dB against 19.6 dB. In the hole the linear
# estimate has the higher PSNR. $D$'s term changes nothing measurable.
#
# ## Exercises
# 1. Let $G(z) = m + Bz$ with $BB^\top = C$. Show that the minimum of the objective is the linear estimate with
#    $s = \lambda$.
# 2. Change the number of projections from 10 to 400. Predict where the error of the search stops falling, and why that
#    of the linear estimate does not. Check.
# 3. For the hole, print the values that four restarts reach. Does the lower value give the higher PSNR?
