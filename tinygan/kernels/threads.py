"""Work in parts, one thread each. NumPy releases the GIL while it computes, so threads run side by side.

    with own_threads():        BLAS uses one thread inside,
        parallel(task, n, w)   and task(part) runs for slices `part` that cover range(n), at the same time

Threads of BLAS keep a core busy for a while after each product, waiting for the next one, so they and the threads of
this file slow each other down. A network of convolutions spends much of its time outside of products: there the work is
split here and BLAS is told to use one thread, through OpenBLAS's function for it. Where that function is not found
(another BLAS), there is one part, and BLAS is left as it is. A network of dense layers alone is nearly all products,
each too short to be split by a thread of Python: it is left to BLAS.

The number of threads is that of BLAS (OMP_NUM_THREADS or OPENBLAS_NUM_THREADS; all cores if neither is set). How work
is split depends on the shapes and on it alone, so one seed keeps giving the same bits, also when several threads of a
program train at once: they wait for each other.
"""

import ctypes
import os
import threading
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from math import inf
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from .workspace import keep_memory

BLOCK = 1 << 17     # numbers in a block: a few of them stay in the cache
# Work is counted in multiplications of a large product, of which a core does 40 or more a nanosecond.
WORTH = 1 << 24     # work that a part has at least: 0.4 ms, where waking a thread and the GIL cost 0.1 ms
NUMBER = 64         # the work of a pointwise function on one number, whose time is that of memory
_here = threading.local()       # inside: how often this thread is in own_threads; part: it works on a part
_busy = threading.Lock()        # one call of `parallel` at a time
_counting = threading.Lock()
_inside = 0                     # how often any thread is in own_threads, and how many threads BLAS had before
_before = None


@lru_cache(maxsize=None)
def openblas(name, restype=ctypes.c_int):
    """The function of this name of the OpenBLAS in NumPy's wheel; None if it is not found."""
    home = Path(np.__file__).parent
    for path in [*home.parent.glob("numpy.libs/*openblas*"), *home.glob(".dylibs/*openblas*")]:
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for prefix, suffix in product(("scipy_openblas", "openblas"), ("64_", "")):
            function = getattr(library, f"{prefix}_{name}{suffix}", None)
            if function:
                function.restype = restype
                return function
    return None


def core():
    """The processor whose kernels OpenBLAS runs ("Haswell", "SkylakeX", …); None if not found."""
    get = openblas("get_corename", ctypes.c_char_p)
    return get().decode() if get else None


@lru_cache(maxsize=None)
def threads():
    """How many parts work at the same time."""
    get = openblas("get_num_threads")
    return get() if get else 1


@lru_cache(maxsize=None)
def _workers():
    """The queue of tasks of the other threads. A pool of futures takes three times as long to answer."""
    tasks = SimpleQueue()

    def work():
        _here.part = True
        while True:
            tasks.get()()
    for _ in range(threads() - 1):
        threading.Thread(target=work, name="tinygan", daemon=True).start()
    return tasks


def _after_fork():
    """A child process has none of its parent's threads, and its locks may be held by one of them."""
    global _busy, _counting, _inside, _before, _here
    _workers.cache_clear()
    if _before is not None:
        openblas("set_num_threads")(_before)
    _busy, _counting, _here, _inside, _before = threading.Lock(), threading.Lock(), threading.local(), 0, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def own_threads():
    """Inside, BLAS uses one thread and `parallel` uses all; BLAS has its threads back when all callers have left."""
    global _inside, _before
    keep_memory()
    if threads() == 1:
        yield
        return
    with _counting:
        if not _inside:
            if _busy.locked():      # an interrupt left it locked: nobody is inside
                _busy.release()
            _before = openblas("get_num_threads")()
            openblas("set_num_threads")(1)
        _inside += 1
    _here.inside = getattr(_here, "inside", 0) + 1
    try:
        yield
    finally:
        _here.inside = max(0, getattr(_here, "inside", 0) - 1)      # 0 in a child that was forked inside
        with _counting:
            _inside = max(0, _inside - 1)
            if not _inside and _before is not None:
                openblas("set_num_threads")(_before)
                _before = None


def inside():
    """Whether this thread is in own_threads."""
    return bool(getattr(_here, "inside", 0))


def splits():
    """Whether `parallel` splits work of this thread: inside own_threads, and not within a part."""
    return inside() and not getattr(_here, "part", False) and threads() > 1


def parts_of(n, work):
    """Into how many parts n elements are worth splitting, each of so much work (in multiplications; see WORTH)."""
    return max(1, int(min(threads(), n, n * work / WORTH)))


def parallel(task, n, work=inf):
    """task(slice) on parts that cover range(n), one for each thread; returns when all are done, raises what one raised.

    work: of an element (see `parts_of`). Where `splits` says no there is one part.
    """
    parts = parts_of(n, work) if splits() else 1
    if parts < 2:
        task(slice(0, n))
        return
    cuts = [n * i // parts for i in range(parts + 1)]
    todo, answers = iter([slice(a, b) for a, b in zip(cuts, cuts[1:])]), SimpleQueue()

    def help_out():
        for part in todo:       # a thread that wakes up too late finds its part done by another
            try:
                answers.put(task(part))
            except BaseException as error:      # for the caller
                answers.put(error)
    with _busy:
        _here.part = True
        try:
            for _ in range(parts - 1):
                _workers().put(help_out)
            others = parts
            try:
                for part in todo:
                    others -= 1
                    task(part)
            finally:
                others -= len(list(todo))           # after an error no thread begins another part
                answered = [answers.get() for _ in range(others)]
        finally:
            _here.part = False
    for error in answered:
        if isinstance(error, BaseException):
            raise error


def total(term, n, work=inf):
    """Σ term(slice), a new array each, over the parts of range(n) as `parallel` cuts it, added in their order."""
    found = {}
    parallel(lambda part: found.update({part.start: term(part)}), n, work)
    first, *rest = (found[start] for start in sorted(found))
    for other in rest:
        first += other
    return first


def blocks(rule, rows, width=1, work=NUMBER):
    """rule(slice) on blocks of rows, each of `width` numbers, shared among the threads; work: of a number."""
    size = max(1, BLOCK // width)

    def task(part):
        for i in range(part.start, part.stop, size):
            rule(slice(i, min(i + size, part.stop)))
    parallel(task, rows, work * width)
