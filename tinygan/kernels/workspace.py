"""Memory and results that are used again: buffers, transforms of weights, transforms of one array.

Fresh memory costs a page fault every four kilobytes, and the transform of a weight serves several products.
"""

import ctypes
import threading
from contextlib import contextmanager
from functools import lru_cache
from math import prod

import numpy as np

from ..backend import array_module

_here = threading.local()       # each thread has its own: two of them never write into one buffer


def scratch(name, shape, dtype=np.float32):
    """An array of this shape whose content is undefined, in the buffer of this name; it grows as needed.

    The next call with the same name gives the same memory: use it within one function, never return it.
    """
    buffers, size = _here.__dict__.setdefault("buffers", {}), prod(shape)
    key = (name, np.dtype(dtype))
    if key not in buffers or buffers[key].size < size:
        buffers[key] = np.empty(size, dtype)
    return buffers[key][:size].reshape(shape)


# What is computed from one array (its transform, its windows) may serve two products.

@contextmanager
def reusing(array):
    """Inside, what `reused` computes from this array is computed once; the array must not change there."""
    before, _here.kept = getattr(_here, "kept", None), [array, None]
    try:
        yield
    finally:
        if before is not None:
            before[1] = None        # its buffers may have served the inner array
        _here.kept = before


def kept_of(array=None):
    """The pair [array, what is kept of it or None], if results of this array (or any) are reused; else None."""
    kept = getattr(_here, "kept", None)
    return kept if kept is not None and (array is None or kept[0] is array) else None


def reused(array, key, make):
    """make(), or the result of this key if results of `array` are reused."""
    kept = kept_of(array)
    if kept is None:
        return make()
    if kept[1] is None or kept[1][0] != key:
        kept[1] = (key, make())
    return kept[1][1]


# What is computed from weights serves every product with them until an optimiser moves them.

@contextmanager
def caching(cache, vector):
    """Inside, `of_weights` keeps results of arrays within this vector in the dict `cache`; who moves it clears that."""
    before, _here.weights = getattr(_here, "weights", None), (cache, vector)
    try:
        yield
    finally:
        _here.weights = before


def of_weights(W, key, make):
    """make(), or its result under this key for this array W; None where results are not kept (see `caching`)."""
    cache, vector = getattr(_here, "weights", None) or (None, None)
    if cache is None or not array_module(W).may_share_memory(W, vector):
        return None
    if (id(W), key) not in cache:
        if len(cache) >= 32:        # temporary views
            cache.clear()
        cache[id(W), key] = (W, make())     # W too: as long as it exists, no other array has its id
    return cache[id(W), key][1]


@lru_cache(maxsize=None)
def keep_memory():
    """Let the C library keep freed memory, up to 32 MiB an array, for the arrays of the next step.

    Otherwise glibc returns it to the system and requests it again, so each step maps the same pages again. Elsewhere
    this does nothing. Called once, when training starts; memory use stays at its peak.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3       # <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
