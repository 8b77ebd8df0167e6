# %% [markdown]
# # 20. How does a GAN draw the digit that one asks for?
#
# You will see the game of a conditional GAN (Mirza & Osindero 2014) derived and followed on two Gaussians, how a label
# enters a network, and a generator of digits whose samples a classifier reads. It is measured beside real digits, a
# Gaussian for each class, and the same GAN with labels for G only. (The chapter trains six GANs, for about six minutes
# on one core.)
#
# **The game.** A sample $x$ comes with a label $y$. G draws $G(z, y)$, with density $p_G(x \mid y)$; D judges pairs:
#
# $$ V(D, G) = \sum_y p(y) \Bigl( \mathbb E_{p(x \mid y)} [\log D(x, y)] +
#    \mathbb E_{p_G(x \mid y)} [\log (1 - D(x, y))] \Bigr) . $$
#
# D may be any function of the pair, so each $y$ is a game of its own. The steps of chapter 9 give
#
# $$ D^\ast(x \mid y) = \frac{p(x \mid y)}{p(x \mid y) + p_G(x \mid y)}, \qquad
#    V(D^\ast, G) = 2 \sum_y p(y)\, \mathrm{JSD}\bigl(p(\cdot \mid y),\, p_G(\cdot \mid y)\bigr) - \log 4 , $$
#
# least where $p_G(x \mid y) = p(x \mid y)$ for each class. A D that does not see $y$ compares $p(x)$ with
# $\sum_y p(y)\, p_G(x \mid y)$: any generator whose classes *together* have the distribution of the data is then a
# solution. Let the fakes have the labels of the real batch: with other shares $q(y)$ the best logit is
# $\log p(x \mid y)/p_G(x \mid y) + \log p(y)/q(y)$, and the second term tells pairs apart by their labels alone.
#
# **Two classes by pencil.** Let $p(x \mid y) = N(2y - 1,\, 1)$ for $y = 0, 1$ with equal shares. G ignores the label
# and is perfect otherwise: $p_G(x \mid y) = p(x)$. By Bayes' rule $p(x \mid 1) = 2\,p(1 \mid x)\,p(x)$, and
# $p(1 \mid x) = \sigma(2x)$, so
#
# $$ D^\ast(x \mid 1) = \frac{2\sigma(2x)}{1 + 2\sigma(2x)}, \qquad
#    \frac{d}{dx} \log D^\ast(x \mid 1) = \frac{2\sigma(-2x)}{1 + 2\sigma(2x)} > 0 . $$
#
# With label 1 each fake is told to move to the right; with label 0, by symmetry, to the left. A D without labels has
# $D^\ast = \tfrac12$ and the gradient 0. A small network is trained on quantiles of the densities, as in chapter 9.

# %%
import os
from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, data, losses, metrics, models, optim
from tinygan.layers import Dense, Tanh, WithLabels, with_classes
from tinygan.ops.pointwise import sigmoid
from tinygan.inversion import Mask
from restoration import held_out

SHORT = "TINYGAN_SHORT" in os.environ
STEPS, BLIND_STEPS, N, SEEDS = (1, 1, 50, 2) if SHORT else (1000, 400, 1000, 3)   # N: samples of each generator
game = losses.get("non_saturating")


def d_objective(D, real, fake):
    """D's loss on pairs (x, label), made by with_classes, and the gradient in its parameters."""
    (r, real_cache), (f, fake_cache), grads = D.forward(real), D.forward(fake), D.zero_grads()
    loss, dr, df = game.d_loss(r, f)
    D.backward(dr, real_cache, grads)
    D.backward(df, fake_cache, grads)
    return loss, grads


q = np.array([[NormalDist(2 * y - 1, 1).inv_cdf((i + 0.5) / 200)] for y in (0, 1) for i in range(200)])
y = np.repeat([0, 1], 200)
real, fake = with_classes(q, y, 2), with_classes(np.tile(q, (2, 1)), np.repeat([0, 1], 400), 2)
best = lambda x: 2 * sigmoid(2 * x) / (1 + 2 * sigmoid(2 * x))
D, adam = Sequential([WithLabels(2), Dense(3, 16), Tanh(), Dense(16, 1)], rng=0, dtype="float64"), optim.Adam(0.02)
for _ in range(10 if SHORT else 1000):
    adam.step(D, d_objective(D, real, fake)[1])
trained = lambda x, y: sigmoid(D.forward(with_classes(x[:, None], [y] * len(x), 2))[0][:, 0])
for a in np.array([-1.0, 0.0, 1.0]):
    print(f"x = {a:2.0f}: D*(x|1) = {best(a):.3f}, trained {trained(a[None], 1)[0]:.3f}; "
          f"D*(x|0) = {best(-a):.3f}, trained {trained(a[None], 0)[0]:.3f}")

# %% [markdown]
# **How a label enters.** `with_classes` appends the one-hot vector $e_y$ to $z$, and `WithLabels`, the first layer of
# both networks, marks it as a label. With row vectors the next layer of G computes, for $z$ of $d$ numbers,
#
# $$ [z,\, e_y]\, W = z\, W_{:d} + W_{d+y} , $$
#
# a learned bias for each class; its gradient $dW_{d+y}$ is the sum of the cotangents of the samples of class $y$. D
# sees $e_y$ as ten more channels, constant over the picture: again a bias for each class. The gradient with respect to
# $e_y$ would be $dy\,W_{d:}^T$, but a label is given, not learned: `backward` of `WithLabels` puts 0 there, and G is
# handed D's gradient in the picture's channels only.

# %%
W, labels = np.array([[1.0, 2.0], [10.0, 20.0], [30.0, 40.0]]), np.array([0, 1, 1])
first, z = Sequential([WithLabels(2), Dense(3, 2, bias=False)], dtype="float64"), np.array([[0.5], [0.5], [-1.0]])
first.params["1.W"] = W
out, cache = first.forward(with_classes(z, labels, 2))
dx, dW = first.backward(dy := np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), cache, g := first.zero_grads()), g["1.W"]
print("zW[:1] + W[1 + y]:", (z @ W[:1] + W[1 + labels]).tolist(), " the layers:", out.tolist())
print("dx:", dx.tolist(), " dW:", dW.tolist(), " dy:", dy.tolist())

# %% [markdown]
# **Digits.** `dcgan_small(classes=10)`, 100 numbers in $z$, on 5,000 digits. In a second, shorter game D's label
# channels are masked, so that labels reach G only. *Read as asked*: the share of samples that the bundled classifier
# reads as the class asked for. *Fréchet*: distance in its features to the training digits, of groups of 200 samples, 20
# of each class. **Reference**: 200 held-out digits. **Baseline**: a Gaussian for each class, with its mean and
# covariance in 50 principal components. Means and standard deviations are over three seeds.

# %%
x, y = data.load("mnist5k")
features, _ = metrics.classifier.predict(x[::50 if SHORT else 2])
asked = np.arange(N) % 10


def measures(images, labels):
    """Share read as asked, and mean Fréchet distance of groups of 200."""
    found, p = metrics.classifier.predict(images)
    distance = [metrics.frechet_distance(found[i:i + 200], features) for i in range(0, len(found), 200)]
    return (p.argmax(1) == labels).mean(), np.mean(distance)


def gaussian(seed, k=50):
    """N samples of the Gaussians of the classes."""
    flat, rng, out = x.reshape(len(x), -1), np.random.default_rng(seed), np.empty((N, 784), "float32")
    axes = np.linalg.svd(flat[::10] - flat.mean(0), full_matrices=False)[2][:k]
    for c in range(10):
        s = (flat[y == c] - flat.mean(0)) @ axes.T
        out[asked == c] = flat.mean(0) + rng.multivariate_normal(s.mean(0), np.cov(s.T), N // 10) @ axes
    return out.clip(-1, 1).reshape(N, 28, 28, 1)


def play(seed, blind=False):
    """A trained game; blind: D does not see the labels."""
    (G, D), steps = models.dcgan_small(rng=seed, classes=10, dropout=0), BLIND_STEPS if blind else STEPS
    if blind:
        D = Sequential([WithLabels(10), Mask(np.broadcast_to(np.arange(11) == 0, (28, 28, 11))), D])
    adam = lambda rate: optim.Adam(optim.cosine(rate, steps, 0.05), beta1=0.0, beta2=0.99)
    gan = GAN(G, D, game, adam(2e-3), adam(4e-3), rng=seed, average=0.99)
    gan.train(data.Batches(x, 32, rng=seed, labels=y), steps)
    return gan


games = {"labels for both": [play(s) for s in range(SEEDS)]}
games["labels for G only"] = [play(s, blind=True) for s in range(SEEDS)]
rows = {name: np.array([measures(g.sample(N, labels=asked), asked) for g in found]) for name, found in games.items()}
rows |= {"Gaussians": np.array([measures(gaussian(s), asked) for s in range(SEEDS)])}
print("                    read as asked         Fréchet")
for name, found in rows.items():
    (a, b), (c, d) = found.mean(0), found.std(0, ddof=1)
    print(f"{name:18} {a:8.3f} ± {c:.3f} {b:9.2f} ± {d:.2f}")
a, b = measures(*held_out(min(N, 200)))
print(f"held-out digits    {a:8.3f}         {b:9.2f}")
for name, G in ("before", models.dcgan_small(rng=0, classes=10)[0]), ("after", games["labels for both"][0].G):
    W = G.params["1.W"]
    label_part, z_part = np.sqrt((W[100:]**2).mean()), np.sqrt((W[:100]**2).sum(0).mean())
    print(f"G's first layer {name:6} training, root mean square of W[d + y] {label_part:.3f}, of zW[:d] {z_part:.3f}")

# %%
fig, grid = Figure(figsize=(11, 3.9), dpi=100, layout="constrained"), np.linspace(-3, 3, 61)
left, *pictures = fig.subplots(1, 3)
for label, style in ((1, "#0072b2"), (0, "#d55e00")):
    left.plot(grid, best((2 * label - 1) * grid), color=style, label=f"D*(x|{label})")
    left.plot(grid[::4], trained(grid[::4], label), "o", color=style, markersize=4, label=f"trained, y = {label}")
left.axhline(0.5, color="grey", linestyle=":", label="D* without labels")
left.set(xlabel="x", ylabel="D", ylim=(-0.02, 1), title="two Gaussians")
left.legend(frameon=False, fontsize=8)
z = np.random.default_rng(0).standard_normal((10, 100), dtype="float32")
for ax, (name, found) in zip(pictures, games.items()):
    drawn = found[0].sample(z=np.tile(z, (10, 1)), labels=np.repeat(np.arange(10), 10)).reshape(10, 10, 28, 28)
    ax.imshow(drawn.transpose(0, 2, 1, 3).reshape(280, 280), cmap="gray", vmin=-1, vmax=1)
    ax.set(title=name, xticks=[], yticks=14 + 28 * np.arange(10), yticklabels=range(10), xlabel="ten z, one per column")
pictures[0].set_ylabel("label asked for")
fig.savefig("20_conditional.png")

# %% [markdown]
# ![the best D of the game on two Gaussians, and digits of both generators](20_conditional.png)
#
# With labels for both networks 0.783 ± 0.062 of the samples are read as asked (Gaussians 0.608), and the Fréchet
# distance is a third of theirs. After six epochs both figures are still far from
# those of real digits. (The settings were chosen on seed 0 and by training digits, among six short runs.) With labels
# for G only the share is 0.104, chance: the right picture shows the same digit in all rows, and no loss reveals it.
#
# **Other mistakes.** *Images shuffled without their labels*: then $p(x \mid y) = p(x)$ in the data, and G learns just
# that; `Batches` shuffles both. *The label's scale*: its part of the first layer is one number beside the $d = 100$ of
# $z$, so it starts at $1/\sqrt d$ of the size, 0.025 against 0.248; training raises it to 0.133 against 0.401. *D
# ignores the label*, as it may at first: then G has no reason to use it. Exercise 2 is a test of this.
#
# ## Exercises
# 1. Let $p_G(x \mid y) = p(x \mid y)$ in the game of two Gaussians, but let ¾ of the fakes have label 1. Which D is the
#    best? Train one with `d_objective` and compare.
# 2. Give both trained D real digits with wrong labels. By how much does the mean logit fall?
# 3. Multiply `W[100:]` of G by 10 before training. Does the share read as asked rise sooner?
