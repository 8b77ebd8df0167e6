# %% [markdown]
# # 21. What lies between two latent vectors, and has the generator memorised its training set?
#
# You will see what the norm of a latent vector does to interpolation, how classes lie in the latent space, and which
# directions change a picture most. Then it is measured whether G copies training digits and whether D knows them by
# heart, for three DCGANs (`data/digit_generators.npz`, $d = 20$), and for three whose training set
# has ten digits. (About two minutes on one core.)
#
# **The shell.** For $z \sim N(0, I_d)$ the sum $\lVert z\rVert^2$ has mean $d$ and variance $2d$. From
# $\sqrt{d + s} \approx \sqrt d + s/(2\sqrt d)$ the norm is near $\sqrt d$ with the deviation
# $\sqrt{2d}/(2\sqrt d) = 1/\sqrt 2$ for any $d$. For independent $a, b$ the product $a^\top b$ has variance $d$: the
# cosine of their angle is about $1/\sqrt d$ in size. The midpoint $(a + b)/2 \sim N(0, I/2)$ has a norm near
# $\sqrt{d/2}$, where for large $d$ hardly any $z$ of the training lies. Spherical interpolation (White 2016) is
#
# $$ \mathrm{slerp}(a, b; t) = \frac{\sin((1 - t)\,\Omega)\, a + \sin(t\,\Omega)\, b}{\sin\Omega}, \qquad
#    \cos\Omega = \frac{a^\top b}{\lVert a\rVert\,\lVert b\rVert} . $$
#
# For large $d$, $\Omega$ is near $\pi/2$ and the factors are nearly $\cos(\tfrac{\pi t}{2})$ and
# $\sin(\tfrac{\pi t}{2})$. With exactly these factors, whose squares add up to 1, the point would be $N(0, I)$ for each
# $t$. The norm of slerp lies between those of $a$ and $b$ (unless $\Omega$ is near $\pi$): it varies less, by ± 0.50.

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, data, metrics, models, optim
from tinygan.data.files import read_npz
from tinygan.metrics.distances import euclidean
from tinygan.run.report import nearest
from restoration import held_out

SHORT, here = "TINYGAN_SHORT" in os.environ, Path(__file__).parent if "__file__" in globals() else Path()
STEPS, N = (1, 10) if SHORT else (450, 500)     # of training on ten digits; samples of each kind
normal = lambda n, d, seed: np.random.default_rng(seed).standard_normal((n, d), dtype="float32")
norm = lambda a: np.linalg.norm(a, axis=-1, keepdims=True)


def slerp(a, b, t):
    """Spherical interpolation of the rows of a and b (N, d)."""
    angle = np.arccos((a * b).sum(-1, keepdims=True) / (norm(a) * norm(b)))
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


print("   d     √d   norm of z     √(d/2)   linear midpoint   spherical midpoint")
for d in (5, 20, 100):
    a, b = normal(10000, d, 0), normal(10000, d, 1)
    row = [f"{norm(v).mean():6.2f} ± {norm(v).std():.2f}" for v in (a, (a + b) / 2, slerp(a, b, 0.5))]
    print(f"{d:4} {d**0.5:6.2f} {row[0]} {(d / 2)**0.5:8.2f}   {row[1]}     {row[2]}")

# %% [markdown]
# **Measured.** Fréchet distance to the training digits in a classifier's features, and the classifier's confidence, of
# the pictures at 500 points of each kind. **Baselines**: samples, and means of two *pictures*.
#
# **Arithmetic** (Radford et al. 2016). Let $\bar z_k$ be the mean of all $z$ whose samples the classifier reads as $k$.
# Does $z + s(\bar z_j - \bar z_i)$ turn an $i$ into a $j$? The baseline is a random step of the length of $s = 2$.
#
# **The Jacobian.** Near $z$ the picture changes by $J\,\delta$ with $J = \partial G/\partial z$, $784 \times d$. `jvp`
# gives $Jt$ for a tangent $t$: with the $d$ unit vectors as a batch, all of $J$. Its right singular vectors $v_k$ are
# the directions that change the picture most, at the rates $s_1 \ge s_2 \ge \dots$, its singular values.

# %%
def generator(seed):
    """The stored game of this seed."""
    G, D = models.dcgan_small(rng=seed, latent=20)
    G.theta, D.theta = (stored[f"{name}{seed}"].astype("float32") for name in "GD")
    for key, array in G.state.items():
        array[...] = stored[f"G{seed}.{key}"]
    return GAN(G, D, rng=seed)


def jacobian(G, z):
    """∂G/∂z at one z (d,), as (pixels, d)."""
    cache = G.forward(np.tile(z, (len(z), 1)), train=False)[1]
    return G.jvp(np.eye(len(z), dtype=z.dtype), cache)[0].reshape(len(z), -1).T


stored, (x, y), (new, new_labels) = read_npz(here / "data/digit_generators.npz"), data.load("mnist5k"), held_out(200)
x, y = (x[::50], y[::50]) if SHORT else (x, y)
predict, games, between, moved = metrics.classifier.predict, [generator(seed) for seed in range(3)], {}, {}
features, new_features = predict(x)[0], predict(new)[0]
for seed, gan in enumerate(games):
    z, a, b, other = (normal(N, 20, 10 * seed + i) for i in range(4))
    kinds = [gan.sample(z=v) for v in (z, (a + b) / 2, slerp(a, b, 0.5))]
    found = [predict(images) for images in (*kinds, (gan.sample(z=a) + gan.sample(z=b)) / 2)]
    for name, (f, p) in zip(("samples", "linear midpoints", "spherical midpoints", "means of pictures"), found):
        between.setdefault(name, []).append((metrics.frechet_distance(f, features), p.max(1).mean()))
    read = found[0][1].argmax(1)
    means = np.stack([z[read == k].mean(0) if (read == k).any() else 0 * z[0] for k in range(10)])
    target = (read + np.random.default_rng(seed).integers(1, 10, N)) % 10
    step = means[target] - means[read]
    for name, dz in {"s = 1": step, "s = 2": 2 * step, "random": 2 * norm(step) * other / norm(other)}.items():
        moved.setdefault(name, []).append((predict(gan.sample(z=z + dz))[1].argmax(1) == target).mean())
for name, rows in between.items():
    print(f"{name:20} Fréchet {' '.join(f'{a:5.2f}' for a, _ in rows)}   confidence {np.mean(rows, 0)[1]:.2f}")
for name, rows in moved.items():
    print(f"arithmetic, {name:6} read as the target: {np.mean(rows):.2f} ± {np.std(rows, ddof=1):.2f}")
for seed, gan in enumerate(games):
    s = np.mean([np.linalg.svd(jacobian(gan.G, z), compute_uv=False) for z in normal(5, 20, seed)], 0)
    print(f"seed {seed}, mean of five z: singular values 1, 2, 3, 10, 20:", *(f"{v:5.1f}" for v in s[[0, 1, 2, 9, 19]]))

# %% [markdown]
# **Does G copy?** Let $d(x)$ be the distance of $x$ to the nearest digit of the training set $T$. If samples have the
# distribution of new digits, so has their $d$, and with $n$ samples and $m$ new digits
#
# $$ U = P\bigl(d(\text{sample}) < d(\text{new})\bigr) \approx
#    \frac{1}{nm} \sum_{i,j} \mathbf 1\bigl[d(x_i) < d(x'_j)\bigr]
#    \quad \text{has mean } \tfrac12, \text{ deviation } \sqrt{(n + m + 1)/(12nm)} $$
#
# (Mann & Whitney 1947; used so by Meehan et al. 2020). Copies have $U$ near 1, samples far from all digits near 0. As
# one class could be copied and another drawn badly, $U$ is also taken within classes and averaged. For D the same
# statistic of logits, $P(\ell(\text{new}) < \ell(\text{training}))$, is ½ if D knows no single training digit.

# %%
def rank(a, b):
    """P(a < b) over all pairs, ties counted as half."""
    return (np.sign(b[None] - a[:, None]).mean() + 1) / 2


def distance(images, T, same=False):
    """Distance of each image to the nearest of T; same: the images are in T, and a digit itself does not count."""
    return np.sort(euclidean(images.reshape(len(images), -1), T.reshape(len(T), -1)), 1)[:, int(same)]


def copying(images, T, same=False):
    """Median distances of images and of new digits to T; U in pixels, in features, and in pixels within classes."""
    (f, p), old, d, e = predict(images), predict(T)[0], distance(images, T, same), distance(new, T)
    inside = [rank(d[a], e[new_labels == k]) for k in range(10) if (a := p.argmax(1) == k).any()]
    in_features = rank(distance(f, old, same), distance(new_features, old))
    return np.median(d), np.median(e), rank(d, e), in_features, np.mean(inside)


few = np.stack([x[y == k][0] for k in range(10)])
adam = lambda lr: optim.Adam(optim.cosine(lr, STEPS, 0.05), beta1=0.0, beta2=0.99)
trained = [GAN(*models.dcgan_small(rng=seed, latent=20, dropout=0), "non_saturating", adam(2e-3), adam(4e-3), rng=seed,
               penalty="r1", gamma=0.05, average=0.98) for seed in range(3)]
for gan in trained:
    gan.train(data.Batches(np.tile(few, (2, 1, 1, 1)), 20, rng=0), STEPS)
rows = {f"5,000 digits, seed {s}": copying(gan.sample(N), x) for s, gan in enumerate(games)}
rows |= {f"ten digits, seed {s}": copying(gan.sample(N), few) for s, gan in enumerate(trained)}
rows["copies with noise"] = copying(x[::10] + 0.1 * normal(len(x[::10]), 784, 0).reshape(-1, 28, 28, 1), x)
rows["other training digits"] = copying(x[::10], x, same=True)
print(f"n = {N}, m = 200, deviation of U for equal distributions {((N + 201) / (12 * N * 200))**0.5:.3f}")
print("                      distance to T: samples, new   U: pixels  features  in classes")
for name, (a, b, *u) in rows.items():
    print(f"{name:22}{a:20.2f}{b:9.2f}{u[0]:11.2f}{u[1]:10.2f}{u[2]:12.2f}")
for name, some, T in ("5,000 digits", games, x[::5]), ("ten digits", trained, few):
    l = [[gan.D.forward(images, train=False)[0][:, 0] for images in (T, new)] for gan in some]
    print(f"D, {name:12}: mean logit of training minus new digits", *(f"{a.mean() - b.mean():6.2f}" for a, b in l),
          "  rank", *(f"{rank(b, a):.2f}" for a, b in l))

# %%
fig, gan, t = Figure(figsize=(11, 5.6), dpi=100, layout="constrained"), games[0], np.linspace(0, 1, 9).tolist()
a, b, c, d = normal(4, 20, 5)
V = np.linalg.svd(jacobian(gan.G, a))[2]
path = [v for p, q in ((a, b), (c, d)) for v in [(1 - s) * p + s * q for s in t] + [slerp(p, q, s) for s in t]]
walk = [a + (4 * s - 2) * V[k] for k in (0, 1, 2, 19) for s in t]
panels = {"from a to b: linear, spherical; c to d: linear, spherical": gan.sample(z=np.stack(path)),
          "a + s·v, s from −2 to 2; rows: v 1, 2, 3, 20": gan.sample(z=np.stack(walk)),
          "5,000 digits: a sample, then its nearest training digits": nearest(gan, x, 4, 8),
          "ten digits: a sample, then its nearest training digits": nearest(trained[0], few, 4, 8)}
for ax, (title, images) in zip(fig.subplots(2, 2).flat, panels.items()):
    ax.imshow(images.reshape(-1, 9, 28, 28).swapaxes(1, 2).reshape(-1, 9 * 28), cmap="gray", vmin=-1, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
fig.savefig("21_latent_space.png")

# %% [markdown]
# ![paths in the latent space, directions of the Jacobian, samples and nearest digits](21_latent_space.png)
#
# Linear midpoints have a larger Fréchet distance than spherical ones with each seed, 10.66 against 9.73 with seed 0,
# where samples have 9.10: with half the variance of $z$ they vary less. By eye the paths look alike, and the confidence
# differs by 0.01; it is highest for means of pictures. Steps between class means reach the target in 0.61 of all cases,
# random steps in 0.07. The first direction changes a picture about thirty times as much as the last.
#
# With 5,000 digits $U \le 0.25$: no sign of copies, but the samples are farther from real digits than new ones are (the
# reference, training digits among the others, has 0.55), and D hardly knows its training set: ranks 0.48 to 0.57. With
# ten digits both have learned by heart: $U \ge 0.99$, D's ranks are 1.00. In features even noisy copies have only 0.54.
#
# ## Exercises
# 1. By which factor must $(1 - t)a + tb$ be multiplied to be $N(0, I)$ for each $t$? Draw this path, too.
# 2. Let a generator copy all zeros and draw the other classes as seed 0 does. Predict $U$ over all and within classes.
# 3. Why is the feature-space $U$ of noisy copies near ½? Measure how far noise of 0.1 moves the features of a digit.
