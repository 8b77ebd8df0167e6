# %% [markdown]
# # 27. Can a generator find the ten digits in pictures without labels?
#
# You will see a generator with a code of ten categories learn from pictures alone, while a network Q learns to read the
# code from the picture. Labels only name the categories afterwards; then Q classifies digits that it never saw. (Three
# trained seeds are stored in `data/infogan.npz`. Without that file the chapter trains them again,
# for about 12 minutes on one core.)
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
from tinygan.ops.random import source
from infogan import k_means, log_softmax, networks, read, view

joint = np.array([[0.35, 0.1, 0.05], [0.05, 0.1, 0.35]])
bound = lambda Q: (joint * np.log(Q)).sum() + np.log(2)
print(f"I = {(joint * np.log(joint / joint.sum(0) / 0.5)).sum():.3f}, L_I = {bound(joint / joint.sum(0)):.3f} with "
      f"Q = P, {bound([[0.99, 0.5, 0.01], [0.01, 0.5, 0.99]]):.3f} with a Q that is too sure")

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
# $dx = J_t^\top dt$ and $d\theta_G = J_G^\top dx$: Q's gradient reaches G. `GAN(…, auxiliary=q_loss)` plays it.
#
# **Why should a category be a digit?** $L_I$ is as high for a code of the slant or of the thickness. So Q also reads
# *real* digits, a term that InfoGAN does not have: two views of each digit (turned, slanted, zoomed and moved at
# random, with noise; `view` in `infogan.py`, beside this chapter) give two softmax rows $s_n$ and $t_n$. Over N digits,
#
# $$ P = \frac1{2N} \sum_n \bigl( s_n t_n^\top + t_n s_n^\top \bigr), \qquad p_j = \sum_k P_{jk} $$
#
# is the joint distribution of both views' categories $k$ and $k'$. Q maximises their mutual information (Ji et al.
# 2019) and, so that no two digits share a category, twice the entropy of $k$:
#
# $$ J = I(k; k') + 2 H(k) = \sum_{j,k} P_{jk}\, a_{jk}, \qquad a_{jk} = \log P_{jk} - 2 \log p_j - 2 \log p_k . $$
#
# $J$ has its maximum, 3 log 10, where both views always give one category, without doubt, and all ten are equally
# frequent. The last is what Q is told about digits: the 5,000 have 500 of each. $\partial J/\partial P_{jk}$ is
# $a_{jk}$ plus a constant, which the softmax removes, since each row $t_n$ has the sum 1. As $a$ is symmetric,
#
# $$ ds_n = \frac1N\, a\, t_n, \qquad dq_n = s_n \odot \bigl( ds_n - \langle s_n, ds_n \rangle \bigr) , $$
#
# and likewise for $t_n$. The views get no gradient. $z$ has σ = 0.3, so that the code counts more in G.

# %%
SHORT, here = "TINYGAN_SHORT" in os.environ, Path(__file__).parent if "__file__" in globals() else Path()
STEPS = 2 if SHORT else 3000


def latent(z, k, u):
    """Noise z (N, 62), categories k (N,) in 0…9 and numbers u (N, 2) in [−1, 1] as rows (N, 74)."""
    if min(k) < 0 or max(k) > 9 or not abs(u).max() <= 1:
        raise ConfigError(f"expected categories 0 to 9 and numbers in [-1, 1], got {min(k)} to {max(k)} and "
                          f"{u.min():g} to {u.max():g}; Q was trained on no others")
    return np.concatenate([0.3 * z, np.eye(10)[k], u], axis=1)


def rule(rng, shape, dtype):
    """What a step draws: each category as often as the others."""
    k, u = rng.permutation(shape[0]) % 10, rng.uniform(-1, 1, (shape[0], 2))
    return latent(rng.standard_normal((shape[0], 62)), k, u).astype(dtype)


def q_loss(columns, z, lam=0.5, lam_c=1.0):
    """−λ log Q of the category − λ_c log Q of the numbers, and its gradient in Q's columns (N, 12)."""
    k, gap, log_s = z[:, 62:72], columns[:, 10:] - z[:, 72:], log_softmax(columns[:, :10])
    loss = -lam * (k * log_s).sum() + lam_c / 2 * (gap**2).sum()
    return loss / len(z), np.concatenate([lam * (np.exp(log_s) - k), lam_c * gap], axis=1) / len(z)


def real_information(q, r):
    """J of the logits q and r (N, 10) of two views, and its gradients in both."""
    s, t = np.exp(log_softmax(q)), np.exp(log_softmax(r))
    P = (s.T @ t + t.T @ s) / (2 * len(q)) + 1e-12      # so that log P is finite
    log_p = np.log(P.sum(1))
    a = np.log(P) - 2 * log_p[:, None] - 2 * log_p
    through = lambda s, ds: s * (ds - (s * ds).sum(1, keepdims=True))
    return (P * a).sum(), through(s, t @ a / len(q)), through(t, s @ a / len(q))


class RealInformation(penalties.Penalty):
    """−w J of 128 of the digits x, as a penalty of GAN: added to the loss of D and Q."""

    def __init__(self, x, weight=1.0):
        self.x, self.weight = x, weight

    def backward(self, D, real, fake, grads, rng, now=lambda weight: weight):
        rng = source(rng).generator
        x = self.x[rng.permutation(len(self.x))[:128]]
        (y, cache), (y2, cache2) = D.forward(view(x, rng)), D.forward(view(x, rng))
        J, *both = real_information(y[:, 1:11], y2[:, 1:11])
        dy, dy2 = (np.pad(-self.weight * dq, ((0, 0), (1, 2))) for dq in both)
        for _, dy, cache in (real, fake, (x, dy, cache), (x, dy2, cache2)):
            D.backward(dy, cache, grads)
        return -self.weight * J


def trained(seed, weight=1.0):
    """{name: network} of this seed; λ and λ_c grow from 0, so that categories follow real digits first."""
    # Found with the labels of the training digits. Share of these that seed 0 names rightly: 0.981; 0.704 without J
    # (weight=0); 0.983 without Q's loss on drawn digits. In 1,200 steps: σ = 1 for z has 0.923, seed 1, 0.3 has 0.972;
    # D and Q with J alone, without a game, 0.956; with I in the place of J (600 steps, a second head of 40) 0.681.
    rate, grown, nets = optim.cosine(1.5e-3, STEPS, 0.1), optim.anneal(0.0, 1.0, STEPS, 0.4), networks(seed)
    auxiliary = lambda y, z: q_loss(y, z, 0.5 * grown(gan.steps), grown(gan.steps))
    gan = GAN(*nets.values(), "non_saturating", optim.Adam(rate), optim.Adam(rate), latent=rule, noise_std=0.2,
              penalty=RealInformation(train, weight), auxiliary=auxiliary, rng=seed)
    gan.train(data.Batches(train, 64, rng=seed), STEPS)
    return nets


def names(f):
    """The most frequent training label of each of f's categories."""
    k = f(train)
    return np.array([np.bincount(labels[k == j], minlength=10).argmax() for j in range(10)])


# The unseen digits: MNIST's 10,000 test digits if TINYGAN_MNIST names a folder with its IDX files, else 1,000 of them.
file, folder, (train, labels) = here / "data/infogan.npz", os.environ.get("TINYGAN_MNIST"), data.load("mnist5k")
x, y = data.load(f"idx:{folder}" if folder else str(here / "data/unseen_digits.npz"), held_out=bool(folder))
train, labels, x, y = (array[::10 if SHORT else 1] for array in (train, labels, x, y))
nets = {name: net for seed in range(3) for name, net in (networks if file.exists() else trained)(seed).items()}
arrays = {f"{name} {key}": a for name, net in nets.items() for key, a in {"theta": net.theta, **net.state}.items()}
if not (SHORT or file.exists()):
    np.savez_compressed(file, **{key: array.round(3).astype("float16") for key, array in arrays.items()})
for key, array in read_npz(file).items() if file.exists() else ():
    arrays[key][...] = array


def line(title, shares):
    print(f"{title:40}", *(f"{share:.3f}" for share in shares), f"  mean {np.mean(shares):.3f} ± {np.std(shares):.3f}")


print(f"share of {len(x)} unseen digits that are named rightly (goal: at least 0.90), three seeds")
line("k-means", [(names(f)[f(x)] == y).mean() for f in (k_means(train, seed) for seed in range(3))])
given = [names(read(nets[f"D{seed}"])) for seed in range(3)]
line("InfoGAN with J", [(given[seed][read(nets[f"D{seed}"])(x)] == y).mean() for seed in range(3)])
said = lambda x: metrics.classifier.predict(x)[1].argmax(1)
print(f"a classifier that was trained with labels, on the first of them: {(said(x[:1000]) == y[:1000]).mean():.3f}")
z = rule(np.random.default_rng(0), (len(train) // 5, 74), "float32")
line("drawn digits that it reads as the name", [(said(nets[f"G{seed}"].forward(z, train=False)[0]) ==
                                                 given[seed][z[:, 62:72].argmax(1)]).mean() for seed in range(3)])

# %%
fig = Figure(figsize=(11, 4.2), dpi=95, layout="constrained")
k, u = np.repeat(np.arange(10), 10), np.tile(np.linspace(-1, 1, 10), 10)[:, None]
z = np.random.default_rng(0).standard_normal((10, 62))
panels = {"ten different z": (z, [0, 0]), "first number from -1 to 1": (z[:1], [1, 0]),
          "second number from -1 to 1": (z[:1], [0, 1])}
for ax, (title, (z, which)) in zip(fig.subplots(1, 3), panels.items()):
    c = latent(np.tile(z, (100 // len(z), 1)), k, u * which).astype("float32")
    pictures = nets["G0"].forward(c, train=False)[0].reshape(10, 10, 28, 28)
    ax.imshow(pictures.swapaxes(1, 2).reshape(280, 280), cmap="gray", vmin=-1, vmax=1)
    ax.set(title=title, xticks=[], yticks=range(14, 280, 28), yticklabels=[f"{j} → {given[0][j]}" for j in range(10)])
fig.supylabel("category → its name")
fig.savefig("27_infogan.png")

# %% [markdown]
# ![each category in a row: ten z, and each of the two numbers swept](27_infogan.png)
#
# **What it shows**, on all 10,000 test digits. Q names 0.969 rightly, the mean of three seeds (the goal was 0.90);
# k-means has 0.586, a network with labels 0.989 of the first 1,000. Seed 1 has less, 0.953: it confuses 4 and 9.
#
# **What is InfoGAN's part?** Seed 0 names 0.981 of the training digits rightly, 0.704 without J, and 0.983 without Q's
# loss on drawn digits. So the accuracy is that of J on real digits; InfoGAN's own loss does not raise it. Its part is a
# G that draws a digit on demand: 0.880 of its digits are read as the name of their category. The picture is of seed 0.
#
# **What people stumble over.** *Category k is not digit k*: the names come from labels, after training. *Both players
# descend Q's loss*, each in its own step. With the sign of one swapped, that player makes the code harder to read.
#
# ## Exercises
# 1. Show that $L_I$ stays if two categories exchange names. Why can training not make category 7 the digit 7?
# 2. Let Q give $\log\sigma$ of each number, too. Extend `q_loss` by the third gradient above, and check it.
# 3. Let `view` return its input with noise alone. What do the categories mean now, and why can $J$ be as high?
