"""Faster twins of the hot ops, chosen here and nowhere else. A reader who skips this folder loses nothing.

Every function below has its namesake in `ops/`, the readable reference, and is tested equal to it. Which of the two
runs depends on the arrays:

    NumPy, float32      the twins in cpu.py: in blocks that fit a core's cache, on all cores
    CuPy, float32       the twins in cuda.py: CUDA kernels, and cuBLAS through a handle that can be captured
    anything else       the reference; so gradients, checked in float64, are checked on the readable form

On both, a convolution where it is much cheaper goes by dft.py: products at each frequency, relative error about 1e-6.

`use("reference")`, or the environment variable TINYGAN_KERNELS=reference, switches the twins off everywhere;
"direct" leaves them on, and has each convolution summed directly. `tf32(True)`, or TINYGAN_TF32=1, lets a GPU's
products round their factors to TF32; off unless asked for (a run does as its own option says). Direct sums lose least
by it, so then dft.py is left out.
"""

import os
from contextlib import nullcontext

import numpy as np

from ..backend import array_module
from ..errors import choose
from ..ops import adam as _adam
from ..ops import conv as _conv
from ..ops import losses as _losses
from ..ops import norm as _norm
from ..ops import pointwise as _pointwise
from ..ops import products as _products
from ..ops import random as _random
from . import cpu, cuda, dft
from .cuda import tf32
from .parallel import alone
from .workspace import changed, sharing, steady

__all__ = ["use", "tf32", "alone", "sharing", "steady", "changed", "matmul", "add_bias", "sum_rows", "multiply",
           "leaky_relu", "leaky_relu_d1", "sigmoid", "dropout", "moments", "follow", "normalize", "sums", "project",
           "bce_with_logits", "adam", "conv", "conv_input", "conv_weight"]

_MODES = {mode: mode for mode in ("fast", "direct", "reference")}
_mode = choose("kind of kernels", os.environ.get("TINYGAN_KERNELS", "fast"), _MODES)
tf32(os.environ.get("TINYGAN_TF32", "0") == "1")


def use(mode):
    """Choose "fast" (the default), "direct" or "reference" for all that follows; returns what was in use."""
    global _mode
    before, _mode = _mode, choose("kind of kernels", mode, _MODES)
    return before


def _where(x):
    """The twins that serve the array x: "cpu", "cuda", or None."""
    if _mode == "reference" or x.dtype != np.float32:
        return None
    if type(x) is np.ndarray:
        return "cpu"
    return "cuda" if hasattr(array_module(x), "RawModule") else None


def _twin(name, reference, at=0):
    """The op of this name: the twin that serves the argument in place `at`, where there is one, else the reference."""
    slow = getattr(reference, name)
    fast = {"cpu": getattr(cpu, name, slow), "cuda": getattr(cuda, name, slow), None: slow}

    def op(*args):
        return fast[_where(args[at])](*args)
    op.__name__, op.__doc__ = name, slow.__doc__
    return op


matmul, add_bias, sum_rows, multiply = (
    _twin(name, _products) for name in ("matmul", "add_bias", "sum_rows", "multiply"))
leaky_relu, leaky_relu_d1, sigmoid = (_twin(name, _pointwise) for name in ("leaky_relu", "leaky_relu_d1", "sigmoid"))
dropout = _twin("dropout", _random, at=1)
moments, follow, normalize, sums, project = (
    _twin(name, _norm) for name in ("moments", "follow", "normalize", "sums", "project"))
adam = _twin("adam", _adam)


def bce_with_logits(logits, target):
    """Cross-entropy of σ(logits); see ops/losses.py."""
    plain = isinstance(target, (int, float)) and hasattr(logits, "dtype") and logits.size
    return (cuda if plain and _where(logits) == "cuda" else _losses).bce_with_logits(logits, target)


_direct = {name: _twin(name, _conv) for name in ("conv", "conv_input", "conv_weight")}

# The multiplications that dft.py may need at most, of those of direct sums: its copies and small products cost
# something too. Measured on CPUs, not yet on a GPU.
FRUGAL = 0.7


def _convolution(name, x, W_shape, g, *args):
    where = _where(x)
    cheaper = where and _mode == "fast" and dft.cost(len(x), W_shape, g) < FRUGAL
    with alone() if where == "cpu" else nullcontext():
        if cheaper and not (where == "cuda" and cuda.rounds()):
            return getattr(dft, name)(*args)
        return _direct[name](*args)


def conv(x, W, g):
    """y = ∂T/∂dy; see ops/conv.py."""
    return _convolution("conv", x, W.shape, g, x, W, g)


def conv_input(dy, W, g):
    """dx = ∂T/∂x; see ops/conv.py."""
    return _convolution("conv_input", dy, W.shape, g, dy, W, g)


def conv_weight(x, dy, g):
    """dW = ∂T/∂W; see ops/conv.py."""
    return _convolution("conv_weight", x, (*g.kernel, x.shape[-1], dy.shape[-1]), g, x, dy, g)
