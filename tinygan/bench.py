"""Benchmarks on each usable backend: single layers, whole training steps, and the profile of a step.

    results = bench.measure(model="dcgan", batches=(1, 64), seconds=0.2)      rows of medians, with the hardware
    profile = bench.profile(model="dcgan", batch=128)                         the profile of a step, with a lower bound

Each time is the median of several calls after a warm-up call; the device is synchronised before the clock is read.
Beside it stands the time until the call returned: what the host needs to ask for the work.
A small network is slower on a GPU than on a CPU: each operation costs the time to launch a kernel.
"""

import csv
import io
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from math import nan
from pathlib import Path

import numpy as np

from . import backend, kernels, models
from .data.files import atomic
from .errors import ConfigError
from .gan import GAN
from .kernels import graphs
from .kernels.threads import core
from .layers import (Affine, AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, LeakyReLU, MaxPool2D,
                     Sequential, Tanh, UpSampling2D)
from .optim import Adam
from .run import plots

# name -> (layer, shape of one sample): the layers of the DCGAN, and the others at the same sizes.
LAYERS = {
    "Dense 100→12544": (lambda: Dense(100, 12544), (100,)),
    "Dense 784→256": (lambda: Dense(784, 256), (784,)),
    "Conv2D 1→64, 5×5, stride 2": (lambda: Conv2D(1, 64, 5, 2), (28, 28, 1)),
    "Conv2D 64→128, 5×5, stride 2": (lambda: Conv2D(64, 128, 5, 2), (14, 14, 64)),
    "ConvTranspose2D 256→128, 5×5": (lambda: ConvTranspose2D(256, 128, 5), (7, 7, 256)),
    "ConvTranspose2D 128→64, 5×5, stride 2": (lambda: ConvTranspose2D(128, 64, 5, 2), (7, 7, 128)),
    "ConvTranspose2D 64→1, 5×5, stride 2": (lambda: ConvTranspose2D(64, 1, 5, 2), (14, 14, 64)),
    "MaxPool2D 2×2": (lambda: MaxPool2D(2), (14, 14, 64)),
    "AvgPool2D 2×2": (lambda: AvgPool2D(2), (14, 14, 64)),
    "UpSampling2D ×2": (lambda: UpSampling2D(2), (7, 7, 128)),
    "BatchNorm 64": (lambda: BatchNorm(64), (14, 14, 64)),
    "LeakyReLU": (lambda: LeakyReLU(), (14, 14, 64)),
    "Tanh": (lambda: Tanh(), (28, 28, 1)),
    "Dropout": (lambda: Dropout(0.3), (14, 14, 64)),
}


def hardware():
    """The hardware and software of a measurement: mapping name -> text or number."""
    try:
        with open("/proc/cpuinfo") as file:
            cpu = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    found = {"cpu": cpu, "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
             "threads": os.environ.get("OMP_NUM_THREADS") or os.environ.get("OPENBLAS_NUM_THREADS") or "all",
             "numpy": np.__version__, "blas": blas(),
             "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    reason = backend.why_not("cupy")
    return found | ({"gpu": backend.describe("cupy")} if reason is None else {"no gpu": reason})


def blas():
    """The BLAS of NumPy's products, such as "scipy-openblas 0.3.31, kernels for Haswell as OPENBLAS_CORETYPE says"."""
    library = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    text = f"{library.get('name', 'unknown BLAS')} {library.get('version', '')}".strip()
    if core():
        text += f", kernels for {core()}" + " as OPENBLAS_CORETYPE says" * ("OPENBLAS_CORETYPE" in os.environ)
    return text


def clock(call, name, seconds=0.3, least=3, timer=time.perf_counter):
    """(median, lower quartile, upper quartile, median until call() returned) in seconds of call(), repeated for
    `seconds` but `least` times; on a device the last is shorter, as the host does not wait for it.

    timer: reads the clock. time.process_time gives the processor's time, without that of other programs that share
    the cores; it adds up threads and does not know a device, so it is for one thread on the CPU.
    """
    call()
    times, issued, end = [], [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        backend.synchronize(name)
        start = timer()
        call()
        issued.append(timer() - start)
        backend.synchronize(name)
        times.append(timer() - start)
    low, high = (float(q) for q in np.quantile(times, (0.25, 0.75)))
    return statistics.median(times), low, high, statistics.median(issued)


def warm_up(name, seconds=2.0):
    """Keep a device busy for so long: at rest it lowers its clocks. Nothing for "numpy"."""
    if name == "numpy":
        return
    x, end = backend.to(np.ones((2048, 2048), "float32"), name), time.perf_counter() + seconds
    while time.perf_counter() < end:
        x @ x
        backend.synchronize(name)


def _layer(build, shape, batch, name):
    """A function that runs one layer forward and backward, with its gradients."""
    net, rng = Sequential([build()], rng=0, backend=name), np.random.default_rng(0)
    x = backend.to(rng.standard_normal((batch, *shape), dtype=np.float32), name)
    y, _ = net.forward(x)
    dy = backend.to(rng.standard_normal(y.shape, dtype=np.float32), name)

    def call():
        _, cache = net.forward(x)
        grads = net.zero_grads()
        return net.backward(dy, cache, grads), grads
    return call


def game(model, batch, name="numpy", capture=False, **options):
    """(gan, x): a GAN of this model with Adam, and a batch of real samples, on this backend."""
    G, D = models.get(model).build(rng=0, backend=name, **options)
    x = np.random.default_rng(1).uniform(-1, 1, (batch, *D.input_shape)).astype(np.float32)
    gan = GAN(G, D, g_opt=Adam(2e-4, 0.5), d_opt=Adam(2e-4, 0.5), rng=2)
    return graphs.capture(gan) if capture else gan, backend.to(x, name)


def measure(model="dcgan", batches=(1, 4, 16, 64, 256, 1024), backends=None, seconds=0.3, layers=True, log=None,
            folder=None):
    """Layers and whole training steps over batch sizes, on every usable backend.

    Returns {"hardware": …, "model", "rows": [{"what", "batch", "backend", "median_s", "q25_s", "q75_s", "host_s"}, …],
    "failed": [{"what", "batch", "backend", "error"}, …]}: a measurement that fails is passed over.
    log: a function called with each measured row; folder: where bench.json is written after each of them.
    Raises ConfigError for a batch below 1 or an unknown model.
    """
    models.get(model)
    if not batches or min(batches) < 1:
        raise ConfigError(f"expected batch sizes of at least 1, got {batches}")
    backends = backends or [name for name in ("numpy", "cupy") if backend.why_not(name) is None]
    tasks = {what: lambda batch, name, pair=pair: _layer(*pair, batch, name)
             for what, pair in (LAYERS.items() if layers else ())}

    def step(batch, name):
        gan, x = game(model, batch, name)
        return lambda: gan.step(x)
    tasks[f"training step, {model}"] = step

    def captured(batch, name):
        gan, x = game(model, batch, name, capture=name != "numpy")      # the CPU's step again, for comparison
        gan.step(x)         # the first is not captured
        return lambda: gan.step(x)
    if any(name != "numpy" for name in backends):
        tasks["the same, as a CUDA graph on the GPU"] = captured
    results = {"hardware": hardware(), "model": model, "rows": [], "failed": []}
    for name in backends:
        warm_up(name)
    for what, task in tasks.items():
        for batch in batches:
            for name in backends:
                row = {"what": what, "batch": batch, "backend": name}
                try:
                    times = clock(task(batch, name), name, seconds)
                except Exception as error:      # such as too little memory for a large batch
                    results["failed"].append(row | {"error": f"{type(error).__name__}: {error}"})
                else:
                    results["rows"].append(row | dict(zip(("median_s", "q25_s", "q75_s", "host_s"), times)))
                    if log:
                        log(results["rows"][-1])
                if folder:
                    _write(results, folder)
    return results


def _write(results, folder):
    path = Path(folder, "bench.json")
    with atomic(path, "w") as file:
        json.dump(results, file, indent=2)
    return path


def table(results):
    """The rows as text: a line per measurement and batch, a column per backend; and where the GPU is faster."""
    backends = list(dict.fromkeys(row["backend"] for row in results["rows"]))
    cells = defaultdict(lambda: nan)        # nan: it failed
    cells.update({(row["what"], row["batch"], row["backend"]): row["median_s"] for row in results["rows"]})
    both = len(backends) == 2
    lines = [f"{'milliseconds, forward and backward':<42}{'batch':>6}" + "".join(f"{name:>11}" for name in backends)
             + (f"{'numpy/cupy':>12}" if both else "")]
    for what in dict.fromkeys(row["what"] for row in results["rows"]):
        batches = sorted({row["batch"] for row in results["rows"] if row["what"] == what})
        for batch in batches:
            times = [cells[what, batch, name] for name in backends]
            lines.append(f"{what:<42}{batch:>6}" + "".join(f"{1e3 * t:>11.3f}" for t in times)
                         + (f"{times[0] / times[1]:>12.2f}" if both else ""))
        if both:
            ahead = [b for b in batches if cells[what, b, backends[1]] < cells[what, b, backends[0]]]
            lines.append(f"    the GPU is faster from batch {min(ahead)}" if ahead else
                         "    the CPU is faster at every batch size")
    lines += [f"failed: {row['what']}, batch {row['batch']}, {row['backend']}: {row['error']}"
              for row in results.get("failed", ())]
    return "\n".join(lines)


def as_csv(results):
    """The rows as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(results["rows"][0]))
    writer.writeheader()
    writer.writerows(results["rows"])
    return text.getvalue()


def save(results, folder):
    """Write bench.json, bench.csv and bench.png into a folder; returns their paths."""
    paths = [_write(results, folder), *(Path(folder, f"bench.{kind}") for kind in ("csv", "png"))]
    with atomic(paths[1], "w") as file:
        file.write(as_csv(results))
    plots.bench(results, paths[2])
    return paths


def rate(size=2048, timer=time.perf_counter):
    """Floating-point operations a second of a large float32 product, all cores; timer: as for `clock`."""
    a, b = (np.random.default_rng(i).standard_normal((size, size), dtype=np.float32) for i in range(2))
    out = np.empty_like(a)
    return 2 * size**3 / clock(lambda: np.matmul(a, b, out=out), "numpy", 0.5, timer=timer)[0]


def profile(model="dcgan", batch=128, steps=5, timer=time.perf_counter):
    """Profile of a training step on the CPU; timer: as for `clock`.

    Returns {"step_s": median, "bound_s": its direct multiplications at the rate of a large product, "flop", "rate",
    "rows": [{"layer", "map", "calls", "seconds", "flop", "way", "others_s"}, …]}, all of one step. way: of a
    convolution, "direct", "frequencies" or "tiles" (`kernels.way`), else None; others_s: the seconds of the others.
    Times of maps include the overhead of the clock, some microseconds a call.
    """
    gan, x = game(model, batch)
    whole = clock(lambda: gan.step(x), "numpy", 0, steps, timer)[0]
    found, mode, modes = _profiled(gan, x, steps, timer), kernels.mode(), {}
    if mode != "reference":
        for other in ("direct", "frequencies", "tiles"):
            kernels.use(other)
            try:
                modes[other] = _profiled(*game(model, batch), steps, timer)
            finally:
                kernels.use(mode)
    others = lambda way, key: {other: entries[key][1] / steps for other, entries in modes.items()
                               if entries[key][3] == other != way}     # all of these maps go that way
    rows = [{"layer": layer, "map": method, "calls": n // steps, "seconds": s / steps, "flop": flop // steps,
             "way": way, "others_s": others(way, (layer, method)) if way else {}}
            for (layer, method), (n, s, flop, way) in found.items() if n]
    flop, speed = sum(row["flop"] for row in rows), rate(timer=timer)
    return {"hardware": hardware(), "model": model, "batch": batch, "step_s": whole, "bound_s": flop / speed,
            "flop": flop, "rate": speed, "rows": sorted(rows, key=lambda row: -row["seconds"])}


def flop(gan, x):
    """Floating-point operations of a training step by direct sums: 2·(multiplications) of all maps with a weight."""
    return sum(entry[2] for entry in _profiled(gan, x, 1, time.perf_counter).values())


def _profiled(gan, x, steps, timer):
    """{(layer, map): [calls, seconds, operations, way]} of so many steps."""
    found = defaultdict(lambda: [0, 0.0, 0, None])
    for side, net in (("G", gan.G), ("D", gan.D)):
        for i, layer in enumerate(net.layers):
            weighty = isinstance(layer, Affine) and "W" in layer.params
            for method in ("map", "adjoint", "wgrad") if weighty else ("forward", "backward"):
                _time(layer, method, found[f"{side}.{i} {layer}", method], weighty, timer)
    for side, optimiser in (("G", gan.g_opt), ("D", gan.d_opt)):
        _time(optimiser, "step", found[f"{side} {type(optimiser).__name__}", "step"], False, timer)
    gan.step(x)     # its buffers and transforms are made
    for entry in found.values():
        entry[:3] = 0, 0.0, 0
    for _ in range(steps):
        gan.step(x)
    return found


def _time(thing, method, entry, weighty, timer):
    """Wrap a method of an object: count its calls and seconds and, of a map with a weight, operations and its way."""
    inner = getattr(thing, method)

    def timed(*args, **options):
        start = timer()
        result = inner(*args, **options)
        entry[0] += 1
        entry[1] += timer() - start
        if weighty:
            entry[2] += _flop(thing, method, args, result)
            entry[3] = _way(thing, method, args)
        return result
    setattr(thing, method, timed)


def _way(layer, method, args):
    """How ops.conv computes this map of a convolution; None for a Dense."""
    if isinstance(layer, Dense):
        return None
    rules = {"map": "conv", "adjoint": "conv_input", "wgrad": "conv_weight"}
    if isinstance(layer, ConvTranspose2D):
        rules |= {"map": "conv_input", "adjoint": "conv"}
    return kernels.way(rules[method], args[0], layer.params["W"].shape, args[-1])


def _flop(layer, method, args, result):
    """2·(multiplications) of the direct form: each output position of the convolution multiplies the whole weight."""
    if isinstance(layer, Dense):
        positions = len(args[0])
    else:   # the output of the convolution that the layer is, or is the adjoint of
        small = {"map": result, "adjoint": args[0], "wgrad": args[1] if method == "wgrad" else None}[method]
        if isinstance(layer, ConvTranspose2D):
            small = result if method == "adjoint" else args[0]
        positions = small.size // small.shape[-1]
    return 2 * positions * layer.params["W"].size


def profile_table(found, lines=25):
    """The profile as text."""
    rows, step = found["rows"], found["step_s"]
    text = [f"{found['model']} at batch {found['batch']}: {1e3 * step:.1f} ms a step, "
            f"{found['flop'] / 1e9:.1f} GFLOP by direct sums; at the {found['rate'] / 1e9:.0f} GFLOP/s of a large "
            f"product they take {1e3 * found['bound_s']:.1f} ms ({found['bound_s'] / step:.2f} of the step)",
            f"{'':<46}{'map':<8}{'calls':>5}{'ms':>9}{'share':>7}{'GFLOP/s':>8}  {'way':<12}others, ms"]
    for row in rows[:lines]:
        speed = f"{row['flop'] / row['seconds'] / 1e9:>8.0f}" if row["flop"] else ""
        other = f"  {row['way']:<12}" + ", ".join(f"{way} {1e3 * s:.2f}" for way, s in row["others_s"].items()) if (
            row["way"]) else ""
        text.append(f"{row['layer']:<46}{row['map']:<8}{row['calls']:>5}{1e3 * row['seconds']:>9.2f}"
                    f"{row['seconds'] / step:>7.1%}{speed}{other}")
    rest = sum(row["seconds"] for row in rows[lines:])
    text.append(f"{'the rest of the maps':<59}{1e3 * rest:>9.2f}{rest / step:>7.1%}")
    return "\n".join(text)
