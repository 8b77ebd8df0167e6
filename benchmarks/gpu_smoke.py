"""The first minutes on a GPU: small checks of what the emulated device of the tests cannot show.

    python benchmarks/gpu_smoke.py OUT.jsonl                        all checks on CuPy, a line of JSON each
    python benchmarks/gpu_smoke.py OUT.jsonl cupy products steps    these checks

Each check runs in a process of its own, as after one bad access a process gets nothing more right, and has a limit of
time. A line holds the check, whether it passed, its seconds, and what it found or the error that it ended with. Times
are of the device, and of the host until it had asked for the work, in milliseconds.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tinygan import backend, bench, kernels
from tinygan.kernels import cublas, cuda, graphs, transforms
from tinygan.ops import conv
from tinygan.ops.products import matmul
from tinygan.ops.windows import geometry

LIMIT = 120     # seconds for a check
SHORT = 2.0     # seconds of each timing


def _draw(rng, *shapes):
    return [rng.standard_normal(shape, dtype="float32") for shape in shapes]


def _error(found, exact):
    """The largest difference over the largest value."""
    return float(np.abs(backend.asnumpy(found) - exact).max() / np.abs(exact).max())


def _milliseconds(call, name):
    median, _, _, host = bench.clock(call, name, seconds=SHORT if name == "cupy" else 0)
    return {"ms": 1e3 * median, "host_ms": 1e3 * host}


def products(name):
    """cuBLAS through the handle of tinygan: float32 and TF32; rows of products whose results interleave."""
    rng, found = np.random.default_rng(0), {}
    for m, k, n in ((64, 100, 12544), (128, 6272, 1), (6272, 1600, 128)) if name == "cupy" else ((6, 10, 7),):
        a, b = _draw(rng, (m, k), (k, n))
        exact, a, b = a.astype("float64") @ b, backend.to(a, name), backend.to(b, name)
        single = _error(matmul(a, b), exact)
        before = kernels.tf32(True)
        found[f"{m}x{k}x{n}"] = {"float32": single, "tf32": _error(matmul(a, b), exact)}
        kernels.tf32(before)
        assert single < 5e-6, found
    rows, x = _draw(rng, (121, 49), (32, 49, 16))
    out = backend.get(name).empty((121, 32, 16), dtype="float32")
    cublas.batched(backend.to(rows, name), backend.to(x, name), out.transpose(1, 0, 2))
    found["interleaved"] = _error(out.transpose(1, 0, 2), rows.astype("float64") @ x)
    assert found["interleaved"] < 5e-6, found
    return found


def convolutions(name):
    """Each map of a convolution directly and by transforms, at the sizes of the DCGAN, against float64 on the host."""
    rng, found, batch = np.random.default_rng(0), {}, 128 if name == "cupy" else 2
    sizes = ((28, 2, 1, 64), (14, 2, 64, 128), (7, 1, 128, 256)) if name == "cupy" else ((7, 1, 4, 4), (8, 2, 1, 4))
    for size, stride, c, o in sizes:
        g = geometry((size, size), (5, 5), (stride, stride), "same")
        x, W, dy = _draw(rng, (batch, size, size, c), (5, 5, c, o), (batch, *g.out, o))
        for rule, arrays in (("conv", (x, W)), ("conv_input", (dy, W)), ("conv_weight", (x, dy))):
            few = [a if a is W else a[:8] for a in arrays]
            exact = getattr(conv, rule).formula(*(a.astype("float64") for a in few), g)
            few, arrays = ([backend.to(a, name) for a in some] for some in (few, arrays))
            for way in (cuda, transforms):
                here, call = found.setdefault(f"{rule} {size}/{stride} {c}-{o}", {}), getattr(way, rule)
                here[way.__name__.split(".")[-1]] = {"error": _error(call(*few, g), exact),
                                                     **_milliseconds(lambda: call(*arrays, g), name)}
                assert _error(call(*few, g), exact) < 2e-5, found
    return found


def reference(name):
    """A step in float64, by the formulas, against the host."""
    games = [bench.game("dcgan", 4, where, dtype="float64", width=0.1)[0] for where in (name, "numpy")]
    x = np.random.default_rng(1).uniform(-1, 1, (4, 28, 28, 1))
    ours, theirs = (gan.step(backend.to(x, backend.name_of(gan.G.theta))) for gan in games)
    gap = max(abs(float(ours[key]) - float(theirs[key])) for key in ours)
    assert gap < 1e-10, gap
    return gap


def steps(name):
    """Steps of the host, on the device, and captured: the same bits with and without capture; and their times."""
    found, real = {}, name == "cupy"
    games = (("mlp", 128, 1), ("dcgan", 64, 1), ("dcgan", 128, 1)) if real else (("dcgan", 3, 0.05),)
    for model, batch, width in games:
        row, ends = found.setdefault(f"{model} {batch}", {}), {}
        for how, where in (("host", "numpy"), ("eager", name), ("captured", name)):
            gan, x = bench.game(model, batch, where, capture=how == "captured", width=width)
            start = time.perf_counter()
            log = [[float(v) for v in gan.step(x).values()] for _ in range(4)]
            row[how] = {"first_s": time.perf_counter() - start}
            ends[how] = log, backend.asnumpy(gan.D.theta)
            if how != "host":
                row[how] |= _milliseconds(lambda: gan.step(x), name)
        row["from_host"] = float(np.abs(np.subtract(ends["eager"][0], ends["host"][0])).max())
        (log, theta), (captured_log, captured_theta) = ends["eager"], ends["captured"]
        row["same_bits"] = log == captured_log and bool((theta == captured_theta).all())
        assert row["same_bits"] and row["from_host"] < 0.05, found
    return found


def streams(name):
    """A captured function beside a caller that keeps its own stream busy: no number is read before it is there."""
    xp = backend.get(name)
    captured = graphs.Captured(lambda x: {"y": 2 * x + 1}, name)
    big = xp.ones((2048, 2048), dtype="float32")
    with xp.cuda.Stream(non_blocking=True):
        for i in range(50):
            big = big @ big / 2048
            y = captured(big[:64, :64] * i)["y"]
            assert bool((y == 2 * i + 1).all()), i
    return "in order"


CHECKS = {check.__name__: check for check in (products, convolutions, reference, steps, streams)}


def _in_a_process(check, name):
    start, command = time.perf_counter(), [sys.executable, __file__, "--check", name, check]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        ok, text = not done.returncode, done.stdout if not done.returncode else done.stderr[-3000:]
    except subprocess.TimeoutExpired:
        ok, text = False, f"took more than {LIMIT} s"
    row = {"check": check, "ok": ok, "seconds": time.perf_counter() - start}
    return row | ({"found": json.loads(text.splitlines()[-1])} if ok else {"error": text})


def main():
    if sys.argv[1] == "--check":
        name, check = sys.argv[2:]
        if name == "emulated":      # only for the tests of this file
            sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
            from kernels import emulator   # noqa: F401
        bench.warm_up(name if name == "cupy" else "numpy")
        print(json.dumps(CHECKS[check](name)))
        return
    out, name, *chosen = [*sys.argv[1:], *["cupy"][len(sys.argv) - 2:]]
    failed = 0
    for check in chosen or CHECKS:
        row = _in_a_process(check, name)
        failed |= not row["ok"]
        print(json.dumps(row, indent=1), flush=True)
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
