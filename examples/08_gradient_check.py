# %% [markdown]
# # 8. Is this gradient right, and what do the numbers say if it is not?
#
# You will see how exact a numerical derivative can be, why `tinygan.gradcheck` uses five points in float64 and asks for
# a relative error of 1e-8, and which pattern of wrong numbers belongs to which mistake.
#
# **Truncation.** Along a direction, a loss is a function $f(h)$ of one number. Taylor's series gives the two-point
# rules
#
# $$ \frac{f(h) - f(0)}{h} = f' + \tfrac h2 f'' + \dots , \qquad
#    C(h) = \frac{f(h) - f(-h)}{2h} = f' + \tfrac{h^2}{6} f''' + \tfrac{h^4}{120} f^{(5)} + \dots $$
#
# In $C$ all even terms cancel. $C(2h)$ has four times the $h^2$ term, so $4C(h) - C(2h)$ has none, and is $3f'$:
#
# $$ F(h) = \frac{4C(h) - C(2h)}3 = \frac{8(f(h) - f(-h)) - (f(2h) - f(-2h))}{12h}
#    = f' - \tfrac{h^4}{30} f^{(5)} + \dots $$
#
# is the five-point rule (Abramowitz & Stegun 1964, 25.3.6). By pencil: $x^3$ at $x = 1$ with $h = \tfrac1{10}$. Forward
# $(1.331 - 1)/0.1 = 3.31$, central $(1.331 - 0.729)/0.2 = 3.01$, five points $(4 \cdot 3.01 - 3.04)/3 = 3$, exactly.
#
# **Rounding.** Each computed $f$ is off by about $u|f|$; $u$ is $2^{-53} \approx$ 1e-16 in float64 and 6e-8 in float32.
# In $f(h) - f(-h)$ the leading digits cancel and the error stays, and it is divided by $h$. With truncation $C h^p$ the
# sum is least where its derivative is 0:
#
# $$ E(h) = C h^p + \frac{u}{h}, \qquad pC h^{p-1} = \frac u{h^2}, \qquad
#    h = \Bigl(\frac{u}{pC}\Bigr)^{1/(p+1)} , \qquad E \sim u^{p/(p+1)} . $$

# %%
import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, gradcheck, losses
from tinygan.layers import BatchNorm, Dense, LeakyReLU, Softplus, Tanh
from tinygan.ops.norm import project

RULES = {       # name: the quotient, and the power p of h in its error
    "forward": (lambda f, h: (f(h) - f(0)) / h, 1),
    "central": (lambda f, h: (f(h) - f(-h)) / (2 * h), 2),
    "five points": (lambda f, h: (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h), 4),
}
STEPS = 2.0 ** np.arange(-40, 0)


def problem(dtype, seed=0):
    """The loss of a small network along a direction, as a function of h, and its derivative at 0 by `backward`."""
    rng = np.random.default_rng(seed)   # the same numbers in both dtypes
    net = Sequential([Dense(8, 16), Tanh(), Dense(16, 1)], rng=rng).astype(dtype)
    theta, loss = net.theta.copy(), losses.get("non_saturating").g_loss
    x, r = (rng.standard_normal(shape, "float32").astype(dtype) for shape in ((32, 8), theta.shape))
    y, cache = net.forward(x)
    grads = net.zero_grads()
    net.backward(loss(y)[1], cache, grads)

    def f(h):
        net.theta = theta + theta.dtype.type(h) * r
        return float(loss(net.forward(x)[0])[0])
    return f, float(grads.vector @ r)


def errors(rule, dtype):
    """The relative error of a rule at each of STEPS, against the gradient by hand in float64: geometric mean of 8."""
    logs = []
    for seed in range(8):
        (f, _), (_, exact) = problem(dtype, seed), problem("float64", seed)
        logs.append([np.log(max(abs(rule(f, h) / exact - 1), 1e-16)) for h in STEPS])
    return np.exp(np.mean(logs, axis=0))


print("x³ at 1, h = 0.1 and 0.01:")
for name, (rule, p) in RULES.items():
    print(f"{name:12}", *(f"{rule(lambda t: (1 + t)**3, h):.4f}" for h in (0.1, 0.01)))
print("a network's loss: u^(p/(p+1)), and the least relative error as a multiple of it")
found = {(name, dtype): errors(rule, dtype) for name, (rule, _) in RULES.items() for dtype in ("float64", "float32")}
for (name, dtype), error in found.items():
    p, u = RULES[name][1], np.finfo(dtype).eps / 2
    print(f"{name:12} {dtype}: {u**(p / (p + 1)):.0e}, {error.min() / u**(p / (p + 1)):.0f}")

# %% [markdown]
# So no rule in float32 can show an error of 1e-6 in a gradient. In float64 five points leave a margin below 1e-8 that
# sharply bent functions and small elements need.
#
# **Relative to what?** The report's error is $\max_i |a_i - n_i| / \max(\max|a|, \max|n|)$, by hand $a$ and numerical
# $n$. The error of a difference does not depend on the element that it estimates: it is some $u|f|/h$ for small and
# large ones. For $f(x) = x_1^3 + 10^{-9}x_2$ a ratio in each element would blame $x_2$, whose derivative is right.
#
# **Kinks.** ReLU at $x = 0.003$ with $h = 0.01$: the central difference is $(0.013 - 0)/0.02 = 0.65$, and the slope is
# 1. At $x = 0$ no slope exists. `gradcheck` makes $h$ smaller until two estimates agree, and reports a point on a kink.

# %%
f = lambda x: x[0] * x[0] * x[0] + 1e-9 * x[1]
by_hand, e = np.array([3.0, 1e-9]), np.eye(2)
numerical = np.array([RULES["five points"][0](lambda t: f(np.ones(2) + t * e[i]), 2.0**-10) for i in range(2)])
print("element by element:", *(f"1e{np.log10(max(v, 1e-16)):.0f}" for v in abs(by_hand - numerical) / by_hand),
      f" max/max: below 1e-8: {abs(by_hand - numerical).max() / by_hand.max() < 1e-8}")
relu = lambda t: max(0.003 + t, 0)
print(f"ReLU at 0.003: ({relu(0.01):.3f} − {relu(-0.01)})/0.02 = {RULES['central'][0](relu, 0.01):.2f}")
print(gradcheck.check_backward(LeakyReLU(0.2), np.array([[0.5, 0.0, -1.0]])).failures[0].cause)

# %% [markdown]
# **Patterns.** Each layer below is right but for one mistake, and `gradcheck` gets N = 4 samples. The mistake can be
# read off the ratio of the two numbers, the order of the elements, or what a second call does.

# %%
def broken(dx=lambda dx: dx, dW=lambda dW: dW, add=np.add):
    """A Dense layer whose backward is right up to these three functions."""
    class Broken(Dense):
        def backward(self, dy, cache, grads=None):
            if grads is not None:
                grads["W"][...] = add(grads["W"], dW(self.wgrad(cache[0], dy, None)))
                grads["b"] += dy.sum(0)
            return dx(self.adjoint(dy, None))
    return Broken(3, 3)


class Kept(Dense):
    """Keeps x on the layer."""

    def forward(self, x, train=True, rng=None):
        self.x = x
        return super().forward(x, train, rng)

    def backward(self, dy, cache, grads=None):
        return super().backward(dy, (self.x, None), grads)


class NoEps(BatchNorm):
    """Its backward leaves out ε."""

    def backward(self, dy, cache, grads=None):
        super().backward(dy, cache, grads)
        return project(self.param("gamma", dy) * dy, cache[0], (cache[1]**2 - self.eps)**0.5)


second = Softplus()
second.d2 = None
MISTAKES = {
    "sign": broken(dx=lambda dx: -dx),
    "a factor 2": broken(dx=lambda dx: 2 * dx),
    "sum for mean": broken(dW=lambda dW: 4 * dW),
    "mean for sum": broken(dW=lambda dW: dW / 4),
    "0.1 % off": broken(dx=lambda dx: 1.001 * dx),
    "transposed": broken(dW=lambda dW: dW.T),
    "reversed": broken(dx=lambda dx: dx[:, ::-1]),
    "= for +=": broken(add=lambda old, new: new),
    "nothing added": broken(add=lambda old, new: old),
    "kept on the layer": Kept(3, 3),
    "f″ left out": second,
    "ε left out": NoEps(3),
    "float32 inside": broken(dx=lambda dx: dx.astype("float32").astype(dx.dtype)),
}
x = np.random.default_rng(1).standard_normal((4, 3))
right = {"Dense": Dense(3, 3), "BatchNorm": BatchNorm(3), "Tanh": Tanh()}
for layer in [*MISTAKES.values(), *right.values()]:
    layer.reset(0)                      # the same weights at every run
reports = {name: gradcheck.check_layer(layer, x) for name, layer in MISTAKES.items()}
for name, report in reports.items():
    failure = next((f for f in report.failures if f.cause), report.failures[0])
    print(f"{name:18} {failure.quantity:10} {failure.error:.1e}  {failure.cause.split(';')[0]}")

# %%
fig = Figure(figsize=(11, 5), dpi=100, layout="constrained")
ax, scale = fig.subplots(1, 2, width_ratios=(3, 2))
for (name, dtype), error in found.items():
    ax.loglog(STEPS, np.maximum(error, 1e-17), "-" if dtype == "float64" else ":", label=f"{name}, {dtype}",
              color={"forward": "#999999", "central": "#e69f00", "five points": "#0072b2"}[name])
ax.set(xlabel="step h", ylabel="relative error of the numerical derivative", ylim=(1e-15, 1e3))
ax.legend(frameon=False, fontsize=9, ncols=3, loc="upper center")
bars = {**{name: gradcheck.check_layer(layer, x).worst for name, layer in right.items()},
        **{name: report.worst for name, report in reports.items()}}
scale.barh(range(len(bars)), bars.values(), left=1e-16, color=["#009e73"] * len(right) + ["#d55e00"] * len(reports))
scale.set(xscale="log", xlim=(1e-16, 1e3), yticks=range(len(bars)), yticklabels=bars, xlabel="error in the report")
for axis in (ax.axhline, scale.axvline):
    axis(1e-8, color="#cc79a7", linestyle="--")
fig.savefig("08_gradient_check.png")

# %% [markdown]
# ![errors of three rules over the step, and the errors of right and wrong layers](08_gradient_check.png)
#
# Dashed: 1e-8, which a report demands. Right layers (green) lie far below it, wrong ones (orange) above, even those
# that lose only an ε or the digits beyond float32. The last two rows have no cause: they are found, but fit no pattern.
# A gradient of 0 has no scale: below 1e-3 the absolute error counts. **Reference.** On the left the slopes are the
# powers $p$ = 1, 2, 4.
#
# ## Exercises
# 1. Derive a rule of six points, $f(\pm h), f(\pm 2h), f(\pm 3h)$, with an error of $h^6$. Where is its best step?
# 2. Add a mistake to `MISTAKES` that `gradcheck` finds but cannot name. Which evidence would be needed?
# 3. With complex numbers, $f' \approx \mathrm{Im} f(ih)/h$. Show that it has no cancellation. Why can ReLU not use it?
