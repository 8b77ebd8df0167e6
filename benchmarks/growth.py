"""How the cost of a training step grows: time and peak memory against batch, width and image size.

    python benchmarks/growth.py                          a few minutes; results in growth.json and growth.png
    python benchmarks/growth.py --backend cupy --out results/growth-gpu

Each point runs in a process of its own: the median of its steps, and the highest resident memory above that of the
process before it built anything. On a GPU the step is a CUDA graph, and the memory is what the process takes on the
device beyond that of a tiny game before it (CUDA's own, kernels, the workspaces of cuBLAS: the same for all sizes);
nobody else may use the device meanwhile. The exponent e of cost ~ size^e is the slope of the least-squares line through
the logarithms; for images the size is the side. Results are written after each point; one that fails is passed over.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinygan import backend, bench
from tinygan.run import plots

# What grows, and what stands still meanwhile; all on the `dcgan`.
SERIES = {
    "batch": [dict(batch=b, width=1.0, side=28) for b in (8, 16, 32, 64, 128, 256)],
    "width": [dict(batch=32, width=w, side=28) for w in (0.125, 0.25, 0.5, 1.0, 2.0)],
    "side": [dict(batch=16, width=0.5, side=s) for s in (28, 64, 128)],
}
LIMIT = 90      # seconds for a point
SECONDS = 2.0   # of them for its steps


def point(name, batch, width, side, seconds=SECONDS):
    """{"median_s", "memory_mib"} of one setting, in this process."""
    if name != "numpy":         # what all sizes need
        gan, x = bench.game("dcgan", 1, name, capture=True, width=0.02, image=(28, 28, 1))
        for _ in range(3):
            gan.step(x)
        bench.warm_up(name)
    before = _memory(name)
    gan, x = bench.game("dcgan", batch, name, capture=name == "cupy", width=width, image=(side, side, 1))
    gan.step(x)         # the first is not captured
    times = bench.clock(lambda: gan.step(x), name, seconds, least=5)
    return {"batch": batch, "width": width, "side": side, "memory_mib": _memory(name) - before,
            **dict(zip(("median_s", "q25_s", "q75_s", "host_s"), times))}


def _in_a_process(name, setting, seconds):
    """The result of `point`, or the setting with the "error" that it ended with."""
    command = [sys.executable, __file__, "--backend", name, "--point", json.dumps(setting),
               "--seconds", str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return setting | {"error": f"took more than {LIMIT} s"}
    return setting | {"error": done.stderr[-2000:]} if done.returncode else json.loads(done.stdout)


def _memory(name):
    """The highest resident memory of this process so far, MiB (Linux only); on a GPU what is taken of its memory."""
    if name == "cupy":
        free, total = backend.get(name).cuda.runtime.memGetInfo()
        return (total - free) / 2**20
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def exponent(sizes, costs):
    """The slope of log cost over log size, where the cost is above 0; nan for fewer than two such points."""
    points = [(size, cost) for size, cost in zip(sizes, costs) if cost > 0]
    return float(np.polyfit(*np.log(points).T, 1)[0]) if len(points) > 1 else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--out", default="growth", help="name of the .json and .png (default growth)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of steps at each point (default {SECONDS})")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(point(args.backend, **json.loads(args.point), seconds=args.seconds)))
        return
    results = {"hardware": bench.hardware(), "backend": args.backend, "series": {}, "exponents": {}, "failed": []}
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    for name, settings in SERIES.items():
        rows = results["series"][name] = []
        print(f"{name:<8}{'ms a step':>12}{'of it host':>12}{'MiB':>8}")
        for setting in settings:
            row = _in_a_process(args.backend, setting, args.seconds)
            if "error" in row:
                results["failed"].append(row)
                print(f"{setting[name]:<8g} failed: {(row['error'].strip().splitlines() or [''])[-1]}", flush=True)
            else:
                rows.append(row)
                print(f"{row[name]:<8g}{1e3 * row['median_s']:>12.1f}{1e3 * row['host_s']:>12.1f}"
                      f"{row['memory_mib']:>8.0f}", flush=True)
            slopes = results["exponents"][name] = {
                cost: exponent([row[name] for row in rows], [row[cost] for row in rows])
                for cost in ("median_s", "memory_mib")}
            Path(f"{args.out}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        print(f"time ~ {name}^{slopes['median_s']:.2f}, memory ~ {name}^{slopes['memory_mib']:.2f}", flush=True)
    if all(results["series"].values()):
        _plot(results).savefig(f"{args.out}.png")
    sys.exit(1 if results["failed"] else 0)


def _plot(results):
    fig = Figure(figsize=(11, 6), dpi=100, layout="constrained")
    axes = fig.subplots(2, len(SERIES), squeeze=False)
    for column, (name, rows) in enumerate(results["series"].items()):
        for row_of_axes, (cost, label, factor) in enumerate([("median_s", "ms a step", 1e3), ("memory_mib", "MiB", 1)]):
            ax = axes[row_of_axes, column]
            ax.plot([row[name] for row in rows], [factor * row[cost] for row in rows], "o-")
            plots.log_axes(ax, [row[name] for row in rows])
            ax.set_title(f"{label} ~ {name}^{results['exponents'][name][cost]:.2f}", fontsize=10)
            ax.set_xlabel(name)
            ax.set_ylabel(label)
    return fig


if __name__ == "__main__":
    main()
