# %% [markdown]
# # 16. Does a critic with a gradient penalty measure the Wasserstein distance?
#
# You will see the Wasserstein distance of two samples on a line, where sorting gives it exactly, and its dual, which a
# network called the critic maximises. Without a bound on its slope the critic's estimate grows for ever; with the
# penalty of WGAN-GP it stays near the distance, a little above it, by an amount that can be derived.
# (The chapter trains for about ten seconds on one core.)
#
# **The distance.** $W_1(p, q)$ is the least mean distance over which one has to move the mass of $q$ to turn it into
# $p$. On a line nothing is gained by letting two paths cross, so with $n$ samples of each, both sorted,
#
# $$ W_1 = \frac1n \sum_i |x_{(i)} - y_{(i)}| = \int |P(t) - Q(t)|\, dt , $$
#
# where $P$ and $Q$ are the distribution functions: at each point $t$ the mass $|P(t) - Q(t)|$ has to pass.
#
# **The dual** (Kantorovich & Rubinstein 1958; Arjovsky et al. 2017, eq. 2). For a function $f$ integration by parts
# gives
#
# $$ \mathbb E_p f - \mathbb E_q f = \int f\,(p - q)\,dt = \int f'\,(Q - P)\,dt . $$
#
# If $|f'| \le 1$ everywhere ($f$ is 1-Lipschitz) this is at most $\int |Q - P|\,dt = W_1$, and it is equal to $W_1$ for
# $f' = \mathrm{sign}(Q - P)$. So $W_1 = \max_{|f'| \le 1} \mathbb E_p f - \mathbb E_q f$, and the critic's loss
# $\mathbb E_q f - \mathbb E_p f$ is $-W_1$ at best. The generator gets the gradient $f' = \pm 1$, however far it is.
#
# **The penalty** (Gulrajani et al. 2017, eq. 3) adds $\lambda\,\mathbb E_{\hat x}(|f'(\hat x)| - 1)^2$ at random points
# $\hat x = \epsilon x + (1 - \epsilon) y$ between real and fake samples. Let $\rho$ be the density of $\hat x$. On a
# line the critic's loss is then
#
# $$ \int -f'\,(Q - P) + \lambda\rho\,(|f'| - 1)^2\; dt , $$
#
# and $f'$ may be chosen at each $t$ alone. The derivative with respect to $|f'|$ vanishes at
#
# $$ |f'| = 1 + \frac{|Q - P|}{2\lambda\rho} , \qquad
#    \mathbb E_p f - \mathbb E_q f = W_1 + \int \frac{(Q - P)^2}{2\lambda\rho}\, dt . $$
#
# The penalised critic is too steep, and its estimate too large by a term of order $1/\lambda$. For two points at the
# distance $d$, $|Q - P| = 1$ and $\rho = 1/d$ between them: the slope is $1 + d/2\lambda$, the estimate
# $d + d^2/2\lambda$.

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, losses, optim, penalties
from tinygan.layers import Dense, LeakyReLU

SHORT = "TINYGAN_SHORT" in os.environ
wasserstein = losses.get("wasserstein")


def train(D, x, y, steps, lam=0.0, clip=None, lr=2e-3, seed=0):
    """Steps of the critic on all samples. Returns E_p f − E_q f before each step."""
    rng, history = np.random.default_rng(seed), []
    opt = optim.Adam(optim.cosine(lr, steps, 0.01), 0.5, 0.99)
    for _ in range(steps if not SHORT else 20):
        (r, real_cache), (f, fake_cache) = D.forward(x), D.forward(y)
        loss, dr, df = wasserstein.d_loss(r, f)
        grads = D.zero_grads()
        D.backward(dr, real_cache, grads)
        D.backward(df, fake_cache, grads)
        if lam:
            penalties.wgan_gp(D, x, rng.permutation(y), lam, grads, rng=rng)
        opt.step(D, grads)
        if clip:
            D.theta = D.theta.clip(-clip, clip)
        history.append(-float(loss))
    return history


def slope(D, t):
    """f′ at the points t (n,)."""
    f, cache = D.forward(t[:, None])
    return D.backward(np.ones_like(f), cache)[:, 0]


two_points = Sequential([Dense(1, 1)], rng=0, dtype="float64")
d, lam = 2.0, 10.0
estimate = train(two_points, np.array([[d]]), np.array([[0.0]]), 1000, lam, lr=0.05)[-1]
print(f"two points, d = 2, λ = 10: slope {two_points.params['0.W'].item():.2f}, in theory {1 + d / (2 * lam):.2f}")
print(f"                           estimate {estimate:.2f}, in theory {d + d * d / (2 * lam):.2f}")

# %% [markdown]
# ## Two modes and one
# The data has two modes, at $-2$ and $2$; the generator's samples lie between, around $0$. Half of the mass has to move
# to each side, so $f'$ changes its sign in the middle. Below, $\rho$ is computed from all pairs of samples: between $x$
# and $y$ the density of $\hat x$ is $1/|x - y|$.

# %%
rng, n = np.random.default_rng(0), 200
x = np.concatenate([rng.normal(-2, 0.3, (n // 2, 1)), rng.normal(2, 0.3, (n // 2, 1))])
y = rng.normal(0, 0.5, (n, 1))
t = np.linspace(-3, 3, 601)
distance = abs(np.sort(x, axis=0) - np.sort(y, axis=0)).mean()
flow = (y <= t).mean(0) - (x <= t).mean(0)                              # Q − P
low, high = np.minimum(x, y.T).reshape(-1, 1), np.maximum(x, y.T).reshape(-1, 1)
rho = np.mean(((low <= t) & (t <= high)) / (high - low), axis=0)


def in_theory(lam):
    """The slope of the best critic at t, and its estimate of the distance."""
    moved = abs(flow) > 0
    excess = np.where(moved, abs(flow) / (2 * lam * np.where(moved, rho, 1)), 0)
    best = np.sign(flow) * (1 + excess)
    return best, (best * flow).sum() * (t[1] - t[0])


print(f"W₁ by sorting {distance:.3f}, by ∫|P − Q| {abs(flow).sum() * (t[1] - t[0]):.3f}")
CRITICS = {"no bound": {}, "weights clipped at 0.1": {"clip": 0.1}, "penalty, λ = 1": {"lam": 1.0},
           "penalty, λ = 10": {"lam": 10.0}}
critics, histories = {}, {}
for name, options in CRITICS.items():
    critics[name] = Sequential([Dense(1, 64, init="he"), LeakyReLU(0.2), Dense(64, 64, init="he"), LeakyReLU(0.2),
                                Dense(64, 1)], rng=1, dtype="float64")
    critics[name].params["0.b"] = np.random.default_rng(2).uniform(-3, 3, 64)       # kinks at many t, not all at 0
    histories[name] = train(critics[name], x, y, 1000, **options)
    theory = f", in theory {in_theory(options['lam'])[1]:.1f}" if "lam" in options else ""
    steepest = abs(slope(critics[name], t)).max()
    print(f"{name:22} estimate {histories[name][-1]:7.2g}{theory}, largest slope {steepest:7.2g}")

# %%
fig = Figure(figsize=(11, 4), dpi=100, layout="constrained")
left, middle, right = fig.subplots(1, 3)
left.fill_between(t, (x <= t).mean(0), (y <= t).mean(0), color="#dddddd", label="between: W₁")
left.plot(t, (x <= t).mean(0), color="#0072b2", label="P, data")
left.plot(t, (y <= t).mean(0), color="#d55e00", label="Q, generator")
left.set(xlabel="t", ylabel="distribution function")
left.legend(frameon=False, loc="upper left")
middle.plot(t, np.sign(flow), color="grey", linewidth=3, alpha=0.5, label="best, |f′| ≤ 1")
for name, color in (("penalty, λ = 1", "#e69f00"), ("penalty, λ = 10", "#009e73")):
    middle.plot(t, in_theory(CRITICS[name]["lam"])[0], ":", color=color, label=f"best, {name}")
    middle.plot(t, slope(critics[name], t), color=color, linewidth=1, label=f"trained, {name}")
middle.set(xlabel="t", ylabel="f′(t), slope of the critic", ylim=(-2.3, 4.6))
middle.legend(frameon=False, fontsize=8, loc="upper left")
for (name, history), color in zip(histories.items(), ("#d55e00", "#cc79a7", "#e69f00", "#009e73")):
    right.loglog(np.arange(1, len(history) + 1), np.maximum(history, 1e-2), color=color, label=name)
right.axhline(distance, color="black", linestyle="--", linewidth=1, label="W₁")
right.set(xlabel="step of the critic", ylabel="estimated distance", ylim=(0.05, 1e4))
right.legend(frameon=False, fontsize=8, loc="upper left")
fig.savefig("16_wgan_gp.png")

# %% [markdown]
# ![distribution functions, slopes of the critics, estimates over the steps](16_wgan_gp.png)
#
# Left: the shaded area is the distance. Middle: the trained slopes follow the theory, $1 + |Q - P|/2\lambda\rho$, where
# there are points $\hat x$. Right: without a bound the estimate grows with the weights and says nothing.
#
# **Clipping** (Arjovsky et al. 2017) bounds the slope as well, but by a constant that nobody knows: the estimate is
# some multiple of a distance, and the slope depends on the limit and on the depth. Here it happens to be of the right
# size.
#
# **Reference.** $W_1 = 1.577$ by sorting. The trained critics give 1.7 with λ = 10 and 2.9 with λ = 1, as derived. So
# the answer to the title is: yes, up to a bias that is known. In training, with one or five steps of the critic for
# each one of the generator, it stays farther from its best, and its estimate is less reliable.
#
# ## Exercises
# 1. Derive the slope of the best critic for the one-sided penalty $\lambda\max(0, |f'| - 1)^2$ (`one_sided=True`).
#    Where does it differ from the two-sided one?
# 2. Double λ. By how much does the bias of the estimate change, in theory and for a trained critic?
# 3. Move all fakes by 10. Compare the slope of the critic with λ = 10 at the fakes with $\nabla_x \log D^\ast$ of
#    chapter 9 for two Gaussians at that distance. What does the generator learn from each?
