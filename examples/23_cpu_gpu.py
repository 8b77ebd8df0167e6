# %% [markdown]
# # 23. When is a GPU faster than a CPU?
#
# You will see a model of the time of a training step with three numbers for each device. The chapter measures them, and
# some steps, on the machine that runs it, and computes the batch size from which a GPU is faster. Times differ from
# machine to machine: the lines that begin with `machine:` say where those of this page were measured.
#
# **The time of a kernel**, a function that computes arrays from arrays in one call: after an overhead $t_0$ it computes
# $F$ operations (FLOP) at the rate $R$ and at the same time moves $B$ bytes of memory at the bandwidth $\beta$, so
#
# $$ t = t_0 + \max\Big(\frac FR,\ \frac B\beta\Big), \qquad I = \frac FB, \qquad
#    \frac F{t - t_0} = \min(R,\ \beta I) . $$
#
# The last formula, over the *arithmetic intensity* $I$, is the *roofline* (Williams et al. 2009): below $I = R/\beta$
# memory limits the speed, above it arithmetic does.
#
# **Counting.** Dense, Conv2D and ConvTranspose2D have three maps, the derivatives of $T(dy, x, W)$ (chapters 1, 4, 5).
# Each multiplies and adds with all numbers of $W$ at each of $P$ positions of each of $N$ samples, reads two of the
# three arrays and writes the third. So all three cost the same. In float32, with $|x|$ for the numbers in one sample:
#
# $$ F = 2NP\,|W|, \qquad B = 4\,\big(N|x| + N|y| + |W|\big); \qquad \text{for Dense } P = 1,\quad
#    I = \frac{1/2}{1/n_{\text{in}} + 1/n_{\text{out}} + 1/N} < \frac N2 . $$
#
# So memory limits a Dense layer on a small batch. For Conv2D $P$ counts the positions in $y$, for ConvTranspose2D those
# in $x$: a convolution uses its weights many times even at $N = 1$. The intensity of the others is fixed:
#
# * BatchNorm: 8 FLOP a number forward (mean 1, variance 3, $\hat x$ 2, $\gamma\hat x + \beta$ 2), reads $x$ twice,
#   writes $\hat x$, $y$; 8 backward ($\gamma\,dy$ 1, two means 3, the rest 4), reads $dy$, $\hat x$ twice, writes $dx$.
# * LeakyReLU, Tanh, Dropout: counted as 1 FLOP a number; two numbers are moved forward, three backward.
# * Adam: 14 FLOP a parameter (3 for $m$, 4 for $v$, 7 for $\theta$); reads $\theta, g, m, v$, writes $\theta, m, v$.
#
# **The crossing.** If arithmetic limits both devices and $F = fN$, the GPU is faster from the $N$ at which
#
# $$ t_c + \frac{fN}{R_c} = t_g + \frac{fN}{R_g}
#    \quad\Longrightarrow\quad N^\ast = \frac{t_g - t_c}{f\,(1/R_c - 1/R_g)} . $$

# %%
import os
import time

import numpy as np
from matplotlib.figure import Figure

from tinygan import Sequential, backend, bench, kernels, models
from tinygan.layers import BatchNorm, ConvTranspose2D, Dense, Flatten, Reshape

SHORT = "TINYGAN_SHORT" in os.environ
BATCHES, SECONDS, SIDE = ((1, 2, 3), 0.0, 512) if SHORT else ((1, 16, 128), 0.5, 2048)
TIMER = time.process_time if bench.hardware()["threads"] == "1" else time.perf_counter      # see bench.clock
CALLS = {"G": {"map": 2, "forward": 2, "adjoint": 1, "wgrad": 1, "backward": 1},    # in one step of D and one of G
         "D": {"map": 3, "forward": 3, "adjoint": 3, "wgrad": 2, "backward": 3}}


def costs(layer, n_in, n_out):
    """{map: (f₀, f₁, b₀, b₁)} of a layer with n_in numbers a sample before it and n_out after: f₀ + f₁N FLOP, …"""
    if isinstance(layer, (Flatten, Reshape)):
        return {}
    if "W" in layer.params:
        W, at = layer.params["W"], n_in if isinstance(layer, ConvTranspose2D) else n_out
        positions = at // W.shape[-1]
        return dict.fromkeys(("map", "adjoint", "wgrad"), (0, 2 * positions * W.size, 4 * W.size, 4 * (n_in + n_out)))
    flop, forward, backward = (8, 4, 5) if isinstance(layer, BatchNorm) else (1, 2, 3)
    return {"forward": (0, flop * n_in, 0, 4 * forward * n_in), "backward": (0, flop * n_in, 0, 4 * backward * n_in)}


def step(model):
    """{(layer, map): (calls, f₀, f₁, b₀, b₁)} of all kernels of a training step; names as in bench.profile."""
    found = {}
    for side, net in zip("GD", models.get(model).build(rng=0)):
        y, unasked = np.zeros((1, *net.input_shape), "float32"), CALLS[side]["wgrad"]
        for i, layer in enumerate(net.layers):
            x, (y, _) = y, layer.forward(y)
            for method, cost in costs(layer, x.size, y.size).items():
                calls = CALLS[side][method]
                if method == "adjoint":     # D's step and G's weights need no gradient in the network's input
                    calls, unasked = calls - unasked, 0
                if calls:
                    found[f"{side}.{i} {layer}", method] = calls, *cost
        found[f"{side} Adam", "step"] = 1, 14 * net.theta.size, 0, 28 * net.theta.size, 0
    return found


def seconds(device, work, N):
    """The model's time of kernels, rows (calls, f₀, f₁, b₀, b₁), at one or several N on a device (t₀, R, β)."""
    (calls, f0, f1, b0, b1), N, (t0, rate, bandwidth) = np.array([*work], float).T, np.asarray(N)[..., None], device
    return (calls * (t0 + np.maximum((f0 + f1 * N) / rate, (b0 + b1 * N) / bandwidth))).sum(-1)


def crossing(slow, fast, work, limit=10_000):
    """The smallest N up to the limit at which `fast` is faster; 0 if there is none."""
    N = np.arange(1, limit + 1)
    ahead = seconds(fast, work, N) < seconds(slow, work, N)
    return int(N[ahead.argmax()]) if ahead.any() else 0


def fit(work, t):
    """t₀ and rate in t = t₀ + work/rate, by least squares of the relative errors: 1 = t₀/t + (1/rate)·work/t."""
    (t0, slope), *_ = np.linalg.lstsq(np.array([np.ones(len(t)), work]).T / np.c_[t], np.ones(len(t)), rcond=None)
    return t0, 1 / slope


def measure(name):
    """t₀, R and β of a backend, and t₀ if the host waits for the end of each call."""
    xp, timer = backend.get(name), TIMER if name == "numpy" else time.perf_counter
    clock = lambda call: bench.clock(call, name, SECONDS / 5, timer=timer)
    square, tiny = lambda n: xp.ones((n, n), "float32"), Sequential([Dense(1, 1)], dtype="float32", backend=name)
    small, large = np.array([16, 64, 256, SIDE // 2, SIDE]), np.array([16, 3 * SIDE // 2, 2 * SIDE])   # beyond caches
    products = [clock(lambda a=square(n), y=square(n): xp.matmul(a, a, out=y))[0] for n in small.tolist()]
    copies = [clock(lambda a=square(n), y=square(n): xp.copyto(y, a))[0] for n in large.tolist()]
    waits, _, _, returns = clock(lambda x=xp.ones((1, 1), "float32"): tiny.forward(x))  # a layer with hardly any work
    return (returns, fit(2.0 * small**3, products)[1], fit(8.0 * large**2, copies)[1]), waits


# %%
for key, value in bench.hardware().items():
    print(f"machine: {key}: {value}")
cpu, _ = measure("numpy")
usable = backend.why_not("cupy") is None
# Published: rate and bandwidth (NVIDIA 2023), and the time of a launch (Gray 2019), here on top of Python's overhead.
gpu, waits = measure("cupy") if usable else ((cpu[0] + 3.8e-6, 67e12, 3.35e12), cpu[0] + 9.6e-6)
print("machine: the GPU is", "measured" if usable else "not measured; its figures are published ones")
DEVICES = {"CPU": cpu, "GPU, waiting": (waits, *gpu[1:]), "GPU, not waiting": gpu,
           "GPU, CUDA graph": (3.4e-6, *gpu[1:])}
print(f"{'':20}{'t₀, µs':>8}{'GFLOP/s':>10}{'GB/s':>8}{'R/β':>7}")
for name, (t0, rate, bandwidth) in DEVICES.items():
    print(f"{name:20}{1e6 * t0:8.1f}{rate / 1e9:10.0f}{bandwidth / 1e9:8.0f}{rate / bandwidth:7.1f}")
works = {model: step(model) for model in ("points", "mlp", "dcgan")}
print(f"\n{'DCGAN: layer, map':32}{'MFLOP, N = 1':>14}{'FLOP/byte, N = 1':>18}{'N = 128':>9}{'N*':>6}")
for (layer, method), kernel in works["dcgan"].items():
    if method in ("map", "forward", "step"):
        flop, moved = (kernel[k] + kernel[k + 1] * np.array([1, 128]) for k in (1, 3))
        print(f"{layer.partition('(')[0] + ', ' + method:32}{flop[0] / 1e6:14.3f}{flop[0] / moved[0]:18.2f}"
              f"{flop[1] / moved[1]:9.2f}{crossing(cpu, DEVICES['GPU, waiting'], [kernel]):6}")

# %%
steps, before = {}, kernels.use("direct")       # convolutions as direct sums, which is what the model counts
print(f"{'ms a step':8}{'N':>5}{'model':>10}{'measured':>10}{'ratio':>7}   N* of the three kinds of GPU")
for model, work in works.items():
    ahead = [crossing(cpu, device, work.values()) for device in DEVICES.values() if device is not cpu]
    for N in BATCHES:
        (gan, x), predicted = bench.game(model, N), 1e3 * seconds(cpu, work.values(), N)
        took = steps[model, N] = 1e3 * bench.clock(lambda: gan.step(x), "numpy", SECONDS, timer=TIMER)[0]
        print(f"{model:8}{N:5}{predicted:10.2f}{took:10.2f}{predicted / took:7.2f}   ", *ahead)
profile = bench.profile("dcgan", BATCHES[-1], 2, TIMER)

# %%
kernels.use(before)
fig = Figure(figsize=(11, 4.4), dpi=100, layout="constrained")
(left, right), intensity, batches = fig.subplots(1, 2), np.geomspace(0.05, 2000), 2.0**np.arange(13)
for (_, rate, bandwidth), line, name in ((cpu, "-", "CPU"), (gpu, "--", "GPU")):
    left.loglog(intensity, np.minimum(rate, bandwidth * intensity) / 1e9, line, color="black", label=name)
colours = dict.fromkeys(CALLS["G"], "#0072b2") | {"forward": "#e69f00", "backward": "#e69f00", "step": "#d55e00"}
for row in profile["rows"]:
    if kernel := works["dcgan"].get((row["layer"], row["map"])):
        flop, moved = (kernel[k] + kernel[k + 1] * BATCHES[-1] for k in (1, 3))
        left.loglog(flop / moved, row["calls"] * flop / row["seconds"] / 1e9, "o", color=colours[row["map"]])
left.set(xlabel="arithmetic intensity, FLOP/byte", ylabel="GFLOP/s")
for model, colour in (("points", "#d55e00"), ("dcgan", "#0072b2")):
    for (name, device), line in zip(DEVICES.items(), ("-", ":", "--", "-.")):
        times = seconds(device, works[model].values(), batches)
        right.loglog(batches, 1e3 * times, line, color=colour, label=f"{model}: {name}")
    right.loglog(BATCHES, [steps[model, N] for N in BATCHES], "o", color=colour, label=f"{model}: CPU, measured")
right.set(xlabel="batch N", ylabel="ms a step")
for ax in (left, right):
    ax.legend(frameon=False, fontsize=7)
fig.savefig("23_cpu_gpu.png")

# %% [markdown]
# ![roofline with the measured maps of the DCGAN; time of a step over the batch size](23_cpu_gpu.png)
#
# Left, $N = 128$: maps with weights (blue), other layers (orange) and Adam (red) under the roof of the CPU. Products
# and large convolutions come near it; the convolutions of one channel, with small products, stay below it.
#
# **The model is a lower bound** of the measured step (one thread, processor time): 0.74 of it for the DCGAN at
# $N = 128$, 0.37 to 0.62 with smaller batches, 0.40 to 0.43 for the ring's networks (`points`), where most is overhead.
# It omits biases, losses and noise, and takes each array as moved only once in a map.
#
# **So when?** By published peak rates (NVIDIA 2023) and launch times (Gray 2019) the GPU is faster from $N = 1$ for
# `mlp` and `dcgan`, from 63 or 20 for `points`. As a CUDA graph a kernel costs 3.4 µs, less than the 29.3 of a call
# from Python: then the GPU is always faster. No GPU was measured here; its real steps, too, exceed a lower bound.
#
# ## Exercises
# 1. The GPU must be sent each batch. Add this copy to the model: below which bandwidth does $N^\ast$ of `mlp` change?
# 2. Let one kernel compute BatchNorm and LeakyReLU. Derive its intensity, and predict how much a step gains.
