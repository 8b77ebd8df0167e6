"""Memory, threads and products for code that runs on the host and on a device alike.

On a device, CuPy allocates memory and the device splits work.
"""

import numpy as np

from ..backend import array_module
from . import cublas
from .threads import parallel
from .workspace import scratch


def fresh(shape, like):
    """A new array of the kind of `like`."""
    return array_module(like).empty(shape, dtype=like.dtype)


def buffer(name, shape, like):
    """The buffer of this name on the host (`workspace.scratch`); a new array on a device."""
    return scratch(name, shape) if type(like) is np.ndarray else fresh(shape, like)


def in_parts(task, n, like, work):
    """task on parts of range(n) in threads (`threads.parallel`); on a device on all at once."""
    parallel(task, n, work) if type(like) is np.ndarray else task(slice(0, n))


def matmul(a, b, out):
    """a @ b, of each pair of matrices, into this view."""
    np.matmul(a, b, out=out) if type(out) is np.ndarray else cublas.batched(a, b, out)
