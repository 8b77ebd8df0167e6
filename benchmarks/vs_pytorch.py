"""The same training step in tinygan and in PyTorch, side by side; on the CPU, or with --device cuda on the GPU.

    python benchmarks/vs_pytorch.py                         all rows (see ROWS), about 20 minutes
    python benchmarks/vs_pytorch.py --models dcgan --batches 128 --rounds 15 --json out.json
    python benchmarks/vs_pytorch.py --device cuda --tf32    step by step and as a CUDA graph, on both sides

One step: D's step on a real batch and on fakes of fresh noise, then G's step on fresh noise, Adam in both, float32.
Before anything is timed the two sides prove that they compute the same step: from the same weights, noise and
dropout masks the losses and all updated weights must agree. Then they take turns of a few steps in a row, as in
training, the first of each turn not counted: after a step of one side its threads still spin for a while, waiting for
more, and its data fill the cache. On a GPU a turn is timed as a whole, waited for at its end alone, so that the host
may run ahead as it does in training; beside it stands the time until the host had asked for all of it. A GPU computes
for two seconds before the first turn, as at rest it lowers its clocks. The ratio is that of the medians.

PyTorch runs as it is fastest here: the better of its two memory formats, fused Adam, all cores, no gradients for the
fakes of D's step, on the GPU cuDNN's choice by trial; its CUDA graph finds its batch in place and draws its noise
there, where tinygan's gets both anew. Precision is the same on both sides: float32 throughout, or TF32 products with
--tf32. NumPy's OpenBLAS chooses kernels for the CPU that it finds, unless OPENBLAS_CORETYPE in the environment tells
it which, as PyTorch's are not told; the results name them. The limit is the time of the step's operations, by direct
sums, at the rate of a large product of NumPy's in the same process; convolutions by transforms may be below it.

PyTorch pads symmetrically where TensorFlow's "same" puts the odd pixel at the bottom right: PyTorch's network
here is tinygan's seen in a mirror (images and weights flipped along both axes), so neither side pads by hand.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tinygan import GAN, backend, bench, kernels, models
from tinygan.kernels.graphs import capture
from tinygan.layers import (BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, LeakyReLU, Reshape, Tanh)
from tinygan.optim import Adam

LATENT, LR, BETA1, GAMMA = 100, 2e-4, 0.5, 1.0


class Row(NamedTuple):
    """A game to compare: the model, its options, whether D sees pairs with R1 + R2, and batch sizes."""
    model: str
    batches: tuple
    options: dict = {}
    penalised: bool = False


ROWS = {"dcgan": Row("dcgan", (128, 64, 16)), "dcgan_small": Row("dcgan_small", (32,)), "mlp": Row("mlp", (128, 16)),
        "dcgan_r1r2": Row("dcgan", (64,), {"dropout": 0}, True),
        "dcgan_small_r1r2": Row("dcgan_small", (16,), {"dropout": 0}, True),
        "dcgan64": Row("dcgan64", (32,)), "dcgan64_half": Row("dcgan64", (32,), {"width": 0.5}),
        "dcgan48_half": Row("dcgan64", (32,), {"width": 0.5, "image": (48, 48, 3)}),
        "dcgan128_quarter": Row("dcgan128", (16,), {"width": 0.25})}
NAMES = {"cpu": "numpy", "cuda": "cupy"}        # PyTorch's device: our backend


class Masked(nn.Module):
    """Dropout; `mask`, if there is one, takes the place of the random one (only to validate)."""

    def __init__(self, rate):
        super().__init__()
        self.rate, self.mask = rate, None

    def forward(self, x):
        return nn.functional.dropout(x, self.rate) if self.mask is None else x * self.mask


def mirror(net, shape):
    """The PyTorch twin of a Sequential; shape: of one sample that enters it, (H, W, C) or (n,).

    Returns the module and a list of (torch parameter, tinygan name, function from tinygan's array to torch's).
    A vector between Flatten or Reshape and Dense stands in PyTorch's order: channel, row, column, mirrored.
    """
    modules, links = [], []
    x = np.zeros((1, *shape), np.float32)
    order = None                            # of the vector: position in torch -> position in tinygan
    hwc = lambda s: np.arange(np.prod(s)).reshape(s)[::-1, ::-1].transpose(2, 0, 1).ravel()
    vector = lambda a, o: a if o is None else a[o]
    for i, layer in enumerate(net.layers):
        after = net.layers[i + 1:]
        y = layer.forward(x, train=False)[0]
        if isinstance(layer, Dense):
            then = next((m for m in after if isinstance(m, (Dense, Reshape))), None)
            out = hwc(then.shape) if isinstance(then, Reshape) else None
            module = nn.Linear(layer.n_in, layer.n_out, bias="b" in layer.params)
            links.append((module.weight, f"{i}.W", lambda a, o=order, p=out: vector(vector(a, o).T, p)))
            if "b" in layer.params:
                links.append((module.bias, f"{i}.b", lambda a, p=out: vector(a, p)))
            order = out
        elif isinstance(layer, (Conv2D, ConvTranspose2D)):
            transposed, bias = isinstance(layer, ConvTranspose2D), "b" in layer.params
            (k, _), (s, _) = layer.kernel, layer.stride
            module = (nn.ConvTranspose2d(layer.c_in, layer.c_out, k, s, k // 2, s - 1, bias=bias) if transposed else
                      nn.Conv2d(layer.c_in, layer.c_out, k, s, k // 2, bias=bias))
            links.append((module.weight, f"{i}.W", lambda a: a[::-1, ::-1].transpose(3, 2, 0, 1)))
            if bias:
                links.append((module.bias, f"{i}.b", lambda a: a))
        elif isinstance(layer, BatchNorm):
            module = (nn.BatchNorm1d if x.ndim == 2 else nn.BatchNorm2d)(layer.c, layer.eps, 1 - layer.momentum)
            links.append((module.weight, f"{i}.gamma", lambda a, o=order: vector(a, o)))
            links.append((module.bias, f"{i}.beta", lambda a, o=order: vector(a, o)))
        elif isinstance(layer, Flatten):
            module, order = nn.Flatten(), hwc(x.shape[1:])
        elif isinstance(layer, Reshape):
            h, w, c = layer.shape
            module, order = nn.Unflatten(1, (c, h, w)), None
        else:
            module = {LeakyReLU: lambda m: nn.LeakyReLU(m.slope), Tanh: lambda m: nn.Tanh(),
                      Dropout: lambda m: Masked(m.rate)}[type(layer)](layer)
        modules.append(module)
        x = y
    return nn.Sequential(*modules), links


def image(x, device="cpu"):
    """tinygan's images (N, H, W, C) as PyTorch's: channels first, mirrored."""
    return torch.from_numpy(x[:, ::-1, ::-1].transpose(0, 3, 1, 2).copy()).to(device)


class Torch:
    """The step in PyTorch, as its users write it."""

    def __init__(self, G, D, channels_last=False, device="cpu", graph=False, penalised=False):
        self.penalised = penalised
        G, D = G.to("numpy"), D.to("numpy")
        dtype, self.device, self.graph = torch.from_numpy(G.theta).dtype, device, graph
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        (self.G, self.g_links), (self.D, self.d_links) = mirror(G, G.input_shape), mirror(D, D.input_shape)
        self.G.to(dtype, memory_format=self.format), self.D.to(dtype, memory_format=self.format)
        with torch.no_grad():
            for links, net in ((self.g_links, G), (self.d_links, D)):
                for p, name, change in links:
                    p.copy_(torch.from_numpy(np.ascontiguousarray(change(net.params[name]))))
        self.G.to(device), self.D.to(device)
        adam = lambda net: torch.optim.Adam(net.parameters(), LR, (BETA1, 0.999), fused=True, capturable=graph)
        self.g_opt, self.d_opt = adam(self.G), adam(self.D)
        self.bce = nn.BCEWithLogitsLoss()

    def step(self, x, z_d=None, z_g=None, masks=(None,) * 3):
        """x: images as `image` gives them; noise and masks of the passes D(x), D(G(z)), D(G(z′)): only to validate."""
        n, one, zero = len(x), torch.ones_like(x[:, 0, 0, :1]), torch.zeros_like(x[:, 0, 0, :1])
        noise = lambda: torch.randn(n, LATENT, device=self.device)
        with torch.no_grad():
            fake = self.G(noise() if z_d is None else z_d)
        x = x.contiguous(memory_format=self.format)
        if self.penalised:
            x, fake = x.requires_grad_(), fake.requires_grad_()
        self._mask(masks[0])
        real_logits = self.D(x)
        self._mask(masks[1])
        fake_logits = self.D(fake)
        if self.penalised:
            d_loss = nn.functional.softplus(fake_logits - real_logits).mean()
            total = d_loss + self._penalty(real_logits, x) + self._penalty(fake_logits, fake)
        else:
            total = d_loss = self.bce(real_logits, one) + self.bce(fake_logits, zero)
        self.d_opt.zero_grad()
        total.backward()
        self.d_opt.step()
        for p in self.D.parameters():
            p.requires_grad_(False)
        self._mask(masks[2])
        logits = self.D(self.G(noise() if z_g is None else z_g))
        if self.penalised:
            with torch.no_grad():
                real_logits = self.D(x)
            g_loss = nn.functional.softplus(real_logits - logits).mean()
        else:
            g_loss = self.bce(logits, one)
        self.g_opt.zero_grad()
        g_loss.backward()
        self.g_opt.step()
        for p in self.D.parameters():
            p.requires_grad_(True)
        return d_loss.detach(), g_loss.detach()

    def _penalty(self, logits, x):
        """(γ/2)·mean‖∇ₓD‖², by double backward."""
        v, = torch.autograd.grad(logits.sum(), x, create_graph=True)
        return GAMMA / 2 * v.square().sum() / len(x)

    def captured(self, x):
        """The step on this batch as a CUDA graph: a function that replays it."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):      # what PyTorch's documentation asks for before a capture
                self.step(x)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        gc.collect()                # an array of CuPy's that dies in the middle of a capture would spoil it
        with torch.cuda.graph(graph):
            self.step(x)

        def replay():
            graph.replay()
        replay.reads = self, x      # which the graph itself does not keep alive
        return replay

    def _mask(self, masks):
        if masks:
            for module, mask in zip((m for m in self.D if isinstance(m, Masked)), masks):
                module.mask = mask


def make(row, seed=0, dtype="float32", name="numpy", **options):
    """G, D of a row in tinygan, freshly drawn."""
    return models.get(ROWS[row].model).build(rng=seed, dtype=dtype, backend=name, **ROWS[row].options | options)


def gan(row, G, D, seed=1):
    """The game in tinygan."""
    rules = {"loss": "relativistic", "penalty": "r1+r2", "gamma": GAMMA} if ROWS[row].penalised else {}
    return GAN(G, D, g_opt=Adam(LR, BETA1), d_opt=Adam(LR, BETA1), rng=seed, **rules)


def validate(model, batch=16, device="cpu", **options):
    """Both sides from the same weights through two steps -> the largest difference of losses and of weights.

    In float64, where agreement is to rounding, and in float32, where Adam turns the sign of a gradient that is all
    rounding into a step of lr: there weights are compared by their mean difference, and the losses of the second step,
    which follow from them, by a wider limit. Differences of weights are in units of lr. The noise and the masks are
    tinygan's, recorded on their way. SystemExit where the sides disagree.
    """
    found = {}
    for dtype, *limits in (("float64", 1e-9, 1e-9, 1e-4), ("float32", 1e-4, 1e-2, 0.15)):
        *losses, weights = _validate(model, batch, dtype, device, options)
        found |= {f"loss_{dtype}": max(losses), f"weights_{dtype}": weights}
        if not all(gap <= limit for gap, limit in zip((*losses, weights), limits)):
            raise SystemExit(f"{model}: the two sides do not compute the same step in {dtype}: relative difference "
                             f"of losses {losses[0]:.1e}, then {losses[1]:.1e}, of weights {weights:.1e} lr")
    return found


def _validate(model, batch, dtype, device, options):
    name = NAMES[device]
    G, D = make(model, dtype=dtype, name=name, **options)
    theirs, ours = Torch(G, D, device=device, penalised=ROWS[model].penalised), gan(model, G, D)
    x = np.random.default_rng(2).uniform(-1, 1, (batch, *D.input_shape)).astype(dtype)
    z, masks = [], []
    draw, dropouts = ours.noise, [layer for layer in D.layers if isinstance(layer, Dropout)]

    def spy_noise(*args):
        z.append(there(backend.asnumpy(draw(*args))))
        return backend.to(z[-1].cpu().numpy(), name)
    there = lambda array: torch.from_numpy(array).to(device)

    def spied(forward):
        def spy_forward(*args, **options):
            y, cache = forward(*args, **options)
            masks.append(_mask(backend.asnumpy(cache[1]), dtype, device))
            return y, cache
        return spy_forward
    ours.noise = spy_noise
    for layer in dropouts:
        layer.forward = spied(layer.forward)
    losses, weights = [0.0, 0.0], 0.0
    for i in range(2):
        z.clear(), masks.clear()
        metrics = ours.step(backend.to(x, name))
        passes = [masks[j * len(dropouts):(j + 1) * len(dropouts)] for j in range(3)]
        for key, value in zip(("d_loss", "g_loss"), theirs.step(image(x, device), *z, passes)):
            losses[i] = max(losses[i], abs(float(metrics[key]) - float(value)) / abs(float(value)))
    for links, net in ((theirs.g_links, G), (theirs.d_links, D)):
        for p, key, change in links:
            gap = np.abs(change(backend.asnumpy(net.params[key])) - p.detach().cpu().numpy()) / LR
            weights = max(weights, float(gap.max() if dtype == "float64" else gap.mean()))
    return *losses, weights


def _mask(mask, dtype, device):
    mask = np.asarray(mask, dtype=dtype)
    return image(mask, device) if mask.ndim == 4 else torch.from_numpy(mask).to(device)


def compare(model, batch, rounds, in_a_row=2, device="cpu", graph=False):
    """Medians in seconds of both sides, over so many rounds of turns of so many counted steps."""
    name = NAMES[device]
    x = np.random.default_rng(2).uniform(-1, 1, (batch, *make(model)[1].input_shape)).astype(np.float32)
    ours, here = gan(model, *make(model, name=name)), backend.to(x, name)
    ours = capture(ours) if graph else ours
    sides = {"tinygan": lambda: ours.step(here)}
    for side, last in (("torch", False), ("torch channels-last", True)):
        theirs, seen = Torch(*make(model), last, device, graph, ROWS[model].penalised), image(x, device)
        sides[side] = theirs.captured(seen) if graph else lambda step=theirs.step, seen=seen: step(seen)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None     # the whole device, whoever asked
    at_once = in_a_row if device == "cuda" else 1
    times, host = ({side: [] for side in sides} for _ in range(2))
    bench.warm_up(name)
    for i in range(1 + rounds):
        for side, step in sides.items():
            step()
            for _ in range(in_a_row // at_once):
                wait()
                start = time.perf_counter()
                for _ in range(at_once):
                    step()
                issued = time.perf_counter()
                wait()
                if i:               # the first round warms up
                    host[side].append((issued - start) / at_once)
                    times[side].append((time.perf_counter() - start) / at_once)
    medians = {side: statistics.median(t) for side, t in times.items()}
    best = min(("torch", "torch channels-last"), key=medians.get)
    quartiles = {side: [float(q) for q in np.quantile(t, (0.25, 0.75))] for side, t in times.items()}
    return {"model": model, "batch": batch, "rounds": rounds, "in_a_row": in_a_row, "device": device, "graph": graph,
            "median_s": medians, "quartiles_s": quartiles,
            "host_s": {side: statistics.median(t) for side, t in host.items()}, "torch_format": best,
            "ratio": medians["tinygan"] / medians[best]}


def peak(side, model, batch, steps=3):
    """Peak resident memory in MiB that so many steps add to a process that has loaded both libraries."""
    before = _resident()
    x = np.random.default_rng(2).uniform(-1, 1, (batch, *make(model)[1].input_shape)).astype(np.float32)
    step = (gan(model, *make(model)) if side == "tinygan" else
            Torch(*make(model), side != "torch", penalised=ROWS[model].penalised)).step
    x = x if side == "tinygan" else image(x)
    for _ in range(steps):
        step(x)
    return _resident() - before


def _resident():
    """The highest resident memory so far, MiB. Of this very program: ru_maxrss remembers who started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def hardware(device="cpu"):
    found = bench.hardware() | {"threads": torch.get_num_threads(), "torch": torch.__version__}
    return {key: value for key, value in found.items() if device == "cuda" or not key.endswith("gpu")}


def _measure(model, batch, args, graph):
    """The row of one comparison, in the precision that is asked for."""
    tf32 = torch.backends.cuda.matmul, torch.backends.cudnn
    for setting in tf32:
        setting.allow_tf32 = args.tf32
    kernels.tf32(args.tf32)
    quick = model == "mlp" or args.device == "cuda"
    try:
        row = compare(model, batch, args.rounds, 20 if quick else 2, args.device, graph)
    finally:
        kernels.tf32(False)
        for setting in tf32:
            setting.allow_tf32 = False
    if args.device == "cpu":
        x = np.zeros((batch, *make(model)[1].input_shape), np.float32)
        row["limit_s"] = bench.flop(gan(model, *make(model)), x) / bench.rate()
        row["peak_mib"] = {side: float(subprocess.run(
            [sys.executable, __file__, "--peak", side, model, str(batch)],
            check=True, capture_output=True, text=True).stdout) for side in ("tinygan", row["torch_format"])}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=ROWS, default=[*ROWS], help="rows: " + ", ".join(ROWS))
    parser.add_argument("--batches", nargs="+", type=int, help="default: those of the row")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--device", choices=NAMES, default="cpu")
    parser.add_argument("--tf32", action="store_true", help="products in TF32 on both sides (cuda)")
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--peak", nargs=3, metavar=("SIDE", "MODEL", "BATCH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        print(peak(args.peak[0], args.peak[1], int(args.peak[2])))
        return
    missing = args.device == "cuda" and (backend.why_not("cupy") or not torch.cuda.is_available() and
                                         "this PyTorch finds no CUDA device")
    if missing:
        parser.error(f"--device cuda expected a GPU for both sides: {missing}")
    results = {"hardware": hardware(args.device), "tf32": args.tf32, "steps": [], "failed": []}
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False    # to validate
    torch.backends.cudnn.benchmark = True
    print(", ".join(f"{k} {v}" for k, v in results["hardware"].items()))
    print(f"{'model':<18}{'batch':>6}{'tinygan ms':>12}{'torch ms':>10}{'ratio':>7}{'loss differs':>14}{'weights':>9}"
          f"{'peak MiB':>10}{'torch':>7}{'limit ms':>10}")
    for model in args.models:
        for batch in args.batches or ROWS[model].batches:
            eager = None
            for graph in (False, True) if args.device == "cuda" else (False,):
                try:
                    worst = validate(model, device=args.device)
                    row = _measure(model, batch, args, graph) | {"validated": worst}
                except (Exception, SystemExit) as error:        # recorded and passed over: the next row may do
                    results["failed"].append({"model": model, "batch": batch, "graph": graph,
                                              "error": f"{type(error).__name__}: {error}"})
                    print(f"{model + ', graph' * graph:<18}{batch:>6} failed: {error}", flush=True)
                    _write(results, args.json)
                    continue
                if graph and eager:
                    row["ratio_to_eager"] = row["median_s"]["tinygan"] / eager
                elif not graph:
                    eager = row["median_s"][row["torch_format"]]
                results["steps"].append(row)
                print(f"{model + ', graph' * graph:<18}{batch:>6}{1e3 * row['median_s']['tinygan']:>12.2f}"
                      f"{1e3 * row['median_s'][row['torch_format']]:>10.2f}{row['ratio']:>7.2f}"
                      f"{worst['loss_float64']:>14.1e}{worst['weights_float64']:>9.1e}"
                      + "".join(f"{row['peak_mib'][side]:>{width}.0f}" for side, width in
                                zip(("tinygan", row["torch_format"]), (10, 7)) if "peak_mib" in row)
                      + (f"{1e3 * row['limit_s']:>10.2f}" if "limit_s" in row else "")
                      + (f"   host: {1e3 * row['host_s']['tinygan']:.2f} and "
                         f"{1e3 * row['host_s'][row['torch_format']]:.2f} ms" if args.device == "cuda" else "")
                      + (f"{row['ratio_to_eager']:>8.2f} of PyTorch's step by step" if "ratio_to_eager" in row else ""),
                      flush=True)
                _write(results, args.json)
    sys.exit(1 if results["failed"] else 0)


def _write(results, path):
    """After each row: a later one may end the process."""
    if path:
        Path(path).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
