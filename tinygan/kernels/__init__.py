"""Faster twins of the hot ops, chosen here and nowhere else. A reader who skips this folder loses nothing.

Every function below has its namesake in `ops/`, the readable reference, and is tested equal to it. Which of the two
runs depends on the arrays:

    NumPy, float32      the twins: cpu.py (in blocks that fit a core's cache, on all cores) and, for convolutions
                        where it is cheaper, dft.py (products at each frequency; relative error about 1e-6)
    anything else       the reference; so gradients, checked in float64, are checked on the readable form

`use("reference")`, or the environment variable TINYGAN_KERNELS=reference, switches the twins off everywhere.
"""

import os

import numpy as np

from ..errors import choose
from ..ops import adam as _adam
from ..ops import conv as _conv
from ..ops import norm as _norm
from ..ops import pointwise as _pointwise
from ..ops import products as _products
from ..ops import random as _random
from . import cpu, dft
from .dft import sharing
from .parallel import alone

__all__ = ["use", "alone", "matmul", "add_bias", "multiply", "leaky_relu", "leaky_relu_d1", "dropout_mask", "moments",
           "normalize", "sums", "project", "adam", "conv", "conv_input", "conv_weight",
           "sharing"]

_MODES = {"fast": True, "reference": False}
_fast = choose("kind of kernels", os.environ.get("TINYGAN_KERNELS", "fast"), _MODES)


def use(mode):
    """Choose "fast" (the default) or "reference" for all that follows; returns the mode that was in use."""
    global _fast
    before, _fast = ("fast" if _fast else "reference"), choose("kind of kernels", mode, _MODES)
    return before


def _twin(name, reference, at=0):
    """The op of this name: its twin if the argument in place `at` is one for the twins, else the reference."""
    fast, slow = getattr(cpu, name), getattr(reference, name)

    def op(*args):
        x = args[at]
        return (fast if _fast and type(x) is np.ndarray and x.dtype == np.float32 else slow)(*args)
    op.__name__, op.__doc__ = name, slow.__doc__
    return op


matmul, add_bias, multiply = (_twin(name, _products) for name in ("matmul", "add_bias", "multiply"))
leaky_relu, leaky_relu_d1 = _twin("leaky_relu", _pointwise), _twin("leaky_relu_d1", _pointwise)
dropout_mask = _twin("dropout_mask", _random, at=1)
moments, normalize, sums, project = (_twin(name, _norm) for name in ("moments", "normalize", "sums", "project"))
adam = _twin("adam", _adam)
_small_conv = {name: _twin(name, _conv) for name in ("conv", "conv_input", "conv_weight")}


def _convolution(name, x, W_shape, g, *args):
    with alone():
        if _pays(x, W_shape, g):
            return getattr(dft, name)(*args)
        return _small_conv[name](*args)


def _pays(x, W_shape, g):
    return _fast and type(x) is np.ndarray and x.dtype == np.float32 and dft.pays(len(x), W_shape, g)


def conv(x, W, g):
    """y = ∂T/∂dy; see ops/conv.py."""
    return _convolution("conv", x, W.shape, g, x, W, g)


def conv_input(dy, W, g):
    """dx = ∂T/∂x; see ops/conv.py."""
    return _convolution("conv_input", dy, W.shape, g, dy, W, g)


def conv_weight(x, dy, g):
    """dW = ∂T/∂W; see ops/conv.py."""
    return _convolution("conv_weight", x, (*g.kernel, x.shape[-1], dy.shape[-1]), g, x, dy, g)
