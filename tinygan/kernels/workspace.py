"""Buffers that are reused from call to call: fresh memory costs a page fault every four kilobytes."""

import ctypes
import threading
from functools import lru_cache
from math import prod

import numpy as np

_held = threading.local()       # each thread has its own: two of them never write into one buffer


def scratch(name, shape, dtype=np.float32):
    """An array of this shape whose content is undefined, in the buffer of this name; it grows as needed.

    The next call with the same name gives the same memory: use it within one function, never return it.
    """
    buffers, size = _held.__dict__, prod(shape)
    key = (name, np.dtype(dtype))
    if key not in buffers or buffers[key].size < size:
        buffers[key] = np.empty(size, dtype)
    return buffers[key][:size].reshape(shape)


def release():
    """Give the memory of this thread's buffers back."""
    _held.__dict__.clear()


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
