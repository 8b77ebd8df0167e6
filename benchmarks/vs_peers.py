"""The same DCGAN step in tinygan and in borgwang/tinynn, both on NumPy alone.

    git clone https://github.com/borgwang/tinynn
    python benchmarks/vs_peers.py tinynn --batches 64 128

The networks are tinygan's `dcgan` without BatchNorm (tinynn's takes statistics of another kind): its layers, its Adam,
sigmoid cross-entropy, fresh noise for each player, float32 in both. Before anything is timed, a convolution of each
kind must give the same numbers forward and backward in both.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from tinygan import GAN, Sequential, bench, models
from tinygan.layers import BatchNorm, Conv2D, ConvTranspose2D
from tinygan.optim import Adam


def ours(batch):
    """tinygan's step without BatchNorm."""
    G, D = models.dcgan(rng=0)
    G = Sequential([layer.copy() for layer in G.layers if not isinstance(layer, BatchNorm)], rng=0, input_shape=(100,))
    gan = GAN(G, D, g_opt=Adam(2e-4, 0.5), d_opt=Adam(2e-4, 0.5), rng=1)
    x = np.random.default_rng(2).uniform(-1, 1, (batch, 28, 28, 1)).astype(np.float32)
    return lambda: gan.step(x)


def tinynn_step(tn, batch):
    """tinynn's step, as its own DCGAN example writes it, with fresh noise for G."""
    layer = tn.layer
    G_net = tn.net.Net([
        layer.Dense(7 * 7 * 256), layer.LeakyReLU(0.2), layer.Reshape(7, 7, 256),
        layer.ConvTranspose2D([5, 5, 256, 128], [1, 1], "SAME"), layer.LeakyReLU(0.2),
        layer.ConvTranspose2D([5, 5, 128, 64], [2, 2], "SAME"), layer.LeakyReLU(0.2),
        layer.ConvTranspose2D([5, 5, 64, 1], [2, 2], "SAME"), layer.Tanh()])
    D_net = tn.net.Net([
        layer.Conv2D([5, 5, 1, 64], [2, 2], "SAME"), layer.LeakyReLU(0.2), layer.Dropout(0.7),
        layer.Conv2D([5, 5, 64, 128], [2, 2], "SAME"), layer.LeakyReLU(0.2), layer.Dropout(0.7),
        layer.Flatten(), layer.Dense(1)])
    loss = tn.loss.SigmoidCrossEntropy()
    G, D = (tn.model.Model(net=net, loss=loss, optimizer=tn.optimizer.Adam(2e-4, beta1=0.5)) for net in (G_net, D_net))
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (batch, 28, 28, 1)).astype(np.float32)
    noise = lambda: rng.standard_normal((batch, 100), dtype=np.float32)

    def step():
        real = D.forward(x)
        _, d_real = D.backward(real, np.ones_like(real))
        fake = D.forward(G.forward(noise()))
        _, d_fake = D.backward(fake, np.zeros_like(fake))
        D.apply_grads(d_real + d_fake)
        fake = D.forward(G.forward(noise()))
        _, d = D.backward(fake, np.ones_like(fake))
        G.apply_grads(G.net.backward(d.wrt_input))
    return step


def validate(tn):
    """A convolution and a transposed one: the same output and the same input gradient from the same weights."""
    rng, worst = np.random.default_rng(0), 0.0
    for kind, theirs, mine, shape in [
            # its "SAME" pads both sides alike, whatever the stride
            ("conv", tn.layer.Conv2D([5, 5, 3, 4], [2, 2], "SAME"), Conv2D(3, 4, 5, 2, padding=2), (2, 14, 14, 3)),
            ("transposed", tn.layer.ConvTranspose2D([5, 5, 3, 4]), ConvTranspose2D(3, 4, 5), (2, 7, 7, 3))]:
        x = rng.standard_normal(shape).astype(np.float32)
        there = theirs.forward(x)
        W, b = theirs.params["w"], theirs.params["b"]
        # A transposed convolution of stride 1 is the convolution with the kernel turned round.
        mine.params["W"] = W if kind == "conv" else W[::-1, ::-1].transpose(0, 1, 3, 2)
        mine.params["b"] = b.reshape(-1)
        here, cache = mine.forward(x)
        d = rng.standard_normal(here.shape).astype(np.float32)
        for a, b_ in ((here, there), (mine.backward(d, cache), theirs.backward(d))):
            worst = max(worst, float(np.abs(a - b_).max() / np.abs(a).max()))
    if worst > 1e-4:
        raise SystemExit(f"the two do not compute the same convolutions: relative difference {worst:.1e}")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tinynn", help="a checkout of borgwang/tinynn")
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the figures there")
    args = parser.parse_args()
    sys.path.insert(0, args.tinynn)
    import tinynn as tn
    results = {"hardware": bench.hardware(), "validated": validate(tn), "steps": []}
    print(f"{'batch':>6}{'tinygan ms':>12}{'tinynn ms':>11}{'factor':>8}")
    for batch in args.batches:
        sides = {"tinygan": ours(batch), "tinynn": tinynn_step(tn, batch)}
        times = {name: [] for name in sides}
        for i in range(args.rounds + 1):
            for name, step in sides.items():
                start = time.perf_counter()
                step()
                if i:
                    times[name].append(time.perf_counter() - start)
        row = {name: statistics.median(t) for name, t in times.items()}
        results["steps"].append({"batch": batch, "median_s": row, "factor": row["tinynn"] / row["tinygan"]})
        print(f"{batch:>6}{1e3 * row['tinygan']:>12.1f}{1e3 * row['tinynn']:>11.1f}"
              f"{row['tinynn'] / row['tinygan']:>8.1f}")
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
