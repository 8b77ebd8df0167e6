"""A GPU without a GPU: CuPy's part that the kernels need, on the host.

`module` is another copy of `strict` (its arrays are no `strict` arrays) with

  RawModule    compiles CUDA source with g++; a loop stands in for the threads. Arguments must have exactly the types
               of the kernel's parameters, and arrays must be dense, as on a device, where a wrong one is not noticed
  cuBLAS       a shared library that is already loaded, of a version of its own, that hands each call to NumPy
  streams, graphs and memory pools    as far as capturing a step needs them

so that everything but the device itself is checked: the kernels' arithmetic, their launches, the calls of cuBLAS, and
that a captured step, replayed, does what the step does.
"""

import ctypes
import hashlib
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tinygan import backend

_spec = importlib.util.spec_from_file_location("emulated", Path(__file__).parent.parent / "strict.py")
module = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(module)
module.ndarray.data = property(lambda self: SimpleNamespace(ptr=self._host.ctypes.data))

PRELUDE = """
#include <cmath>
struct Index { unsigned x; };
static Index blockIdx, threadIdx, blockDim;
struct float4 { float x, y, z, w; };
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
#define __global__
#define __device__ static inline
"""
KERNEL = re.compile(r"^KERNEL (\w+)\(([^)]*)\)", re.MULTILINE)


FOLDER = "TINYGAN_EMULATED"     # environment variable: where this process and those that it starts keep what g++ made


@lru_cache(maxsize=None)
def folder():
    """The folder of shared libraries; a process that made it removes it at its end."""
    if FOLDER not in os.environ:
        made = tempfile.TemporaryDirectory()
        os.environ[FOLDER] = made.name
        return made, Path(made.name)
    return None, Path(os.environ[FOLDER])


@lru_cache(maxsize=None)
def compiled(source, *options):
    """The shared library of this C++ source."""
    path = folder()[1] / f"{hashlib.sha256(repr((source, options)).encode()).hexdigest()}.so"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        done = subprocess.run(["g++", "-x", "c++", "-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Werror",
                               "-shared", "-fPIC", *options, "-", "-o", part], input=source.encode(),
                              capture_output=True)
        assert not done.returncode, done.stderr.decode()
        part.replace(path)
    return ctypes.CDLL(str(path))


def with_launchers(source):
    """CUDA source -> C++ in which run_NAME(grid, block, …) calls the kernel NAME once for each thread."""
    for name, parameters in KERNEL.findall(source):
        names = ", ".join(p.split()[-1].lstrip("*") for p in parameters.split(","))
        source += f"""
extern "C" void run_{name}(unsigned grid_, unsigned block_, {parameters}) {{
    blockDim.x = block_;
    for (blockIdx.x = 0; blockIdx.x < grid_; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < block_; threadIdx.x++) {name}({names});
}}"""
    return PRELUDE + source


class RawModule:
    """cupy.RawModule, compiled for the host."""

    def __init__(self, code):
        self.parameters = {name: [p.strip() for p in text.split(",")] for name, text in KERNEL.findall(code)}
        self.library = compiled(with_launchers(code))

    def get_function(self, name):
        """The kernel as a function (grid, block, args)."""
        run, parameters = getattr(self.library, f"run_{name}"), self.parameters[name]

        def launch(grid, block, args):
            assert len(grid) == len(block) == 1 and len(args) == len(parameters), (name, len(args))
            values = [_value(name, p, a) for p, a in zip(parameters, args)]
            module.enqueue(lambda: args and run(ctypes.c_uint(grid[0]), ctypes.c_uint(block[0]), *values))
        return launch


def _value(name, parameter, argument):
    kind = parameter.removeprefix("const ").rsplit(" ", 1)[0]
    if not kind.endswith("*"):
        dtype, c = {"unsigned": (np.uint32, ctypes.c_uint), "float": (np.float32, ctypes.c_float)}[kind]
        assert type(argument) is dtype, f"{name}({parameter}) got {type(argument)}"
        return c(argument)
    wanted = {"float*": np.float32, "vec*": np.float32, "unsigned*": np.uint32}[kind]
    assert isinstance(argument, module.ndarray) and argument.dtype == wanted, f"{name}({parameter}) got {argument!r}"
    assert argument.flags.c_contiguous, f"{name}({parameter}) got an array that is not dense"
    return ctypes.c_void_p(argument.data.ptr)


# cuBLAS: a library whose products NumPy computes.

VERSION = 99        # so that no real one is found
BLAS = """
typedef void (*product)(int, int, int, int, int, const void*, int, const void*, int, void*, int);
static product compute;
struct Handle { void* stream; void* workspace; int math; };
extern "C" {
void emulate(product p) { compute = p; }
int cublasCreate_v2(Handle** h) { *h = new Handle{nullptr, nullptr, -1}; return 0; }
int cublasSetStream_v2(Handle* h, void* s) { h->stream = s; h->workspace = nullptr; return 0; }
int cublasSetWorkspace_v2(Handle* h, void* w, unsigned long size) { h->workspace = w; return size < (32u << 20); }
int cublasSetMathMode(Handle* h, int mode) { h->math = mode; return !(mode == 0 || mode == 3); }
int cublasSgemm_v2(Handle* h, int a, int b, int m, int n, int k, const float* alpha, const void* A, int lda,
                   const void* B, int ldb, const float* beta, void* C, int ldc) {
    if (!h->workspace || h->math < 0 || *alpha != 1 || *beta != 0) return 7;
    if (lda < (a ? k : m) || ldb < (b ? n : k) || ldc < m || m < 1 || n < 1 || k < 1) return 7;
    compute(a, b, m, n, k, A, lda, B, ldb, C, ldc);
    return 0;
}
int cublasSgemmStridedBatched(Handle* h, int a, int b, int m, int n, int k, const float* alpha, const float* A, int lda,
                              long long step_a, const float* B, int ldb, long long step_b, const float* beta, float* C,
                              int ldc, long long step_c, int count) {
    if (count < 1 || step_a < 0 || step_b < 0 || (count > 1 && step_c < 1)) return 7;
    int status = 0;
    for (int i = 0; i < count && !status; i++)
        status = cublasSgemm_v2(h, a, b, m, n, k, alpha, A + i * step_a, lda, B + i * step_b, ldb, beta, C + i * step_c,
                                ldc);
    return status;
}
}
"""
_PRODUCT = ctypes.CFUNCTYPE(None, *[ctypes.c_int] * 5, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
                            ctypes.c_void_p, ctypes.c_int)


@_PRODUCT
def _product(op_a, op_b, m, n, k, A, lda, B, ldb, C, ldc):
    """As cuBLAS: matrices stored by columns, a column `ld` numbers after the one before."""
    def stored(pointer, rows, columns, lead):
        floats, size = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (columns - 1) * lead + rows
        return np.lib.stride_tricks.as_strided(np.ctypeslib.as_array(floats, (size,)), (rows, columns), (4, 4 * lead))
    a = stored(A, k, m, lda).T if op_a else stored(A, m, k, lda)
    b = stored(B, n, k, ldb).T if op_b else stored(B, k, n, ldb)
    c = stored(C, m, n, ldc)

    def work():
        c[...] = a @ b
    module.enqueue(work)


@lru_cache(maxsize=None)
def _load_cublas():
    compiled(BLAS, f"-Wl,-soname,libcublas.so.{VERSION}").emulate(_product)


# Streams and graphs.

class Stream:
    """cupy.cuda.Stream: one queue, worked off at once. It notices an order that a device might not keep.

    Each use of an array has a number. A stream knows the last one in each other stream that it has waited for, and an
    array may be used in a stream only if that has waited for the use before.
    """

    _thread = threading.local()
    numbers = itertools.count(1)

    def __init__(self, non_blocking=False):
        self.ptr, self.waited_for = id(self), {}
        assert non_blocking or not hasattr(sys.modules[__name__], "_null"), "it would wait for the default stream alone"

    @classmethod
    def current(cls):
        return getattr(cls._thread, "stream", _null)

    def __enter__(self):
        self.before, Stream._thread.stream = Stream.current(), self

    def __exit__(self, *error):
        Stream._thread.stream = self.before

    def record(self, event=None):
        event = event or Event()
        event.reached = {**self.waited_for, self: next(Stream.numbers)}
        return event

    def wait_event(self, event):
        for stream, number in event.reached.items():
            self.waited_for[stream] = max(number, self.waited_for.get(stream, 0))

    def begin_capture(self):
        assert module.tape is None and Stream.current() is self
        module.tape = []

    def end_capture(self):
        recorded, module.tape = module.tape, None
        return SimpleNamespace(launch=lambda stream=None: module.replay(recorded), recorded=recorded)

    def synchronize(self):
        pass


class Event:
    """cupy.cuda.Event."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.reached = {}


_null = Stream()
_uses = {}      # id of the array that owns the memory -> a reference to it; stream and number of the last use
_slot = module.ndarray.__dict__["_host"]


def _use(array):
    owner, stream = _slot.__get__(array), Stream.current()
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    owned, before, number = _uses.get(id(owner), (None, stream, 0))
    if owned and owned() is owner and before is not stream:
        assert stream.waited_for.get(before, 0) > number, "an array of another stream, without a wait"
    _uses[id(owner)] = weakref.ref(owner), stream, next(Stream.numbers)
    return _slot.__get__(array)


module.ndarray._host = property(_use, _slot.__set__)


class MemoryPool:
    """cupy.cuda.MemoryPool: only known by its name; memory is the host's."""

    allocator = None

    def malloc(self, size):
        raise NotImplementedError

    @classmethod
    @contextmanager
    def using(cls, allocator):
        before, cls.allocator = cls.allocator, allocator
        try:
            yield
        finally:
            cls.allocator = before


module.RawModule = RawModule
module.cuda = SimpleNamespace(
    Stream=Stream, get_current_stream=Stream.current, Event=Event, Device=lambda: SimpleNamespace(id=0),
    device=SimpleNamespace(get_cublas_handle=_load_cublas), alloc=lambda size: SimpleNamespace(ptr=1, size=size),
    runtime=SimpleNamespace(runtimeGetVersion=lambda: 1000 * VERSION),
    MemoryPool=MemoryPool, using_allocator=MemoryPool.using, get_allocator=lambda: MemoryPool.allocator)
backend.register("emulated", module)

here = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
_reason = backend.why_not("cupy")
DEVICES = [pytest.param("emulated", marks=here),
           pytest.param("cupy", marks=[pytest.mark.gpu] + ([pytest.mark.skip(reason=_reason)] if _reason else []))]
