"""The gradient that each objective gives to the two players, and where it vanishes.

    python examples/02_objectives.py            writes examples/02_objectives.png

A fake sample has the logit f. The objective enters G's gradient through one number, −∂g_loss/∂f; the rest is the chain
rule. This number is called the force of G on f here: G increases f by it. The force of D is ∂d_loss/∂f, by which D
decreases f. With D(x) = σ(f):

    minimax          G: σ(f), D: σ(f)            G's force vanishes for f ≪ 0, which is usual early in training
    non_saturating   G: 1 − σ(f), D: σ(f)        the same equilibrium; G's force is near 1 for f ≪ 0
    least_squares    G: 1 − f, D: f              grows with the distance from the target
    hinge            G: 1, D: 1 for f > −1       D's force is 0 for f < −1, beyond the margin
    wasserstein      G: 1, D: 1                  constant: the slope of D has to be bounded by other means
    relativistic     G: σ(r − f), D: σ(f − r)    depends only on the difference to the logit r of a real sample

The curves are what `tinygan.losses` returns for batches of one, not these formulas.
Sources: Goodfellow et al. 2014, section 3; the others as in `losses.py`.
"""

from pathlib import Path

import numpy as np

from tinygan import losses

NAMES = [name for name in losses.names if name != "relativistic_average"]      # of one pair: twice the relativistic
REAL = 1.0      # the logit of the real sample beside the fake one


def forces(name, logits, real=REAL):
    """The force of G on each fake logit, upwards, and of D, downwards: two arrays like `logits`."""
    loss, r = losses.get(name), np.array([[real]])
    up = [-loss.g_loss(np.array([[f]]), r)[1].item() for f in logits]
    down = [loss.d_loss(r, np.array([[f]]))[2].item() for f in logits]
    return np.array(up), np.array(down)


def figure(path):
    """A panel for each objective: both forces over the fake sample's logit."""
    from matplotlib.figure import Figure
    fig = Figure(figsize=(11, 6), dpi=100, layout="constrained")
    logits = np.linspace(-5, 5, 401)
    for ax, name in zip(fig.subplots(2, 3, sharex=True, sharey=True).flat, NAMES):
        up, down = forces(name, logits)
        ax.axvspan(-5, -2, color="#eeeeee")
        ax.plot(logits, up, color="#ff7f0e", linewidth=2, label="G pushes f up")
        ax.plot(logits, down, "--", color="#1f77b4", linewidth=2, label="D pushes it down")
        ax.axhline(0, color="#999999", linewidth=0.8)
        ax.set_title(f"{name}: G's force {forces(name, [-4.0])[0][0]:.2f} at f = −4", fontsize=10)
        ax.set(xlim=(-5, 5), ylim=(-0.8, 1.8))
        if name == NAMES[0]:
            ax.legend(frameon=False, loc="upper center", ncols=2)
    fig.supxlabel(f"f, the fake sample's logit (a real one has r = {REAL:g}; grey: D is sure that it is fake)")
    fig.supylabel("force on f")
    fig.savefig(path)


if __name__ == "__main__":
    print(f"{'':<16} {'G at f = −4':>12} {'f = 0':>8} {'f = 4':>8}")
    for name in NAMES:
        print(f"{name:<16} " + " ".join(f"{force:>{width}.4f}" for force, width in zip(
            forces(name, [-4.0, 0.0, 4.0])[0], (12, 8, 8))))
    figure(Path(__file__).with_suffix(".png"))
