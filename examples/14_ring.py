"""A ring of eight modes: a plain GAN loses some of them; relativistic pairs with penalties find all.

    python examples/04_ring.py                  writes examples/04_ring.png in half a minute

The data is a ring of eight narrow Gaussians (`tinygan.data.ring`). Both rows train the same two networks from the same
seed. Points are samples of G; colours show D's logit over the plane, from its lowest (blue) to its highest (red).

    above    non-saturating loss: G's samples follow D's gradient from mode to mode, and some modes get none
    below    relativistic pairs with R1 + R2: the penalties keep D's gradient small on real and on fake samples, and G
             covers all modes. The penalties matter most: the pairs without them end in one mode; the non-saturating
             loss with them ends in eight, with 33% of the samples near one

The full recipe is in `benchmarks/learning.py`; results over ten seeds, and those of the literature, in
`benchmarks/README.md`.
Sources: Goodfellow et al. 2014; Mescheder et al. 2018 (R1, R2); Jolicoeur-Martineau 2018; Srivastava et al. 2017.
"""

from pathlib import Path

import numpy as np

from tinygan import GAN, data, metrics, models, optim

CASES = {"non-saturating": {},
         "relativistic, R1 + R2": {"loss": "relativistic", "penalty": "r1+r2", "gamma": 0.1}}
LOOKS = (100, 500, 2000, 5000)      # after how many steps the picture is taken
SIZE = 1.5                          # of the picture: from −SIZE to SIZE in both directions


def play(looks=LOOKS, seed=0, **options):
    """Train on the ring; at each of these steps: 2,500 samples, and D's logits on a grid of the plane."""
    ring, rng = data.ring(), np.random.default_rng(seed)
    gan = GAN(*models.mixture(rng=rng, width=0.5), g_opt=optim.Adam(1e-3, 0.0, 0.99), d_opt=optim.Adam(1e-3, 0.0, 0.99),
              rng=rng, **options)
    line = np.linspace(-SIZE, SIZE, 120, dtype=np.float32)
    plane, seen = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), []
    while gan.steps < looks[-1]:
        gan.step(ring.sample(256, rng)[0])
        if gan.steps in looks:
            logits = gan.D.forward(plane, train=False)[0].reshape(120, 120)
            seen.append((gan.steps, gan.sample(2500), logits))
    return ring, seen


def figure(path, looks=LOOKS):
    """A row for each case: samples of G over the logits of D. Returns the metrics at the last picture."""
    from matplotlib.figure import Figure
    fig = Figure(figsize=(2.7 * len(looks), 5.8), dpi=100, layout="constrained")
    found = {}
    for row, (name, options) in zip(fig.subplots(2, len(looks), sharex=True, sharey=True), CASES.items()):
        ring, seen = play(looks, **options)
        row[0].set_ylabel(name)
        for ax, (steps, samples, logits) in zip(row, seen):
            figures = found[name] = metrics.mixture(samples, ring)
            ax.imshow(logits, extent=(-SIZE, SIZE) * 2, origin="lower", cmap="coolwarm", alpha=0.7)
            ax.plot(*ring.means.T, "o", color="black", markersize=9, fillstyle="none", linewidth=0.8)
            ax.plot(*samples.T, ".", color="black", markersize=1.5, alpha=0.4)
            ax.set_title(f"step {steps}: {figures['modes']:.0f} modes, {figures['high_quality']:.0%} near", fontsize=9)
            ax.set(xlim=(-SIZE, SIZE), ylim=(-SIZE, SIZE), xticks=(), yticks=())
    fig.savefig(path)
    return found


if __name__ == "__main__":
    for name, figures in figure(Path(__file__).with_suffix(".png")).items():
        print(f"{name:<22} {figures['modes']:.0f} of 8 modes, {figures['high_quality']:.1%} within 3σ of one")
