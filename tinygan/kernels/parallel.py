"""Work in parts, one thread each. NumPy lets go of the interpreter while it computes, so threads run side by side.

    with alone():              BLAS keeps to one thread inside,
        parallel(task, n)      and task(part) runs for slices `part` that cover range(n), at the same time

Threads of one's own and threads of BLAS do not go together: those of BLAS keep a core busy, waiting for the next
product, for a while after each. A network of convolutions spends much of its time on what is no product, so there
the work is split here and BLAS is told to use one thread, through the function that OpenBLAS has for it. Where that
function is not found (another BLAS), there is one part, and BLAS is left as it is. A network of dense layers alone
is nearly all products, each too short to hand half of it to another thread of Python: it is left to BLAS.

The number of threads is that of BLAS (OMP_NUM_THREADS or OPENBLAS_NUM_THREADS; all cores if neither is set).
"""

import ctypes
import os
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread

import numpy as np

from .workspace import keep

BLOCK = 1 << 17     # numbers in a block: a few of them stay in the cache, and it is worth waking a thread for
_busy = Lock()      # a part never splits again
_counting = Lock()
_alone = 0          # how many are inside `alone`, and how many threads BLAS had before (None: nobody is)
_before = None


@lru_cache(maxsize=None)
def openblas(name, restype=ctypes.c_int):
    """The function of this name of the OpenBLAS that NumPy's wheel brings; None if it is not found."""
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
    """The processor that OpenBLAS has chosen, or was told, to have ("Haswell", "SkylakeX", …); None if not found."""
    get = openblas("get_corename", ctypes.c_char_p)
    return get().decode() if get else None


@lru_cache(maxsize=None)
def threads():
    """How many parts work at the same time."""
    get = openblas("get_num_threads")
    return get() if get else 1


@lru_cache(maxsize=None)
def _helpers():
    """The queue of what the other threads are to do. A pool of futures takes three times as long to answer."""
    tasks = SimpleQueue()

    def work():
        while True:
            tasks.get()()
    for _ in range(threads() - 1):
        Thread(target=work, name="tinygan", daemon=True).start()
    return tasks


def _born():
    """A child has none of its parent's threads, nor what they were in the middle of."""
    global _busy, _counting, _alone, _before
    _helpers.cache_clear()
    if _before is not None:
        openblas("set_num_threads")(_before)
    _busy, _counting, _alone, _before = Lock(), Lock(), 0, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_born)


@contextmanager
def alone():
    """Inside, a product has one core, and `parallel` has all of them; BLAS has its threads back when all are out."""
    global _alone, _before
    if threads() == 1:
        yield
        return
    keep()
    with _counting:
        if not _alone:
            if _busy.locked():      # an interrupt left it so: nobody is inside
                _busy.release()
            _before = openblas("get_num_threads")()
            openblas("set_num_threads")(1)
        _alone += 1
    try:
        yield
    finally:
        with _counting:
            _alone = max(0, _alone - 1)     # 0 in a child that was born inside
            if not _alone and _before is not None:
                openblas("set_num_threads")(_before)
                _before = None


def splits():
    """Whether `parallel` makes more than one part here."""
    return bool(_alone) and not _busy.locked()


def parallel(task, n, least=1):
    """task(slice) on parts of range(n), at the same time, inside `alone`; returns when all are done.

    Parts are of at least `least`, one for each thread; one that wakes up too late finds its part done by another.
    Elsewhere, and inside a part, there is one part.
    """
    parts, busy = min(threads(), n // max(least, 1)) if _alone else 1, _busy
    if parts < 2 or not busy.acquire(blocking=False):
        return task(slice(0, n))
    cuts = [n * i // parts for i in range(parts + 1)]
    todo, answers = iter([slice(a, b) for a, b in zip(cuts, cuts[1:])]), SimpleQueue()

    def help_out():
        for part in todo:       # one thread at a time can take from it
            try:
                answers.put(task(part))
            except BaseException as error:      # for the one who asked
                answers.put(error)
    try:
        for _ in range(parts - 1):
            _helpers().put(help_out)
        theirs = parts
        try:
            for part in todo:
                theirs -= 1
                task(part)
        finally:
            theirs -= len(list(todo))           # after an error nobody begins another
            said = [answers.get() for _ in range(theirs)]
        for error in said:
            if isinstance(error, BaseException):
                raise error
    finally:
        busy.release()


def blocks(rule, rows, width=1):
    """rule(slice) on blocks of rows, each of `width` numbers, shared among the threads."""
    size = max(1, BLOCK // width)

    def task(part):
        for i in range(part.start, part.stop, size):
            rule(slice(i, min(i + size, part.stop)))
    parallel(task, rows, least=size)
