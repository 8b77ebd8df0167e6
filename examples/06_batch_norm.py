# %% [markdown]
# # 6. Why does BatchNorm's backward have three terms, and what do all-ones cotangents hide?
#
# You will see the backward pass of batch normalisation derived path by path, on a column of four numbers that can be
# followed with a pencil; that it is an orthogonal projection; and why a gradient check with all-ones cotangents misses
# most wrong rules.
#
# **Forward** (Ioffe & Szegedy 2015, Algorithm 1). Each channel is a column $x_1 \dots x_m$: all samples, all pixels.
#
# $$ \mu = \tfrac1m \sum_j x_j, \qquad s = \sqrt{\tfrac1m \sum_j (x_j - \mu)^2 + \varepsilon}, \qquad
#    \hat x_i = \frac{x_i - \mu}{s}, \qquad y_i = \gamma \hat x_i + \beta . $$
#
# **Backward.** Given $dy_i = \partial L/\partial y_i$, we have $d\beta = \sum_i dy_i$ and
# $d\gamma = \sum_i \hat x_i\, dy_i$, and $g_i = \partial L/\partial \hat x_i = \gamma\, dy_i$. Now $x_i$ reaches the
# $\hat x_j$ on three paths:
#
# 1. **Directly**, in the numerator of $\hat x_i$: this gives $g_i/s$.
# 2. **Through the mean.** $\partial\hat x_j/\partial\mu = -1/s$ for each $j$, and $\partial\mu/\partial x_i = 1/m$. The
#    product, summed over $j$, is $-\tfrac1s \cdot \tfrac1m \sum_j g_j = -\mathrm{mean}(g)/s$. ($\mu$ is also inside
#    $s$, but there $\partial s/\partial\mu = -\tfrac{1}{s}\,\mathrm{mean}(x - \mu) = 0$.)
# 3. **Through the deviation.** $\partial\hat x_j/\partial s = -(x_j - \mu)/s^2 = -\hat x_j/s$. From
#    $s^2 = \tfrac1m\sum_j(x_j-\mu)^2 + \varepsilon$ follows $2s\,\partial s/\partial x_i = \tfrac2m (x_i - \mu)$ (the
#    part through $\mu$ is 0, as in path 2), hence $\partial s/\partial x_i = \hat x_i/m$. The product, summed over $j$,
#    is $-\hat x_i\,\mathrm{mean}(\hat x g)/s$.
#
# $$ dx = P(g), \qquad P(g) = \tfrac1s\,\bigl(g - \mathrm{mean}(g) - \hat x\,\mathrm{mean}(\hat x g)\bigr). $$
#
# **A column for the pencil.** $x = (1, 3, 3, 9)$ has $\mu = 4$, deviations $(-3, -1, -1, 5)$, variance $36/4 = 9$ and,
# with $\varepsilon \approx 0$, $s = 3$. So $\hat x = (-1, -\tfrac13, -\tfrac13, \tfrac53)$. Let $\gamma = 1$ and
# $dy = (6, 3, -3, 6)$: then $\mathrm{mean}(g) = 3$, and $\mathrm{mean}(\hat x g) = (-6 - 1 + 1 + 10)/4 = 1$. The three
# paths are in the table below.

# %%
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tinygan import gradcheck
from tinygan.layers import BatchNorm

layer = BatchNorm(1, eps=1e-12)
x, dy = np.array([[1.0], [3], [3], [9]]), np.array([[6.0], [3], [-3], [6]])
_, cache = layer.forward(x)
xhat, s, _ = cache


def paths(g, xhat, s):
    """The three parts of dx for g = γ·dy: directly, through the mean, through the deviation."""
    return g / s, -g.mean(0) / s + 0 * g, -xhat * (xhat * g).mean(0) / s


def numerical(x, dy):
    """∂⟨dy, y⟩/∂x by differences of forward, one element of x at a time."""
    slope = lambda e: gradcheck.derivative(lambda h: layer.forward(x + h * e)[0], lambda y: (dy * y).sum())[0]
    return np.array([slope(e.reshape(x.shape)) for e in np.eye(x.size)]).reshape(x.shape)


def show(name, column, form="7.3f"):
    print(f"{name:24}", *(f"{v:{form}}" for v in column.reshape(-1) + 0.0))


parts = dict(zip(("directly", "through the mean", "through the deviation"), paths(dy, xhat, s)))
for name, column in {"x": x, "xhat": xhat, "dy": dy, **parts, "dx, the sum": sum(parts.values()),
                     "BatchNorm.backward": layer.backward(dy, cache), "by differences": numerical(x, dy)}.items():
    show(name, column)

# %% [markdown]
# In ninths, $dx = (12, 1, -17, 4)/9$. Its sum is 0, and so is $\langle\hat x, dx\rangle$.
#
# **P is a projection.** Write $\mathbf 1$ for the column of ones. As columns in $\mathbb R^m$, $\mathbf 1$ and $\hat x$
# both have the squared length $m$ (for $\varepsilon = 0$), and they are orthogonal since $\hat x$ has the mean 0. So
# $\mathrm{mean}(g)\,\mathbf 1 = \frac{\langle \mathbf 1, g\rangle}{\|\mathbf 1\|^2}\mathbf 1$ is the part of $g$ along
# $\mathbf 1$, and $\mathrm{mean}(\hat x g)\,\hat x$ is the part along $\hat x$. Both are removed:
#
# $$ s P = I - \tfrac1m\mathbf 1\mathbf 1^\top - \tfrac1m \hat x\hat x^\top $$
#
# is the orthogonal projection onto the complement of $\{\mathbf 1, \hat x\}$, of rank $m - 2$. It is symmetric, so the
# same $P$ is the derivative forward: $\partial\hat x \cdot t = P(t)$. The reason: $y$ is the same for $x$ and for
# $ax + b$, $a > 0$. No loss after batch normalisation changes along $\mathbf 1$ or along $x - \mu$, so its gradient has
# no part there. Two consequences: with $m = 2$ nothing is left, and if $x$ is ten times larger, $dx$ is ten times
# smaller.

# %%
P = np.hstack([layer.jvp(e, cache)[0] for e in np.eye(4)[:, :, None]])
print("108·P")
for row in P:
    show("", 108 * row, "5.0f")
show("eigenvalues of s·P", np.round(np.linalg.eigvalsh(s * P), 9), "5.0f")
show("dx at 10x + 5", layer.backward(dy, layer.forward(10 * x + 5)[1]))
show("dx for m = 2", layer.backward(dy[:2], layer.forward(x[:2])[1]).round(9))

# %% [markdown]
# **The drawing** has $m = 3$ and looks along $\mathbf 1$, onto the plane of all columns with mean 0. Forward, the mean
# is removed ($x$ falls onto the plane), then the length is set to $\sqrt m$: $\hat x$ lies on a circle, and its angle
# is all that batch normalisation keeps of $x$. Backward, the part of $g$ along $\hat x$ is removed, and what is left is
# tangent to the circle.

# %%
view = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])     # an orthonormal basis of the plane
x3, g3 = np.array([[4.6], [0], [-1]]), np.array([[2.0], [1.8], [-0.4]])
c3 = layer.forward(x3)[1]
at, centred, arrow, kept = ((view @ v)[:, 0] for v in (c3[0], x3 - x3.mean(), g3, c3[1] * layer.backward(g3, c3)))
fig = Figure(figsize=(11, 4.6), dpi=100, layout="constrained")
bars, plane = fig.subplots(1, 2)
for k, ((name, column), colour) in enumerate(zip([*parts.items(), ("sum: dx", sum(parts.values()))],
                                                 ("#0072b2", "#e69f00", "#009e73", "#666666"))):
    bars.bar(np.arange(4) + 0.2 * k - 0.3, column[:, 0], 0.2, color=colour, label=name)
bars.axhline(0, color="#666666", linewidth=0.8)
bars.set(xticks=range(4), xticklabels=[f"x = {v:.0f}" for v in x[:, 0]], ylabel="part of dx",
         title="the three paths of the worked column", ylim=(-2.1, 3.3))
bars.legend(frameon=False, ncols=2, loc="upper right")
turn = np.linspace(0, 2 * np.pi, 200)
plane.plot(3**0.5 * np.cos(turn), 3**0.5 * np.sin(turn), color="#999999", linewidth=1)
plane.plot(*np.stack([0 * at, centred]).T, ":", color="#999999")
for start, step, colour, text, place in ((0 * at, at, "#0072b2", "x̂", (0.75, 0.35)),
                                         (at, arrow, "#666666", "g − mean g", (1.52, 2.3)),
                                         (at, kept, "#009e73", "s·P(g): kept", (-1.25, 1.95)),
                                         (at + kept, arrow - kept, "#d55e00", "x̂·mean(x̂g): removed", (0.3, 3.1)),
                                         (centred, 0 * at, "#666666", "x − μ", (3.35, 2.55))):
    plane.plot(*start, "o", color=colour, markersize=4)
    plane.annotate("", start + step, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2,
                                                        "shrinkA": 0, "shrinkB": 0})
    plane.text(*place, text, color=colour)
plane.text(-1.1, -0.75, "the vector 1\npoints towards you", color="#666666")
plane.set(title="the plane of columns with mean 0, m = 3", aspect="equal", xlabel="(x₁ − x₂)/√2",
          ylabel="(x₁ + x₂ − 2x₃)/√6", xlim=(-2.1, 4.6), ylim=(-2.1, 3.6))
with rc_context({"svg.hashsalt": "06"}):                            # the same file at every run
    fig.savefig("06_batch_norm.svg", metadata={"Date": None})

# %% [markdown]
# ![the three paths as bars, and the projection in the plane of columns with mean 0](06_batch_norm.svg)
#
# **A check that sees nothing.** A common test differentiates $\sum_i y_i$: the cotangent $dy$ is all ones. But the sum
# of a normalised column is $m\beta$, whatever $x$ is, so the right $dx$ is 0, and so is that of many wrong rules. The
# table has, for each rule, the largest distance from the numerical $dx$, under ones and under the $dy$ of the pencil.

# %%
RULES = {
    "right": lambda g: sum(paths(g, xhat, s)),
    "always 0": lambda g: 0 * g,
    "deviation forgotten": lambda g: (g - g.mean(0)) / s,
    "wrong sign of deviation": lambda g: (g - g.mean(0) + xhat * (xhat * g).mean(0)) / s,
    "sum, not mean, of xhat·g": lambda g: (g - g.mean(0) - xhat * (xhat * g).sum(0)) / s,
    "mean forgotten": lambda g: (g - xhat * (xhat * g).mean(0)) / s,
}
distance = lambda rule, g: abs(rule(g) - numerical(x, g)).max()
print(f"{'rule':24} {'ones':>7} {'dy':>7}")
for name, rule in RULES.items():
    show(name, np.array([distance(rule, np.ones((4, 1))), distance(rule, dy)]))
report = gradcheck.check_layer(BatchNorm(3), np.random.default_rng(0).standard_normal((2, 3, 2, 3)))
print("gradcheck: all errors below 1e-8:", report.worst < 1e-8, "for", *(name for name in report if "," not in name))

# %% [markdown]
# Four wrong rules pass under ones, one of which always returns 0. `gradcheck` draws random cotangents.
#
# **When the network is used**, a sample must not depend on its neighbours. So training also keeps running statistics,
# $r \leftarrow \rho\, r + (1 - \rho)\cdot$(that of the batch), and with `train=False` these are $\mu$ and $s^2$:
# constants, so that only the direct path is left, $dx = \gamma\,dy/s$. The variance of a batch is too small on average,
# since $\mu$ was fitted to the same $m$ numbers: $\mathbb E[\mathrm{var}] = \frac{m-1}{m}\sigma^2$. The running
# variance undoes this with $\frac{m}{m-1}$.

# %%
rng, wide, biased = np.random.default_rng(0), BatchNorm(1000, momentum=0.99), []
for _ in range(800):                                                # 1,000 channels are 1,000 repetitions
    batch = 4 + 3 * rng.standard_normal((4, 1000))
    wide.forward(batch)
    biased.append(batch.var(0).mean())
print(f"mean 4, variance 9: running mean {wide.state['mean'].mean():.1f}, running variance "
      f"{wide.state['var'].mean():.1f}; mean variance of the batches {np.mean(biased):.2f}")
layer.state.update(mean=np.array([4.0]), var=np.array([9.0]))
show("dx with train=False", layer.backward(dy, layer.forward(x, train=False)[1]))

# %% [markdown]
# **Reference.** A batch of four has the expected variance $\tfrac34 \cdot 9 = \tfrac{27}4$. A gradient penalty needs
# the derivative of $P$ itself: `tinygan/ops/norm.py` derives it, the check above covers it (`second dx`).
#
# ## Exercises
# 1. With $\varepsilon > 0$, $\mathrm{mean}(\hat x^2)$ is below 1. Compute $P(\hat x)$, and show that $sP$ is no exact
#    projection then.
# 2. `dy` all ones hides mistakes in $dx$. Which mistakes in $d\gamma$ and $d\beta$ does it hide? Which does
#    $dy = \hat x$ hide?
# 3. Differentiate $\langle c, P(t)\rangle$ with respect to $x$: through $s$ alone, with $p = P(t)$, the result is
#    $-\hat x\,\mathrm{mean}(cp)/s$. Then add the path through $\hat x$, and compare with `project_backward`.
