"""tinygan beside hand-written libraries that run on NumPy alone too: one convolution, and the whole DCGAN step.

    git clone https://github.com/borgwang/tinynn
    git clone https://github.com/ddbourgin/numpy-ml
    git clone https://github.com/eriklindernoren/ML-From-Scratch
    python benchmarks/vs_peers.py --tinynn tinynn --numpy-ml numpy-ml --ml-from-scratch ML-From-Scratch

Each of the three may be left out. The convolution is the second of D (64 to 128 channels, 5×5, stride 2, on 14×14),
forward and backward with both gradients, every library on arrays in its own order; before anything is timed it must
give the same numbers everywhere. The step is beside tinynn, which has all the layers that it takes: the networks of
`dcgan` without BatchNorm (tinynn's takes statistics of another kind), Adam, sigmoid cross-entropy, fresh noise for
each player. All are given float32.
"""

import argparse
import importlib
import json
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from tinygan import GAN, Sequential, bench, models
from tinygan.layers import BatchNorm, Conv2D, ConvTranspose2D
from tinygan.optim import Adam


def load(folder, module):
    """A module of a checkout, without running what its packages would import for all their other modules."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    parts = module.split(".")
    for i in range(1, len(parts)):
        package = ModuleType(".".join(parts[:i]))
        package.__path__ = [str(Path(folder, *parts[:i]))]
        sys.modules.setdefault(package.__name__, package)
    return importlib.import_module(module)


# A convolution in each library: W (kh, kw, c_in, c_out) -> forward(x) -> y, backward(dy) -> (dx, dW), and `turn`, which
# takes x, y, dx and dy from tinygan's order to that library's, and `back`; dW comes in tinygan's.

def _tinygan(W, folder=None):
    layer = Conv2D(*W.shape[2:], W.shape[0], 2, padding=2, bias=False).astype("float32")
    layer.params["W"] = W
    held = SimpleNamespace()

    def forward(x):
        y, held.cache = layer.forward(x)
        return y

    def backward(dy):
        grads = layer.zero_grads()
        return layer.backward(dy, held.cache, grads), grads["W"]
    return forward, backward, np.asarray, np.asarray


def _tinynn(W, folder):
    layer = load(folder, "tinynn.core.layer").Conv2D(list(W.shape), [2, 2], "SAME")     # pads both sides alike

    def forward(x):
        if not layer.is_init:
            layer.forward(x)
            layer.params["w"] = W
        return layer.forward(x)
    return forward, lambda dy: (layer.backward(dy), layer.grads["w"]), np.asarray, np.asarray


def _numpy_ml(W, folder):
    layer = load(folder, "numpy_ml.neural_nets.layers").Conv2D(W.shape[3], W.shape[:2], pad=2, stride=2)
    layer.in_ch = W.shape[2]
    layer._init_params()
    layer.parameters["W"] = W

    def forward(x):
        layer.flush_gradients()
        return layer.forward(x)
    return forward, lambda dy: (layer.backward(dy), layer.gradients["W"]), np.asarray, np.asarray


def _ml_from_scratch(W, folder):
    layer = load(folder, "mlfromscratch.deep_learning.layers").Conv2D(W.shape[3], W.shape[:2], stride=2)
    layer.W, layer.w0 = np.ascontiguousarray(W.transpose(3, 2, 0, 1)), np.zeros((W.shape[3], 1), np.float32)
    grads = {}
    keep = lambda key: SimpleNamespace(update=lambda w, grad: (grads.update({key: grad}), w)[1])   # its optimiser
    layer.W_opt, layer.w0_opt = keep("W"), keep("w0")

    def forward(x):
        layer.input_shape = x.shape[1:]
        return layer.forward_pass(x)

    def backward(dy):
        return layer.backward_pass(dy), grads["W"].transpose(2, 3, 1, 0)
    return (forward, backward, lambda a: np.ascontiguousarray(a.transpose(0, 3, 1, 2)),
            lambda a: a.transpose(0, 2, 3, 1))


CONVOLUTIONS = {"tinygan": _tinygan, "tinynn": _tinynn, "numpy-ml": _numpy_ml, "ML-From-Scratch": _ml_from_scratch}


def convolutions(folders, batch, rounds):
    """{library: median seconds} of a convolution forward and backward, once all give the same; and how far apart."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((5, 5, 64, 128), np.float32)
    x, dy = rng.standard_normal((batch, 14, 14, 64), np.float32), rng.standard_normal((batch, 7, 7, 128), np.float32)
    calls, found, worst = {}, {}, 0.0
    for name, folder in folders.items():
        forward, backward, turn, back = CONVOLUTIONS[name](W, folder)
        there, d = turn(x), turn(dy)
        calls[name] = lambda f=forward, b=backward, x=there, d=d: (f(x), *b(d))
        y, dx, dW = calls[name]()
        found[name] = back(y), back(dx), dW
        worst = max(worst, *(float(np.abs(a - b).max() / np.abs(b).max())
                             for a, b in zip(found[name], found["tinygan"])))
    if worst > 1e-4:
        raise SystemExit(f"they do not compute the same convolution: relative difference {worst:.1e}")
    return medians(calls, rounds), worst


def medians(calls, rounds):
    """{name: median seconds}, in turns, the first round not counted."""
    times = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if i:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def our_step(batch):
    """tinygan's step without BatchNorm."""
    G, D = models.dcgan(rng=0)
    G = Sequential([layer.copy() for layer in G.layers if not isinstance(layer, BatchNorm)], rng=0, input_shape=(100,))
    gan = GAN(G, D, g_opt=Adam(2e-4, 0.5), d_opt=Adam(2e-4, 0.5), rng=1)
    x = np.random.default_rng(2).uniform(-1, 1, (batch, 28, 28, 1)).astype(np.float32)
    return lambda: gan.step(x)


def tinynn_step(folder, batch):
    """tinynn's step, as its own DCGAN example writes it, with fresh noise for G."""
    layer, net, loss, model, optimizer = (load(folder, f"tinynn.core.{name}")
                                          for name in ("layer", "net", "loss", "model", "optimizer"))
    G_net = net.Net([
        layer.Dense(7 * 7 * 256), layer.LeakyReLU(0.2), layer.Reshape(7, 7, 256),
        layer.ConvTranspose2D([5, 5, 256, 128], [1, 1], "SAME"), layer.LeakyReLU(0.2),
        layer.ConvTranspose2D([5, 5, 128, 64], [2, 2], "SAME"), layer.LeakyReLU(0.2),
        layer.ConvTranspose2D([5, 5, 64, 1], [2, 2], "SAME"), layer.Tanh()])
    D_net = net.Net([
        layer.Conv2D([5, 5, 1, 64], [2, 2], "SAME"), layer.LeakyReLU(0.2), layer.Dropout(0.7),
        layer.Conv2D([5, 5, 64, 128], [2, 2], "SAME"), layer.LeakyReLU(0.2), layer.Dropout(0.7),
        layer.Flatten(), layer.Dense(1)])
    G, D = (model.Model(net=player, loss=loss.SigmoidCrossEntropy(), optimizer=optimizer.Adam(2e-4, beta1=0.5))
            for player in (G_net, D_net))
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


def check_transposed(folder):
    """The relative difference of a transposed convolution in tinynn and in tinygan; its step is made of them."""
    rng = np.random.default_rng(0)
    theirs, ours = load(folder, "tinynn.core.layer").ConvTranspose2D([5, 5, 3, 4]), ConvTranspose2D(3, 4, 5)
    x, d = rng.standard_normal((2, 7, 7, 3), np.float32), rng.standard_normal((2, 7, 7, 4), np.float32)
    there = theirs.forward(x)
    ours.params["W"] = theirs.params["w"][::-1, ::-1].transpose(0, 1, 3, 2)     # of stride 1: the kernel turned round
    here, cache = ours.forward(x)
    worst = max(float(np.abs(a - b).max() / np.abs(a).max())
                for a, b in ((here, there), (ours.backward(d, cache), theirs.backward(d))))
    if worst > 1e-4:
        raise SystemExit(f"tinynn's transposed convolution is another: relative difference {worst:.1e}")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in [*CONVOLUTIONS][1:]:
        parser.add_argument(f"--{name.lower()}", dest=name, metavar="FOLDER", help=f"a checkout of {name}")
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the figures there")
    args = parser.parse_args()
    folders = {"tinygan": None} | {name: vars(args)[name] for name in [*CONVOLUTIONS][1:] if vars(args)[name]}
    if len(folders) == 1:
        parser.error("expected the checkout of at least one library, got none; see --help")
    results = {"hardware": bench.hardware(), "convolution": [], "step": []}

    def report(kind, batch, row, worst):
        results[kind].append({"batch": batch, "median_s": row, "differ": worst})
        print(f"{kind:<12}{batch:>6}  " + ", ".join(
            f"{name} {1e3 * t:.1f} ms ({t / row['tinygan']:.1f})" for name, t in row.items()), flush=True)
    for batch in args.batches:
        report("convolution", batch, *convolutions(folders, batch, args.rounds))
    if "tinynn" in folders:
        worst = check_transposed(folders["tinynn"])
        for batch in args.batches:
            steps = {"tinygan": our_step(batch), "tinynn": tinynn_step(folders["tinynn"], batch)}
            report("step", batch, medians(steps, args.rounds), worst)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
