# %% [markdown]
# # 24. How does a layer of your own get from its formula into a GAN?
#
# You will see an activation with a learned parameter derived to second order, four drafts of it with the usual
# mistakes, what the gradient check says to each, and the right one in a discriminator whose gradient is penalised. The
# last part trains four small games for about a minute.
#
# **The layer** is Swish (Ramachandran et al. 2017) with one $\beta$ for each channel. With $s = \sigma(\beta x)$:
#
# $$ y(x, \beta) = x\,s . $$
#
# For $\beta = 0$ it is $x/2$, for large $\beta$ it is ReLU, and $\beta$ is learned. Unlike ReLU it has a second
# derivative in $x$.
#
# **Derivatives.** With $s' = s(1 - s)$ and $s'' = s'(1 - 2s)$, the chain rule gives $\partial s/\partial x = \beta s'$
# and $\partial s/\partial\beta = x s'$. Subscripts are derivatives of $y$:
#
# $$ y_x = s + \beta x s', \qquad y_\beta = x^2 s', \qquad y_{xx} = 2\beta s' + \beta^2 x s'', \qquad
#    y_{x\beta} = 2x s' + \beta x^2 s'' . $$
#
# **The four maps.** `backward` is the transpose of the derivative; $\beta$ is shared by all rows, so its gradient is a
# sum over them:
#
# $$ dx = y_x\,dy, \qquad d\beta = \sum y_\beta\,dy, \qquad ty = y_x\,tx . $$
#
# `jvp_backward` is the gradient of
# $\langle dy, y\rangle + \langle dty, ty\rangle = \sum dy\;y(x, \beta) + dty\;y_x(x, \beta)\;tx$:
#
# $$ dx = y_x\,dy + y_{xx}\,tx\,dty, \qquad dtx = y_x\,dty, \qquad
#    d\beta = \sum y_\beta\,dy + y_{x\beta}\,tx\,dty . $$
#
# **By pencil.** $\beta = 0$, $x = 2$: $s = \tfrac12$, $s' = \tfrac14$, $s'' = 0$. So $y = 1$, $y_x = \tfrac12$,
# $y_\beta = 1$, $y_{xx} = 0$, $y_{x\beta} = 1$. With $dy = 3$, $tx = 4$, $dty = 5$: $dx = \tfrac32$, $dtx = \tfrac52$,
# $d\beta = 3 + 4 \cdot 5 = 23$.

# %%
import os

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Sequential, data, gradcheck, metrics, models, optim
from tinygan.layers import Dense, Layer, LeakyReLU
from tinygan.ops.pointwise import sigmoid
from tinygan.ops.products import sum_rows


class Swish(Layer):
    """y = x·σ(βx), β per channel.  x (N, …, c) -> y of x's shape; parameter beta (c,) = 1."""

    def __init__(self, c):
        self.c = c
        super().__init__(beta=(c,))

    def draw(self, rng):
        return {"beta": np.ones(self.c)}

    def derivatives(self, x):
        """y_x, y_β, y_xx and y_xβ."""
        beta = self.param("beta", x)
        s = sigmoid(beta * x)
        s1 = s * (1 - s)
        s2 = s1 * (1 - 2 * s)
        return s + beta * x * s1, x * x * s1, 2 * beta * s1 + beta**2 * x * s2, 2 * x * s1 + beta * x * x * s2

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ..., self.c)
        return x * sigmoid(self.param("beta", x) * x), x

    def backward(self, dy, cache, grads=None):
        y_x, y_b, _, _ = self.derivatives(cache)
        if grads is not None:
            grads["beta"] += sum_rows(y_b * dy)
        return y_x * dy

    def jvp(self, tx, cache):
        return self.derivatives(cache)[0] * tx, tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        y_x, y_b, y_xx, y_xb = self.derivatives(cache)
        if grads is not None:
            grads["beta"] += sum_rows(y_b * dy + y_xb * tcache * dty)
        return y_x * dy + y_xx * tcache * dty, y_x * dty


pencil = Swish(1)
pencil.params["beta"][...] = 0
value = lambda v: np.array([[float(v)]])
y, cache = pencil.forward(value(2))
ty, tcache = pencil.jvp(value(4), cache)
grads = pencil.zero_grads()
dx, dtx = pencil.jvp_backward(value(3), value(5), cache, tcache, grads)
print(f"y {y.item():.2f}, dx {dx.item():.2f}, dtx {dtx.item():.2f}, dβ {grads['beta'].item():.2f}")

# %% [markdown]
# **Drafts.** This is how one arrives there. Each draft differs from the right layer in one line, and below it stands
# what `gradcheck.check_layer` says. At $\beta = 1$, where the layer starts, $s + x s'$ is right: the check moves all
# parameters first.

# %%
def averaged(self, dy, cache, grads=None):
    if grads is not None:
        grads["beta"] += (self.derivatives(cache)[1] * dy).mean((0, 1))
    return self.derivatives(cache)[0] * dy


def assigned(self, dy, cache, grads=None):
    if grads is not None:
        grads["beta"] = sum_rows(self.derivatives(cache)[1] * dy)
    return self.derivatives(cache)[0] * dy


def beta_forgotten_in_the_chain(self, dy, cache, grads=None):
    y, s = Swish.forward(self, cache)[0], sigmoid(self.param("beta", cache) * cache)
    Swish.backward(self, dy, cache, grads)
    return (s + y * (1 - s)) * dy


def mixed_term_forgotten(self, dy, dty, cache, tcache, grads=None):
    y_x, _, y_xx, _ = self.derivatives(cache)
    return self.backward(dy, cache, grads) + y_xx * tcache * dty, y_x * dty


x = np.random.default_rng(0).standard_normal((4, 2, 3))
drafts = {}
for rule in (averaged, assigned, beta_forgotten_in_the_chain, mixed_term_forgotten):
    map_ = "jvp_backward" if rule is mixed_term_forgotten else "backward"
    drafts[rule.__name__] = report = gradcheck.check_layer(type("Draft", (Swish,), {map_: rule})(3), x)
    print(f"{rule.__name__.replace('_', ' ')}: wrong:", *sorted({failure.quantity for failure in report.failures}))
    print(f"   {report.failures[0].cause.split(';')[0] or 'no pattern'}")
right = gradcheck.check_layer(Swish(3), x)
print("right:", right.ok, "for", *(name for name in right if "," not in name))

# %% [markdown]
# Where no pattern fits, the quantities say where to look: in the third draft $d\beta$ and `ty` are right, so only the
# factor of $dy$ in $dx$ can be wrong. In the last one first order is right; $d\beta$ lacks the term with $tx$.
#
# **In a GAN.** $D$ gets the layer in place of LeakyReLU; R1 + R2 use all four of its maps in each step. The data is a
# ring of eight Gaussians.

# %%
STEPS = 5 if "TINYGAN_SHORT" in os.environ else 2000


def train(activation, seed=0):
    """The game after STEPS steps with this activation, a function of the number of channels, in D."""
    ring, rng = data.ring(sigma=0.05), np.random.default_rng(seed)
    G, _ = models.points(rng=rng, width=0.5)
    D = Sequential([Dense(2, 64, init="he"), activation(64), Dense(64, 64, init="he"), activation(64), Dense(64, 1)],
                   rng=rng)
    gan = GAN(G, D, "relativistic", optim.Adam(1e-3, 0.0, 0.99), optim.Adam(1e-3, 0.0, 0.99), rng=rng,
              penalty="r1+r2", gamma=0.1)
    gan.train((ring.sample(128, rng)[0] for _ in range(STEPS)), steps=STEPS)
    return gan, gan.sample(500), ring


line = np.linspace(-1.6, 1.6, 100, dtype="float32")
plane = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
fig = Figure(figsize=(11, 3.8), dpi=100, layout="constrained")
curves, *axes = fig.subplots(1, 3)
for ax, (name, activation) in zip(axes, {"LeakyReLU": lambda c: LeakyReLU(0.2), "Swish": Swish}.items()):
    for seed in (1, 0):
        gan, samples, ring = train(activation, seed)
        found = metrics.mixture(samples, ring)
        print(f"{name}, seed {seed}: {found['modes']:.0f} of 8 modes, {found['high_quality']:.0%} within 3σ of one")
    ax.contourf(line, line, gan.D.forward(plane, train=False)[0].reshape(100, 100), 20, cmap="cividis")
    ax.plot(*samples.T, ".", color="#d55e00", markersize=2)
    ax.plot(*ring.means.T, "o", color="white", markersize=10, fillstyle="none")
    ax.set(title=f"logit of D with {name}", xlabel="x₁", ylabel="x₂", aspect="equal")
betas = np.concatenate([gan.D.params[name] for name in ("1.beta", "3.beta")])
print(f"β after training: from {betas.min():.1f} to {betas.max():.1f}; all began at 1")
grid = np.linspace(-5, 5, 100_001)[:, None]
for beta, colour in ((0, "#666666"), (1, "#0072b2"), (5, "#d55e00")):
    pencil.params["beta"][...] = beta
    curve = pencil.forward(grid)[0]
    curves.plot(grid, curve, color=colour, label=f"β = {beta}: y")
    curves.plot(grid, pencil.derivatives(grid)[0], "--", color=colour, label="its slope")
    if beta == 1:
        print(f"β = 1: the least y is {curve.min():.3f}, at x = {grid[curve.argmin(), 0]:.3f}")
curves.set(xlabel="x", title="Swish", ylim=(-3, 5))
curves.legend(frameon=False, fontsize=8)
fig.savefig("24_own_layer.png")

# %% [markdown]
# ![Swish and its slope; what two discriminators learn](24_own_layer.png)
#
# White: the modes; orange: samples of $G$; colours: $D$'s logit, seed 0. Both layers find all modes. Two seeds are too
# few to call one better: LeakyReLU's share differs more between its seeds than from Swish's.
#
# **Reference.** At $\beta = 1$ the slope is $y_x = s\,(1 + x(1 - s))$. Where it is 0, $xs = x + 1$: the least $y$ lies
# on the line $y = x + 1$, and so do the two printed numbers.
#
# ## Exercises
# 1. Derive PReLU, $y = \max(x, 0) + a\min(x, 0)$ with a learned $a$. Which second-order terms are left?
# 2. Write GroupNorm with the functions of `ops/norm.py` and two calls of `reshape`. Which axes are averaged over?
# 3. Leave out $y_{xx}$ and train again. Does the GAN get worse? What does that say about tests by training?
