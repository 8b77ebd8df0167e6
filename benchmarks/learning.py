"""Does a GAN learn the whole distribution? Mixtures with known modes, digits, and stacked digits.

    python benchmarks/learning.py ring --seeds 10 --jobs 2        8 Gaussians, as in VEEGAN and PacGAN
    python benchmarks/learning.py grid --seeds 10 --jobs 2        25 Gaussians, likewise
    python benchmarks/learning.py digits --held-out idx:FOLDER    MLP GAN, DCGAN, best recipe on the bundled digits
    python benchmarks/learning.py stacked --data idx:FOLDER --backend cupy        1,000 modes; hours without a GPU
    python benchmarks/learning.py ring --seeds 1 --steps 2000     a quick look at any of them; far from converged

Mixtures: 2,500 samples of the averaged generator after training; a sample is of high quality within 3σ of its nearest
mean; reverse KL over modes. Digits: 2,500 samples, beside as many held-out images. Stacks: 26,000 samples, modes and
KL to uniform by the bundled classifier (Metz et al. 2017). Each seed is printed, then mean ± standard error and the
reference values: the same metrics of real samples. Each process uses one core; `--jobs` seeds run at a time. For stacks
FOLDER should hold the 60,000 training images.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

if "stacked" not in sys.argv:     # before NumPy is loaded: these networks are too small for two cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np   # noqa: E402

import stacked as stacks   # noqa: E402
from tinygan import GAN, backend, data, metrics, models, optim, run   # noqa: E402
from tinygan.kernels.graphs import capture   # noqa: E402

SHOWN = {"ring": ("modes", "high_quality", "reverse_kl", "worst_covariance", "energy"),
         "digits": ("classes", "total_variation", "frechet", "kid", "precision", "recall", "nearest"),
         "stacked": ("modes", "kl")}
SHOWN["grid"] = SHOWN["ring"]

# Relativistic pairing with R1 + R2 at every step and Adam (0, beta2), batches of 256. The rates, of G and D, are held
# for `hold` of the run, then fall along half a cosine to `ends` of them (on the grid G's further than D's, so that D
# still sees what is out of balance); γ falls geometrically to its end at `share` of the run. Widths are of
# models.mixture, of G and D. On the grid latents are uniform: G lays a square out as a plain 5 × 5 board more often
# than the normal plane. And β₂ is low there: with 0.99 a gradient that was small for long and grows at once moves a
# weight by ten rates.
MIXTURES = {
    "ring": dict(steps=45_000, rates=(1e-3, 1e-3), gamma=(0.1, 5e-3), share=0.5, hold=0.4, ends=(0.4, 0.4),
                 beta2=0.99, average=0.9998, widths=(0.5, 0.5), latent="normal"),
    "grid": dict(steps=75_000, rates=(2e-3, 2e-3), gamma=(0.03, 0.015), share=0.5, hold=0.1, ends=(0.05, 0.3),
                 beta2=0.95, average=0.9999, widths=(1, 0.5), latent="uniform"),
}
# Options of `tinygan train`, all with the default budget of the bundled digits: 20 epochs, if not said otherwise in
# batches of 32. The best recipe takes smaller ones, and so twice the steps, networks twice as wide, and two steps of G
# for each of D: several times the DCGAN's time. D has no dropout: a penalised D is smooth enough.
DIGITS = {
    "MLP GAN": dict(model="mlp", batch=32, epochs=20),      # a start: its source trains ten times as long
    "DCGAN": dict(model="dcgan_small", plain=True),
    "DCGAN, as large": dict(model="dcgan_small", plain=True, width=0.5, m=2, batch=16),     # and as long as the best
    "best": dict(model="dcgan_small", plain=True, width=0.5, loss="relativistic", penalty="r1+r2", gamma="1:0.1",
                 beta1=0.0, beta2=0.99, g_lr=2e-3, d_lr=2e-3, m=2, schedule="cosine", batch=16, average=0.997,
                 dropout=0.0),
}
# On labels, judged on samples of each class in turn.
DIGITS["on labels"] = DIGITS["best"] | dict(conditional=True, batch=32, average=0.995, width=0.25, m=1)
STACKED = dict(steps=40_000, batch=128, lr=2e-4, gamma=(1.0, 0.1), average=0.999)


def mixture(name, seed, steps=None):
    """One run on a mixture -> the metrics of 2,500 samples."""
    recipe = dict(MIXTURES[name], **({"steps": steps} if steps else {}))
    steps, hold = recipe["steps"], int(recipe["hold"] * recipe["steps"])
    source, rng = data.stream(name), np.random.default_rng(seed)
    scale = float(np.sqrt((source.means**2).mean()))       # the networks see data of unit RMS
    falls = [optim.cosine(lr, steps - hold, end) for lr, end in zip(recipe["rates"], recipe["ends"])]
    rates = [lambda t, fall=fall: fall(max(t - hold, 0)) for fall in falls]
    G, D = (models.mixture(rng=rng, width=width)[i] for i, width in enumerate(recipe["widths"]))
    gan = GAN(G, D, "relativistic", *(optim.Adam(rate, 0.0, recipe["beta2"]) for rate in rates), rng=rng,
              penalty="r1+r2", gamma=optim.anneal(*recipe["gamma"], steps, recipe["share"]), average=recipe["average"],
              latent=recipe["latent"])
    for _ in range(steps):
        gan.step((source.sample(256, rng)[0] / scale).astype(np.float32))
    return metrics.mixture(scale * gan.sample(2500), source)


def digits(name, seed, steps=None, held_out=None):
    """One run on the bundled digits -> the metrics of 2,500 samples."""
    with tempfile.TemporaryDirectory() as folder:
        options = dict(DIGITS[name], seed=seed, **({"steps": steps} if steps else {}))
        run.train(out=Path(folder) / "run", quiet=True, **options)
        return run.evaluate(Path(folder) / "run", held_out=held_out)[0]


def stacked(images, seed, steps=None, batch=None, name="numpy", width=1.0, samples=26_000):
    """One run on stacked digits: the DCGAN with three channels -> modes and KL of 26,000 samples."""
    steps, batch = steps or STACKED["steps"], batch or STACKED["batch"]
    rng = np.random.default_rng(seed)
    rate = optim.cosine(STACKED["lr"], steps, end=0.05)
    G, D = models.dcgan(rng=rng, image=(28, 28, 3), width=width, backend=name, dropout=0)
    gan = GAN(G, D, "relativistic", optim.Adam(rate, 0.0, 0.99), optim.Adam(rate, 0.0, 0.99), rng=rng, penalty="r1+r2",
              gamma=optim.anneal(*STACKED["gamma"], steps), average=STACKED["average"])
    if name == "cupy":
        capture(gan)
    gan.train(data.Stream(stacks.Stacked(images), batch, rng), steps=steps)
    return stacks.metrics(np.concatenate([backend.asnumpy(gan.sample(min(1000, samples - i)))
                                          for i in range(0, samples, 1000)]))


def _timed(function, *args):
    start = time.time()
    return function(*args) | {"seconds": time.time() - start}


def _table(shown, tasks, reference, jobs):
    """Run the tasks (name, function, arguments…) and print their metrics, means by name, and reference values."""
    shown = (*shown, "seconds")
    row = lambda name, cells: print(f"{name:<16}" + "".join(f"{text:>18}" for text in cells), flush=True)
    row("", shown)
    rows = {}
    with ProcessPoolExecutor(jobs) as pool:
        for (name, *_), future in [(task, pool.submit(_timed, *task[1:])) for task in tasks]:
            values = future.result()
            rows.setdefault(name, []).append([values.get(key, float("nan")) for key in shown])
            row(f"{name} {len(rows[name]) - 1}",
                [f"{value:.4f}" if value < 1e6 else f"{value:.0e}" for value in rows[name][-1]])
    rows["reference"] = [[values.get(key, float("nan")) for key in shown] for values in reference]
    for name, table in rows.items():
        row(name, [_mean(column) for column in zip(*table)])


def _mean(values):
    """Mean ± standard error; plainly the mean where one is infinite (a missed mode) or there is one only."""
    if np.isnan(values).all():
        return ""
    if len(values) < 2 or not np.isfinite(values).all():
        return f"{np.mean(values):.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1) / len(values)**0.5:.4f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ring", "grid", "digits", "stacked"])
    parser.add_argument("--seeds", type=int, help="how many (default 10 for mixtures, else 1)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--jobs", type=int, default=1, help="how many seeds at a time (default 1)")
    parser.add_argument("--held-out", metavar="NAME",
                        help="digits: held-out images for the reference values, such as idx:FOLDER")
    parser.add_argument("--data", default="mnist5k", help="stacked: the digits to stack (default mnist5k)")
    parser.add_argument("--backend", default="numpy", help="stacked: numpy or cupy")
    parser.add_argument("--width", type=float, default=1.0, help="stacked: factor on the channels (default 1)")
    parser.add_argument("--batch", type=int, help="stacked: instead of the recipe's")
    parser.add_argument("--samples", type=int, default=26_000, help="stacked: how many to judge (default 26000)")
    args = parser.parse_args()
    seeds = range(args.first, args.first + (args.seeds or (10 if args.what in MIXTURES else 1)))
    if args.what in MIXTURES:
        source = data.stream(args.what)
        tasks = [(args.what, mixture, args.what, seed, args.steps) for seed in seeds]
        reference = [metrics.mixture(source.sample(2500, np.random.default_rng(s))[0], source)
                     for s in range(100, 120)]
    elif args.what == "digits":
        tasks = [(name, digits, name, seed, args.steps, args.held_out) for name in DIGITS for seed in seeds]
        real, _ = data.load("mnist5k")
        unseen = data.load(args.held_out)[0] if args.held_out else real[1::2]
        reference = [metrics.digits(unseen[np.random.default_rng(0).permutation(len(unseen))[:2500]],
                                    real if args.held_out else real[::2])]
    else:
        images, labels = data.load(args.data)
        tasks = [("stacked", stacked, images, seed, args.steps, args.batch, args.backend, args.width, args.samples)
                 for seed in seeds]
        real, _ = stacks.Stacked(images, labels).sample(args.samples, np.random.default_rng(0))
        reference = [stacks.metrics(real)]
    _table(SHOWN[args.what], tasks, reference, args.jobs)


if __name__ == "__main__":
    main()
