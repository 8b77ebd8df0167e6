"""What each objective asks of the two players, and where it falls silent.

    python examples/02_objectives.py            writes examples/02_objectives.png

A fake sample has the logit f = D(G(z)) before the sigmoid. The generator learns of it through one number, the force
−∂g_loss/∂f that pushes f up; all else in its gradient is the chain rule. The discriminator's force on f, −∂d_loss/∂f,
pushes it down. With D(x) = σ(f):

    minimax          up by σ(f), down by σ(f)        G's force fades where D is sure (f ≪ 0), as it is at the start
    non_saturating   up by 1 − σ(f), down by σ(f)    the same equilibrium, and the force is strong where G is poor
    least_squares    up by 1 − f, down by f          never fades; grows with the distance
    hinge            up by 1, down by 1 for f > −1   D leaves alone what it has beyond its margin
    wasserstein      up by 1, down by 1              nothing but the slope of D counts: it must be bounded
    relativistic     up by σ(r − f), down by σ(f − r)   only the distance to a real sample's logit r counts

The curves are not these formulas but what `tinygan.losses` returns for batches of one.
Sources: Goodfellow et al. 2014, section 3; the others as in `losses.py`.
"""

from pathlib import Path

import numpy as np

from tinygan import losses

NAMES = [name for name in losses.names if name != "relativistic_average"]      # of one pair: twice the relativistic
REAL = 1.0      # the logit of the real sample beside the fake one


def forces(name, logits, real=REAL):
    """How hard G pushes each fake logit up, and how hard D pushes it down: two arrays like `logits`."""
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
