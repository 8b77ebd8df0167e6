# %% [markdown]
# # 27. Can a generator find the ten digits in pictures without labels?
#
# You will see a generator with a code of ten categories learn from pictures alone, while a network Q learns to read the
# code from the picture. Labels only name the categories afterwards; then Q classifies digits that it never saw. (Two
# trained runs are stored in `data/infogan.npz`, and the chapter evaluates them. Without that file it trains three
# seeds, for about 25 minutes on one core, as estimated from its first 1,000 steps.)
#
# **The game** (Chen et al. 2016, eq. 6). G is given noise $z$ and a code $c$: one of ten categories, as one-hot, and
# two numbers, uniform on $[-1, 1]$. Beside D's game, G and Q maximise λ times
#
# $$ L_I(G, Q) = \mathbb{E}_{c,\,z} \log Q(c \mid G(z, c)) + H(c) . $$
#
# **The bound** (eq. 4 and 5). The information needs $P(c \mid x)$, which is unknown. For any other $Q$
#
# $$ I(c; x) = H(c) + \mathbb{E}_x \Bigl[ \mathbb{E}_{c \mid x} \log Q(c \mid x) +
#    \mathrm{KL}\bigl( P(\cdot \mid x) \,\Vert\, Q(\cdot \mid x) \bigr) \Bigr] \ge L_I(G, Q) , $$
#
# with equality for $Q = P$. To draw $c$, then $x$, is to draw from their joint distribution: $L_I$ needs no sample of
# $P(c \mid x)$. The constant $H(c)$ has no gradient. In numbers, for two codes (rows of $P(c, x)$) and three pictures:

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, data, metrics, optim, penalties
from tinygan.data.files import read_npz
from tinygan.errors import ConfigError
from infogan import k_means, networks, read

joint = np.array([[0.35, 0.1, 0.05], [0.05, 0.1, 0.35]])
bound = lambda Q: (joint * np.log(Q)).sum() + np.log(2)
information = (joint * np.log(joint / joint.sum(0) / 0.5)).sum()
print(f"I = {information:.3f}, L_I = {bound(joint / joint.sum(0)):.3f} with Q = P, "
      f"{bound([[0.99, 0.5, 0.01], [0.01, 0.5, 0.99]]):.3f} with a Q that is too sure")

# %% [markdown]
# **Gradients.** Q has ten logits $q$ and one mean $m$ for each number. With the softmax $s$ of $q$ and category $k$,
# $-\log Q(k) = -q_k + \log \sum_j e^{q_j}$; a normal density has
# $-\log Q(c) = \frac{(c - m)^2}{2\sigma^2} + \log\sigma$ up to a constant. Hence
#
# $$ dq = \lambda\,(s - \text{one-hot}_k), \qquad dm = \lambda_c\, \frac{m - c}{\sigma^2}, \qquad
#    d\log\sigma = \lambda_c \Bigl( 1 - \frac{(c - m)^2}{\sigma^2} \Bigr) ; $$
#
# here σ = 1 is fixed. D and Q share a trunk; `Parallel([D's head, Q's head])` gives the columns $\ell, q, m$, and its
# backward adds both paths, $dt = J_\ell^\top d\ell + J_q^\top dq + J_m^\top dm$. From there one pass leads to
# $dx = J_t^\top dt$ and $d\theta_G = J_G^\top dx$: Q's gradient reaches G. `GAN(…, auxiliary=q_loss)` plays this game,
# and both players descend `q_loss`.
#
# **Why should a category be a digit?** The bound is as high for a code of the slant or of the texture. Three
# changes of the paper's game favour classes. The rows and columns of all that D and Q see slide at random (`Slide` in
# `infogan.py`, beside this chapter), and noise is added: then neither slant nor texture tells the code. $z$ has
# σ = 0.1, so two codes are farther apart in G's input than two $z$ (compare Mukherjee et al. 2019). And Q also
# maximises the information between *real* digits and its categories (Krause et al. 2010; Springenberg 2016), since
# G can leave a gap where Q is unsure, and real digits cannot. With $s_n$ of digit $n$ and the mean $\bar s$ of them,
#
# $$ R = \frac1N \sum_{n,j} s_{nj}\, a_{nj}, \qquad a_{nj} = \log\frac{s_{nj}}{\bar s_j}, \qquad
#    dq_{nj} = \frac1N\, s_{nj} \Bigl( a_{nj} - \sum_i s_{ni} a_{ni} \Bigr) , $$
#
# since the derivatives of both logarithms cancel: $\partial R/\partial s_{nj} = (a_{nj} + 1 - 1)/N$.

# %%
SHORT, here = "TINYGAN_SHORT" in os.environ, Path(__file__).parent if "__file__" in globals() else Path()
STEPS = 2 if SHORT else 7000


def latent(z, k, u):
    """Noise z (N, 62), categories k (N,) in 0…9 and numbers u (N, 2) in [−1, 1] as rows (N, 74)."""
    if min(k) < 0 or max(k) > 9 or not abs(u).max() <= 1:
        raise ConfigError(f"expected categories 0 to 9 and numbers in [-1, 1], got {min(k)} to {max(k)} and "
                          f"{u.min():g} to {u.max():g}; Q was trained on no others")
    return np.concatenate([0.1 * z, np.eye(10)[k], u], axis=1)


def rule(rng, shape, dtype):
    """What a step draws: each category as often as the others."""
    k, u = rng.permutation(shape[0]) % 10, rng.uniform(-1, 1, (shape[0], 2))
    return latent(rng.standard_normal((shape[0], 62)), k, u).astype(dtype)


def log_softmax(q):
    shifted = q - q.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def q_loss(columns, z, lam=0.5, lam_c=0.3):
    """−λ log Q of the category − λ_c log Q of the numbers, and its gradient in Q's columns (N, 12)."""
    k, gap, log_s = z[:, 62:72], columns[:, 10:] - z[:, 72:], log_softmax(columns[:, :10])
    loss = -lam * (k * log_s).sum() + lam_c / 2 * (gap**2).sum()
    return loss / len(z), np.concatenate([lam * (np.exp(log_s) - k), lam_c * gap], axis=1) / len(z)


def real_information(q):
    """R of logits q (N, 10), and its gradient."""
    log_s = log_softmax(q)
    s = np.exp(log_s)
    a = log_s - np.log(s.mean(0))
    return (s * a).sum() / len(q), s * (a - (s * a).sum(1, keepdims=True)) / len(q)


class RealInformation(penalties.Penalty):
    """−w R of the real digits, under slides of their own, as a penalty of GAN: added to the loss of D and Q."""

    def __init__(self, weight):
        self.weight = weight

    def backward(self, D, real, fake, grads, rng, now=lambda weight: weight):
        for _, dy, cache in (real, fake):
            D.backward(dy, cache, grads)
        (y, cache), w = D.forward(real[0], rng=rng), now(self.weight)
        R, dq = real_information(y[:, 1:11])
        D.backward(np.pad(-w * dq, ((0, 0), (1, 2))), cache, grads)
        return -w * R


def trained(seed):
    """{name: network} of this seed."""
    # Tried, one seed each: share of training digits named rightly. Seed 0 after 2,000 steps: σ = 1 with translations
    # and no R 0.553, σ = 1 with slides and R 0.637 (both λ = 0.3), σ = 0.1 with slides 0.688 without R, 0.712 with R.
    # Seed 1, slides and R: 0.830 after 5,200 steps. These runs, two of them stored, took R in the pass of D's loss.
    rate, nets = optim.anneal(1e-3, 3e-4, STEPS), networks(seed)
    gan = GAN(*nets.values(), "non_saturating", optim.Adam(rate), optim.Adam(rate), latent=rule, noise_std=0.2,
              penalty=RealInformation(optim.anneal(0.0, 0.4, STEPS, 0.4)), auxiliary=q_loss, rng=seed)
    gan.train(data.Batches(train, 64, rng=seed), STEPS)
    return nets


def names(f):
    """The most frequent training label of each of f's categories."""
    k = f(train)
    return np.array([np.bincount(labels[k == j], minlength=10).argmax() for j in range(10)])


# The unseen digits: MNIST's 10,000 test digits if TINYGAN_MNIST names a folder with its IDX files, else 1,000 of them.
file, folder, (train, labels) = here / "data/infogan.npz", os.environ.get("TINYGAN_MNIST"), data.load("mnist5k")
x, y = data.load(f"idx:{folder}" if folder else str(here / "data/unseen_digits.npz"), held_out=bool(folder))
if SHORT:
    train, labels, x, y = train[::10], labels[::10], x[::10], y[::10]
if file.exists():
    stored = read_npz(file)
    nets = {name: net for seed in range(3) for name, net in networks(seed).items() if f"{name} theta" in stored}
else:
    nets = trained(0) | trained(1) | trained(2)
arrays = {f"{name} {key}": a for name, net in nets.items() for key, a in {"theta": net.theta, **net.state}.items()}
for key, array in arrays.items() if file.exists() else ():
    array[...] = stored[key]
if not (SHORT or file.exists()):
    np.savez_compressed(file, **{key: array.astype("float16") for key, array in arrays.items()})
# The goal of this chapter: at least 0.90.
print(f"share of {len(x)} unseen digits that are named rightly")
for title, methods in {"k-means, seeds 0, 1, 2": [k_means(train, seed) for seed in range(3)],
                       "InfoGAN, the stored seeds": [read(net) for name, net in nets.items() if "D" in name]}.items():
    print(f"{title:26}", *(f"{(names(f)[f(x)] == y).mean():.3f}" for f in methods))
right = metrics.classifier.predict(x[:1000])[1].argmax(1) == y[:1000]
print(f"a classifier that was trained with labels, on the first of them: {right.mean():.3f}")

# %%
fig, given = Figure(figsize=(11, 4.2), dpi=100, layout="constrained"), names(read(nets["D1"]))
k, u = np.repeat(np.arange(10), 10), np.tile(np.linspace(-1, 1, 10), 10)[:, None]
z = np.random.default_rng(0).standard_normal((10, 62))
panels = {"ten different z": (z, [0, 0]), "first number from -1 to 1": (z[:1], [1, 0]),
          "second number from -1 to 1": (z[:1], [0, 1])}
for ax, (title, (z, which)) in zip(fig.subplots(1, 3), panels.items()):
    c = latent(np.tile(z, (100 // len(z), 1)), k, u * which).astype("float32")
    pictures = nets["G1"].forward(c, train=False)[0].reshape(10, 10, 28, 28)
    ax.imshow(pictures.swapaxes(1, 2).reshape(280, 280), cmap="gray", vmin=-1, vmax=1)
    ax.set(title=title, xticks=[], yticks=range(14, 280, 28), yticklabels=[f"{j} → {n}" for j, n in enumerate(given)])
fig.supylabel("category → its name")
fig.savefig("27_infogan.png")

# %% [markdown]
# ![each category in a row: ten z, and each of the two numbers swept](27_infogan.png)
#
# **What it shows**, on all 10,000 test digits. The picture is of seed 1, trained for about 5,200 steps: each category
# is another digit. Q names 0.829 rightly, the best k-means 0.596; a network with labels reads 0.989 of the first 1,000.
# Seed 0 ran for only about 2,200 steps and has 0.712; none of its categories is named 5. **The goal of 0.90 is
# missed**, and two runs of different length do not measure a spread. The most frequent errors of seed 1 on the training
# digits are 5 read as 3, 4 as 9, and 3 as 8.
#
# **What people stumble over.** *Category k is not digit k*: the names come from labels, after training. *The numbers
# are uniform, not normal*, and the picture sweeps them within $[-1, 1]$, outside of which G was never trained.
# *Both players descend Q's loss*, Q in D's step and G in its own. With the sign of one swapped, that player makes the
# code harder to read.
#
# ## Exercises
# 1. Show that $L_I$ does not change if two categories exchange their names in G and in Q. Why can training not make
#    category 7 the digit 7?
# 2. Let Q give $\log\sigma$ of each number, too. Extend `q_loss` by the third gradient above, and check it.
# 3. Leave out `Slide` and look at the rows of the picture: what does a category mean now?
