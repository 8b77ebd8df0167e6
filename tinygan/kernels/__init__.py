"""Faster functions for the ops that take most time, and the executor of training steps; all else works without them.

This file registers them in `ops.registry`. Which function computes an op depends on its arrays:

    NumPy, float32      those in cpu.py: in blocks that fit a core's cache, on all cores
    CuPy, float32       those in cuda.py: CUDA kernels, and cuBLAS through a handle that can be captured
    anything else       the formula in `ops/`; so gradients, checked in float64, are checked on the formulas

A convolution goes by transforms.py, products at each frequency, or on NumPy by tiles.py, products of tiles, where
cost.py expects that to be faster (relative errors about 1e-6 and 2e-6). Each function is tested equal to its formula.
On CuPy denormals of float32, below 1.2e-38, become 0 (cuda.py).

`use("reference")`, or the environment variable TINYGAN_KERNELS=reference, leaves only the formulas, and networks run
themselves; "direct" has each convolution summed directly, "frequencies" each of a small map by transforms.py, "tiles"
each on NumPy by tiles.py.
`tf32(True)`, or TINYGAN_TF32=1, lets a GPU's products round their factors to TF32; off unless asked for (a run does as
its own option says). TF32 affects direct sums least, so then transforms.py is left out.
"""

import os
from contextlib import contextmanager

import numpy as np

from ..backend import array_module
from ..errors import choose
from ..ops import registry
from . import cost, cpu, cuda, direct, tiles, transforms
from .cuda import tf32
from .executor import executors
from .threads import inside, own_threads

__all__ = ["tf32", "use", "way"]

_MODES = {mode: mode for mode in ("fast", "direct", "frequencies", "tiles", "reference")}
_mode = None        # read from the environment at first use, where an error can be reported
tf32(os.environ.get("TINYGAN_TF32", "0") == "1")


def mode():
    """The present mode: "fast", "direct", "frequencies", "tiles" or "reference"."""
    global _mode
    if _mode is None:
        _mode = choose("kind of kernels", os.environ.get("TINYGAN_KERNELS", "fast"), _MODES)
    return _mode


def use(name):
    """Choose "fast" (the default) or another mode for all that follows; returns the mode before."""
    global _mode
    before, _mode = mode(), choose("kind of kernels", name, _MODES)
    return before


def served(x):
    """What computes ops of the array x: "cpu", "cuda", or None for the formulas."""
    if mode() == "reference" or x.dtype != np.float32:
        return None
    if type(x) is np.ndarray:
        return "cpu"
    return "cuda" if hasattr(array_module(x), "RawModule") else None


def _register(file, name, at=0):
    """Register the functions of this name in cpu.py and cuda.py; the argument in place `at` decides between them."""
    functions = {"cpu": getattr(cpu, name, None), "cuda": getattr(cuda, name, None), None: None}
    registry.register(f"{file}.{name}", lambda *args: functions[served(args[at])])


for _file, _names in {"products": ("matmul", "add_bias", "sum_rows", "multiply"),
                      "pointwise": ("leaky_relu", "leaky_relu_d1", "sigmoid"),
                      "norm": ("moments", "update_running", "normalize", "project", "normalize_backward"),
                      "adam": ("adam",)}.items():
    for _name in _names:
        _register(_file, _name)
_register("random", "dropout", at=1)


def _cross_entropy(logits, target):
    plain = isinstance(target, (int, float)) and hasattr(logits, "dtype") and logits.size
    return cuda.bce_with_logits if plain and served(logits) == "cuda" else None


registry.register("losses.bce_with_logits", _cross_entropy)


def _in_own_threads(function):
    def run(*args):
        if inside():        # as in every training step
            return function(*args)
        with own_threads():
            return function(*args)
    return run


def way(rule, x, shape, g):
    """How ops.conv computes a rule on x, W of this shape: "direct", "frequencies", "tiles"; None: the formula."""
    where = served(x)
    if where is None or mode() == "direct" or where == "cuda" and cuda.rounds():
        return where and "direct"
    if mode() == "tiles":
        return "tiles" if where == "cpu" and tiles.fits(g) else "direct"
    if mode() == "frequencies":
        faster = cost.multiplications(len(x), shape, g) < np.inf
    elif where == "cpu":
        return cost.fastest(rule, len(x), shape, g)
    else:
        faster = cost.multiplications(len(x), shape, g) < cost.SHARE
    return "frequencies" if faster else "direct"


def _register_convolution(rule, arguments):
    """arguments: the function of the op's arguments -> (an array x or dy, W's shape, g)."""
    modules = {"cpu": {"direct": direct, "frequencies": transforms, "tiles": tiles},
               "cuda": {"direct": cuda, "frequencies": transforms}}
    functions = {where: {name: getattr(module, rule) for name, module in ways.items()}
                 for where, ways in modules.items()}
    functions["cpu"] = {name: _in_own_threads(function) for name, function in functions["cpu"].items()}

    def choose_way(*args):
        x, shape, g = arguments(*args)
        chosen = way(rule, x, shape, g)
        return chosen and functions[served(x)][chosen]
    registry.register(f"conv.{rule}", choose_way)


_register_convolution("conv", lambda x, W, g: (x, W.shape, g))
_register_convolution("conv_input", lambda dy, W, g: (dy, W.shape, g))
_register_convolution("conv_weight", lambda x, dy, g: (x, (*g.kernel, x.shape[-1], dy.shape[-1]), g))


@contextmanager
def _executors(*networks):
    """Executors where all networks compute by the functions of this folder; elsewhere networks run themselves."""
    if not all(served(net.theta) for net in networks):
        yield networks
        return
    with executors(*networks) as running:
        yield running


registry.register_executors(_executors)
