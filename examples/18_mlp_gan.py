# %% [markdown]
# # 18. What can a GAN of dense layers learn about digits?
#
# You will see the first GAN (Goodfellow et al. 2014, section 5) in its simplest form, with dense layers only: how many
# parameters it has, how the gradient gets from D's logit to G's first layer, and what its samples are worth beside two
# baselines. Then you will see what it cannot know: which pixels are neighbours. (Three minutes on one core.)
#
# **Two players.** Rows are samples, $\phi$ is LeakyReLU with slope $0.2$, a picture is a row of 784 pixels:
#
# $$ h_1 = \phi(z A_1 + a_1), \quad h_2 = \phi(h_1 A_2 + a_2), \quad x = \tanh(h_2 A_3 + a_3); \qquad
#    g = \phi(x B_1 + b_1), \quad \ell = g B_2 + b_2 . $$
#
# A dense layer from $n$ to $m$ numbers has $nm + m$ parameters. (In the paper of 2014, D has maxout units and dropout,
# and G has ReLU and sigmoids.)

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, inspect, losses, models, optim
from tinygan.data import Batches
from tinygan.ops.pointwise import sigmoid
from digit_samples import draw, gaussian, sheet, split, spread, table

SHORT = "TINYGAN_SHORT" in os.environ
STEPS, COUNT, SEEDS = (8, 100, 2) if SHORT else (4000, 1000, 3)
loss, slope = losses.get("non_saturating"), lambda u: np.where(u > 0, 1, 0.2)
phi = lambda u: slope(u) * u
G, D = models.mlp(rng=0)
for name, net in dict(G=G, D=D).items():
    shapes = [W.shape for W in net.params.values() if W.ndim == 2]
    print(f"{name}:", *(f"{n}·{m} + {m} = {n * m + m:,}," for n, m in shapes), f"in all {net.theta.size:,} parameters")

# %% [markdown]
# **The gradient that reaches G.** G descends $L_G = -\frac1N\sum \log\sigma(\ell)$. It never sees a digit: all that it
# learns comes through D. Write $du_i$ for the gradient in the argument of an activation. The chain rule, from the logit
# backwards through D, whose $B_1, B_2$ are constants here, and on through G ($\phi'$ at each layer's own argument):
#
# $$ d\ell = \frac{\sigma(\ell) - 1}{N}, \qquad dx = \bigl(d\ell\, B_2^T \odot \phi'\bigr) B_1^T , $$
# $$ du_3 = dx \odot (1 - x^2), \qquad du_2 = du_3 A_3^T \odot \phi', \qquad du_1 = du_2 A_2^T \odot \phi' , $$
# $$ dA_3 = h_2^T du_3, \qquad dA_2 = h_1^T du_2, \qquad dA_1 = z^T du_1 . $$
#
# By pencil, with $z = 1$, $A_1 = 1$, $A_2 = (0.5, -1)$, $A_3 = (1, 1)^T$, $B_1 = 2$, $B_2 = -1$ and no biases:
# $h_1 = 1$, $h_2 = (0.5, -0.2)$, $x = \tanh(0.5 - 0.2)$, $g = 2x$, $\ell = -2x$, and

# %%
def by_hand(G, D, z):
    """The arrays of the equations above."""
    (A1, a1, A2, a2, A3, a3), (B1, b1, B2, b2) = ([net.params[key] for key in net.params] for net in (G, D))
    h1 = phi(z @ A1 + a1)
    h2 = phi(h1 @ A2 + a2)
    x = np.tanh(h2 @ A3 + a3)
    g = phi(x @ B1 + b1)
    dl = (sigmoid(g @ B2 + b2) - 1) / len(z)
    dx = (dl @ B2.T * slope(g)) @ B1.T                  # g, h1, h2 have the signs of their u
    du3 = dx * (1 - x**2)
    du2 = du3 @ A3.T * slope(h2)
    du1 = du2 @ A2.T * slope(h1)
    return dict(x=x, dl=dl, dx=dx, du3=du3, du2=du2, du1=du1, dA3=h2.T @ du3, dA2=h1.T @ du2, dA1=z.T @ du1)


def g_objective(G, D, z):
    """L_G, the gradient in G's parameters and in z."""
    x, g_cache = G.forward(z)
    logits, d_cache = D.forward(x)
    (value, dl), grads = loss.g_loss(logits), G.zero_grads()
    return value, grads, G.backward(D.backward(dl, d_cache), g_cache, grads)    # D.backward without grads: dx only


g, d = models.mlp(width=1 / 256, latent=1, image=(1, 1, 1), dtype="float64")
g.theta, d.theta = np.array([1, 0, 0.5, -1, 0, 0, 1, 1, 0]), np.array([2.0, 0, -1, 0])
print(*(f"{name} {np.round(a.ravel(), 3).tolist()}  " for name, a in by_hand(g, d, np.ones((1, 1))).items()))
z = np.random.default_rng(0).standard_normal((128, 100))
large, grads = by_hand(G, D, z), g_objective(G.astype("float64"), D.astype("float64"), z)[1]
print("the library's gradients of the large pair, to 1e-12:",
      all(np.allclose(large[f"dA{k}"], grads[f"{2 * k - 2}.W"], rtol=1e-12, atol=1e-15) for k in (1, 2, 3)))

# %% [markdown]
# **Why tanh, and pictures in [−1, 1]?** Pixels are bounded; if samples were not, D could tell them by their range. As
# $\tanh u = 2\sigma(2u) - 1$, this is the sigmoid for pictures in [0, 1], stretched. A new G draws grey, $u \approx 0$,
# where the slope $1 - x^2$ is 1. The price: most pixels of a digit are −1, which tanh reaches only as
# $u \to -\infty$, where the slope goes to 0.
#
# **What the losses mean.** $L_D = -\operatorname{mean}\log D(x) - \operatorname{mean}\log(1 - D(G(z)))$ is
# $2\log 2 \approx 1.386$ if D answers ½ to everything, and $L_G$ is then $\log 2 \approx 0.693$. A small $L_D$ says
# that D wins, not that samples are bad. By Goodfellow et al. 2014, Theorem 1 ([chapter 9](09_optimal_discriminator.md))
# the expected $L_D$ on digits that D was not trained on bounds the divergence: $\mathrm{JSD} \ge \log 2 - L_D/2$.

# %%
def d_objective(D, x, fake):
    """L_D, the gradient in D's parameters, the means of D(x) and D(G(z))."""
    (real, real_cache), (logits, cache), grads = D.forward(x), D.forward(fake), D.zero_grads()
    value, d_real, d_fake = loss.d_loss(real, logits)
    D.backward(d_real, real_cache, grads)
    D.backward(d_fake, cache, grads)
    return value, grads, sigmoid(real).mean(), sigmoid(logits).mean()


def play(G, D, x, steps, seed):
    """Algorithm 1, one step of each player; (L_D, L_G, D(x), D(G(z))) of all steps, and samples of some."""
    batches, rng, history, shots = Batches(x, 32, rng=seed), np.random.default_rng(seed), [], {}
    g_opt, d_opt = optim.Adam(1e-3, beta1=0.5), optim.Adam(1e-3, beta1=0.5)
    noise = lambda: rng.standard_normal((32, 100)).astype(x.dtype)
    for step in range(1, steps + 1):
        d_loss, grads, real, fake = d_objective(D, next(batches), G.forward(noise())[0])
        d_opt.step(D, grads)
        g_loss, grads, _ = g_objective(G, D, noise())
        g_opt.step(G, grads)
        history.append((d_loss, g_loss, real, fake))
        if step in (steps // 8, steps // 4, steps // 2, steps):
            shots[f"step {step}"] = G.forward(z[:10].astype(x.dtype))[0]
    return np.array(history), shots


train, other, _, _ = split(SHORT)
pairs = [models.mlp(rng=seed) for seed in range(SEEDS)]
games = [play(*pair, train, STEPS, seed) for seed, pair in enumerate(pairs)]
samples = [draw(G, COUNT, 100 + seed) for seed, (G, _) in enumerate(pairs)]
bound = [[np.log(2) - d_objective(D, other, fake)[0] / 2] for (_, D), fake in zip(pairs, samples)]
print(f"log 2 − L_D/2 on {len(other)} digits not trained on: {spread(bound, 2)}")
print("\nnorm of ∂L_G/∂output    new  trained")
both = [inspect.layers(Sequential([G.copy(), D.copy()]), z.astype("float32"), lambda l: loss.g_loss(l)[1])
        for G, D in (models.mlp(rng=0), pairs[0])]
for a, b in [*zip(*both)][:0:-1]:
    note = "mean of 1 − x²:" + "".join(f" {(1 - c.output**2).mean():.2f}" for c in (a, b)) if "Tanh" in a.name else ""
    print(f"{'GD'[int(a.name[0])]}, layer {a.name[2:]:12} {a.norms[1]:.5f} {b.norms[1]:.5f}  {note}")

# %% [markdown]
# **Without neighbours.** Renumber the pixels by any permutation: permute the columns of $A_3$ and $a_3$, the rows of
# $B_1$ and the pixels of all digits. Then $\ell$ and all gradients are the same (permuted), and Adam treats each
# weight alone. So both games stay the same for ever: to this GAN, digits are as hard as digits with shuffled pixels.

# %%
order, mixed = np.random.default_rng(0).permutation(784), models.mlp(rng=0, dtype="float64")
for net, key in zip((*mixed[:1], *mixed), ("4.W", "4.b", "1.W")):
    net.params[key] = net.params[key].take(order, axis=0 if key == "1.W" else -1)
shuffle = lambda a: a.reshape(-1, 784)[:, order].reshape(a.shape)
two = [play(*pair, digits.astype("float64"), 8, 0)[1]["step 8"] for pair, digits in (
    (models.mlp(rng=0, dtype="float64"), train), (mixed, shuffle(train)))]
print("after 8 steps, the samples of both games agree to 1e-12:", np.allclose(shuffle(two[0]), two[1], atol=1e-12))
draws = [gaussian(train, COUNT, np.random.default_rng(seed)) for seed in range(SEEDS)]
table({"GAN, samples": samples, "Gaussian in pixels": draws, "mean digit": [0 * samples[0] + train.mean(0)],
       "training digits": [train[k::4][:COUNT] for k in range(SEEDS)]}, other)

# %%
fig, rows = Figure(figsize=(11, 4.6), dpi=100, layout="constrained"), {**games[0][1], "Gaussian": draws[0]}
ax, rows["digits"] = fig.subplot_mosaic([["x", "L"], ["x", "D"]], width_ratios=(4, 3)), other[::len(other) // 10]
ax["x"].imshow(sheet([row[:10] for row in rows.values()]), cmap="gray", vmin=-1, vmax=1)
ax["x"].set(title="seed 0", xticks=[], yticks=14 + 28 * np.arange(len(rows)), yticklabels=list(rows))
mean = games[0][0].reshape(100 if STEPS > 100 else STEPS, -1, 4).mean(1)
for k, (name, guess) in enumerate({"$L_D$": np.log(4), "$L_G$": np.log(2), "$D(x)$": 0.5, "$D(G(z))$": 0.5}.items()):
    at, colour = ax["LLDD"[k]], ("#0072b2", "#d55e00")[k % 2]
    at.plot(np.linspace(0, STEPS, len(mean)), mean[:, k], color=colour, label=name)
    at.axhline(guess, color=colour, linestyle=":")
    at.set(xlabel="step", ylabel=("loss, nats", "mean probability")[k // 2])
    at.legend()
fig.savefig("18_mlp_gan.png")

# %% [markdown]
# ![samples over training beside digits, and the curves of losses and probabilities](18_mlp_gan.png)
#
# D wins for the first 150 steps. Then $L_D$ stays a little below its dotted value of guessing and $L_G$ about half
# above its own, while the samples turn from noise into digits: **the losses do not measure the samples**. The bound on
# the JSD, 0.04 of at most $\log 2$, only says that D separates them badly. A trained G loses more of the gradient: tanh
# passes a third of its norm (0.01244 of 0.03436, at first 0.05491 of 0.05854), since most pixels are near ±1.
#
# The Fréchet distance, 28.36, is half that of the Gaussian and far from that of training digits, 0.31. A precision of
# 0.65 with a recall of 0.03 says that many samples look like digits, and that they cover few of the ways to write one.
# **Salt**: a sample has 6.30 isolated bright pixels, a digit 0.02, the Gaussian 0.14; neighbouring pixels differ more,
# too (0.243 against 0.151). Each pixel has 512 weights of its own in $A_3$, and nothing ties it to the pixels beside
# it. [Chapter 19](19_dcgan_layers.md) ties them. (At the rate 2e-4, a run of 1,400 steps drew one class only.)
#
# ## Exercises
# 1. Show that $dx$ of two samples with the same signs of $x B_1 + b_1$ differ by a factor only. How many different
#    directions can $D$ give at most?
# 2. Sample from averaged weights: `optim.Average` of G with a decay near 1, updated after each step. What happens to
#    the isolated pixels, and why?
# 3. Replace tanh by the identity and repeat. What do $L_D$ and the pixels' range do?
