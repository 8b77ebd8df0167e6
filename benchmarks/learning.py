"""Does it learn the whole distribution? Ring of 8 and grid of 25 in the protocol of VEEGAN and PacGAN.

    python benchmarks/learning.py ring --seeds 10 --jobs 2
    python benchmarks/learning.py grid --seeds 2 --steps 2000          (a quick look; far from converged)

2,500 samples of the averaged generator after training; a sample is of high quality within 3σ of its nearest mean;
reverse KL over modes. Prints each seed, then mean ± standard error beside perfect samples, measured in the same way.
One process has one core: seeds run side by side, `--jobs` at a time.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor

os.environ.setdefault("OMP_NUM_THREADS", "1")   # before NumPy is loaded: these networks are too small for two

import numpy as np   # noqa: E402

from tinygan import GAN, data, metrics, models, optim   # noqa: E402

SHOWN = ("modes", "high_quality", "reverse_kl", "worst_covariance", "energy")
# γ falls geometrically to its end at `share` of the run; the rate is held for `hold` of it, then half a cosine to 1%.
RECIPES = {
    "ring": dict(steps=20_000, lr=1e-3, gamma=(0.1, 1e-3), share=0.8, hold=0.6, average=0.9995),
    "grid": dict(steps=20_000, lr=2e-3, gamma=(0.03, 1e-3), share=0.6, hold=0.6, average=0.999),
}


def train(name, seed, steps=None, batch=256):
    """One run: relativistic pairing, R1 + R2 at every step, Adam (0, 0.99) -> the figures of 2,500 samples."""
    recipe = dict(RECIPES[name], **({"steps": steps} if steps else {}))
    steps, hold = recipe["steps"], int(recipe["hold"] * recipe["steps"])
    mixture, rng, start = data.stream(name), np.random.default_rng(seed), time.time()
    scale = float(np.sqrt((mixture.means**2).mean()))       # the networks see data of unit RMS
    fall = optim.cosine(recipe["lr"], steps - hold, end=0.01)
    rate = lambda t: recipe["lr"] if t < hold else fall(t - hold)
    G, D = models.mixture(rng=rng)
    gan = GAN(G, D, "relativistic", optim.Adam(rate, 0.0, 0.99), optim.Adam(rate, 0.0, 0.99), rng=rng,
              penalty="r1+r2", gamma=optim.anneal(*recipe["gamma"], steps, recipe["share"]), average=recipe["average"])
    for _ in range(steps):
        points, _ = mixture.sample(batch, rng)
        gan.step((points / scale).astype(np.float32))
    return metrics.mixture(scale * gan.sample(2500), mixture) | {"seconds": time.time() - start}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mixture", choices=RECIPES)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    mixture = data.stream(args.mixture)
    print(f"{args.mixture:<8}" + "".join(f"{name:>18}" for name in (*SHOWN, "seconds")))
    row = lambda name, figures: print(f"{name:<8}" + "".join(f"{text:>18}" for text in figures), flush=True)
    rows = []
    with ProcessPoolExecutor(args.jobs) as pool:
        n = range(args.seeds)
        for seed, figures in zip(n, pool.map(train, [args.mixture] * args.seeds, n, [args.steps] * args.seeds)):
            rows.append([figures[name] for name in (*SHOWN, "seconds")])
            row(f"seed {seed}", [f"{value:.4f}" for value in rows[-1]])
    perfect = [list(metrics.mixture(mixture.sample(2500, np.random.default_rng(s))[0], mixture).values())
               for s in range(100, 120)]
    for name, table in (("ours", rows), ("perfect", perfect)):
        row(name, [_mean(column) for column in zip(*table)])


def _mean(values):
    """Mean ± standard error; plainly the mean where one is infinite (a missed mode) or there is one only."""
    if len(values) < 2 or not np.isfinite(values).all():
        return f"{np.mean(values):.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1) / len(values)**0.5:.4f}"


if __name__ == "__main__":
    main()
