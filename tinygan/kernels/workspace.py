"""Buffers that are reused from call to call: fresh memory costs a page fault every four kilobytes."""

import ctypes
import threading
from contextlib import contextmanager
from functools import lru_cache
from math import prod

import numpy as np

from ..backend import array_module

_held = threading.local()       # each thread has its own: two of them never write into one buffer


def scratch(name, shape, dtype=np.float32):
    """An array of this shape whose content is undefined, in the buffer of this name; it grows as needed.

    The next call with the same name gives the same memory: use it within one function, never return it.
    """
    buffers, size = _held.__dict__.setdefault("buffers", {}), prod(shape)
    key = (name, np.dtype(dtype))
    if key not in buffers or buffers[key].size < size:
        buffers[key] = np.empty(size, dtype)
    return buffers[key][:size].reshape(shape)


# What one array becomes (its transform, its windows) may serve two products: made once while the array is shared.

@contextmanager
def sharing(array):
    """Inside, what is made of this array is made once for all that use it; it must not change there."""
    before, _held.kept = getattr(_held, "kept", None), [array, None]
    try:
        yield
    finally:
        if before is not None:
            before[1] = None        # its buffers may have served the inner array
        _held.kept = before


def kept_of(array=None):
    """The pair [shared array, what is kept of it or None], if this array (or any) is shared; else None."""
    kept = getattr(_held, "kept", None)
    return kept if kept is not None and (array is None or kept[0] is array) else None


def shared(array, key, make):
    """make(), or what it gave under this key before if `array` is shared."""
    kept = kept_of(array)
    if kept is None:
        return make()
    if kept[1] is None or kept[1][0] != key:
        kept[1] = (key, make())
    return kept[1][1]


# What weights become serves every product with them until they change.

@contextmanager
def steady(*vectors):
    """Inside, what `of_weights` makes of arrays within these vectors is kept; whoever changes one calls `changed`."""
    before, _held.weights = getattr(_held, "weights", None), ({}, vectors)
    try:
        yield
    finally:
        _held.weights = before


def changed(vector):
    """The numbers of this vector are others now: forget what was made of the arrays within it."""
    weights, _ = getattr(_held, "weights", None) or ({}, ())
    for key in [key for key, (W, _) in weights.items() if _within(W, vector)]:
        del weights[key]


def _within(W, vector):
    return array_module(W).may_share_memory(W, vector)


def of_weights(W, key, make):
    """make(), or what it gave under this key for this very array, while it has been `steady`; else None."""
    weights, vectors = getattr(_held, "weights", None) or ({}, ())
    if not any(_within(W, vector) for vector in vectors):
        return None
    if (id(W), key) not in weights:
        if len(weights) >= 16:      # arrays that come and go
            weights.clear()
        weights[id(W), key] = (W, make())       # W too: as long as it lives, no other array has its id
    return weights[id(W), key][1]


@lru_cache(maxsize=None)
def keep():
    """Let the C library keep the memory that arrays give back, up to 32 MiB each, for those of the next step.

    Otherwise glibc hands it to the system and asks again, and every step pays for the same pages anew. Elsewhere
    this does nothing. Called once, when training starts; what the process holds is then its peak.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3       # <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
