"""How exact are finite differences? Why gradients are checked in float64 by five-point differences.

    python examples/03_differences.py           writes examples/03_differences.png

Along a direction r the loss of a network is a function f(h) of one number. If the gradient g written by hand is right,
f′(0) = ⟨g, r⟩. Each difference quotient for f′(0) has two errors, truncation and rounding:

    forward       (f(h) − f(0))/h                                     f″h/2 + ε/h
    central       (f(h) − f(−h))/2h                                   f‴h²/6 + ε/h
    five points   (8(f(h) − f(−h)) − (f(2h) − f(−2h)))/12h            f⁽⁵⁾h⁴/30 + ε/h

where ε is the rounding error of f, 1e-16 in float64 and 1e-7 in float32. The sum is least where both are about
equal, at h near √ε, ε^⅓ and ε^⅕, and is there about √ε, ε^⅔ and ε^⅘. So a float32 quotient cannot detect a relative
error of 1e-5 in a gradient, while five points in float64 detect one of 1e-12. `tinygan.gradcheck` requires 1e-8.
Source of the rules and their errors: Abramowitz & Stegun 1964, 25.3.
"""

from pathlib import Path

import numpy as np

from tinygan import Sequential, losses
from tinygan.layers import Dense, Tanh

RULES = {       # name: the quotient, and the power of h in its error
    "forward": (lambda f, h: (f(h) - f(0)) / h, 1),
    "central": (lambda f, h: (f(h) - f(-h)) / (2 * h), 2),
    "five points": (lambda f, h: (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h), 4),
}
STEPS = 2.0 ** np.arange(-40, 0)


def problem(dtype):
    """The loss of a small network along a direction, as a function of h, and its derivative at 0 by `backward`.

    The same in both dtypes: all its numbers are float32 numbers.
    """
    rng = np.random.default_rng(0)
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
    """The relative error of a rule at each of STEPS, against the gradient by hand in float64."""
    (f, _), (_, exact) = problem(dtype), problem("float64")
    return np.array([abs(rule(f, h) - exact) for h in STEPS]) / abs(exact)


def figure(path):
    """Both dtypes, all rules: the error over h, both logarithmic."""
    from matplotlib.figure import Figure
    fig = Figure(figsize=(9, 5), dpi=100, layout="constrained")
    ax = fig.subplots()
    for (name, (rule, _)), colour in zip(RULES.items(), ("#999999", "#ff7f0e", "#1f77b4")):
        for dtype, style in (("float64", "-"), ("float32", ":")):
            ax.loglog(STEPS, np.maximum(errors(rule, dtype), 1e-17), style, color=colour, linewidth=1.8,
                      label=f"{name}, {dtype}")
    ax.axhline(1e-8, color="#d62728", linewidth=1, linestyle="--")
    ax.text(STEPS[0], 2.5e-9, "what tinygan.gradcheck asks for", color="#d62728", fontsize=9)
    ax.set(xlabel="h", ylabel="relative error of the quotient", ylim=(1e-15, 1e3))
    ax.legend(frameon=False, fontsize=9, ncols=3, loc="upper center")
    ax.grid(alpha=0.25)
    fig.savefig(path)


if __name__ == "__main__":
    for name, (rule, _) in RULES.items():
        for dtype in ("float64", "float32"):
            found = errors(rule, dtype)
            print(f"{name:<12} {dtype}: least error {found.min():.0e}, at h = {STEPS[found.argmin()]:.0e}")
    figure(Path(__file__).with_suffix(".png"))
