"""Matrix products, through a handle of our own on the cuBLAS that CuPy has loaded.

CuPy refuses its own handle while a CUDA graph is captured. This one has a stream and a workspace of its own for its
whole life, which is what cuBLAS asks for if the same call is to give the same bits and to be captured.
"""

import ctypes
import threading
from functools import lru_cache

from ..backend import array_module
from ..errors import BackendError

WORKSPACE = 32 << 20        # bytes: what NVIDIA advises for Hopper
_MATH = {False: 0, True: 3}     # CUBLAS_DEFAULT_MATH (float32 throughout), CUBLAS_TF32_TENSOR_OP_MATH
_N, _T = 0, 1                   # CUBLAS_OP_N, CUBLAS_OP_T
_ONE, _ZERO = ctypes.c_float(1), ctypes.c_float(0)


def gemm(a, b, tf32=False):
    """a (m, k) @ b (k, n) -> (m, n), float32 on a device. Transposed views are read as they lie.

    tf32: factors rounded to 10 bits of mantissa on their way into the tensor cores; sums in float32.
    """
    xp, (m, k), n = array_module(a), a.shape, b.shape[1]
    y = xp.empty((m, n), dtype=a.dtype)
    (a, op_a, lead_a), (b, op_b, lead_b) = _as_stored(a), _as_stored(b)
    # cuBLAS counts down columns, so a matrix stored by rows is to it the transposed one: yᵀ = bᵀaᵀ.
    handle = _handle(xp, tf32)
    _call(xp, "cublasSgemm_v2", handle, op_b, op_a, n, m, k, ctypes.byref(_ONE), ctypes.c_void_p(b.data.ptr), lead_b,
          ctypes.c_void_p(a.data.ptr), lead_a, ctypes.byref(_ZERO), ctypes.c_void_p(y.data.ptr), n)
    return y


def _as_stored(x):
    """x or what it is a transposed view of; whether it is one; the length of a stored row."""
    if x.flags.c_contiguous:
        return x, _N, x.shape[1]
    if x.T.flags.c_contiguous:
        return x.T, _T, x.shape[0]
    return array_module(x).ascontiguousarray(x), _N, x.shape[1]


def batched(a, b, out):
    """a (…, m, k) @ b (…, k, n) -> out (…, m, n): one product, or one for each matrix of a row of them; float32.

    Where a or b is one matrix, it serves all products. All are read and written where they lie: the numbers of a row
    (or, in a and b, of a column) side by side, rows and matrices anywhere.
    """
    xp, (m, n), k, count = array_module(out), out.shape[-2:], a.shape[-1], len(out) if out.ndim == 3 else 1
    if 0 in (m, k, n):
        out[...] = 0
        return
    (a, op_a, *at_a), (b, op_b, *at_b), (same, op_out, *at_out) = (_as_it_lies(x) for x in (a, b, out))
    assert same is out and op_out == _N
    handle = _handle(xp, False)
    where = lambda x, lead, step: (ctypes.c_void_p(x.data.ptr), lead, ctypes.c_longlong(step))
    _call(xp, "cublasSgemmStridedBatched", handle, op_b, op_a, n, m, k, ctypes.byref(_ONE), *where(b, *at_b),
          *where(a, *at_a), ctypes.byref(_ZERO), *where(out, *at_out), count)


def _as_it_lies(x):
    """x, or a copy; whether it is transposed; the distances of its stored rows and of its matrices, in numbers."""
    row, column = (stride // x.itemsize for stride in x.strides[-2:])
    step = x.strides[0] // x.itemsize if x.ndim == 3 else 0
    if column == 1 or x.shape[-1] == 1:
        return x, _N, row if x.shape[-2] > 1 else x.shape[-1], step
    if row == 1 or x.shape[-2] == 1:
        return x, _T, column, step
    return _as_it_lies(array_module(x).ascontiguousarray(x))


@lru_cache(maxsize=None)
def _library(xp):
    """The cuBLAS that CuPy has loaded; the system then finds it by its name alone."""
    xp.cuda.device.get_cublas_handle()
    major = xp.cuda.runtime.runtimeGetVersion() // 1000
    for name in (f"libcublas.so.{major}", f"cublas64_{major}.dll"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendError(f"expected the cuBLAS of CUDA {major} to be loaded, found none; install its package, or set "
                       f"TINYGAN_KERNELS=reference")


def _handle(xp, tf32):
    """The handle for the current stream and device in this thread."""
    return _made(xp, xp.cuda.Device().id, xp.cuda.get_current_stream().ptr, tf32, threading.get_ident())


@lru_cache(maxsize=None)
def _made(xp, device, stream, tf32, thread):
    """A handle, never destroyed: at exit CUDA may be gone before it. Two threads may not use one at a time."""
    handle, workspace = ctypes.c_void_p(), xp.cuda.alloc(WORKSPACE)
    _call(xp, "cublasCreate_v2", ctypes.byref(handle))
    _call(xp, "cublasSetStream_v2", handle, ctypes.c_void_p(stream))      # first: it forgets the workspace
    _call(xp, "cublasSetWorkspace_v2", handle, ctypes.c_void_p(workspace.ptr), ctypes.c_size_t(WORKSPACE))
    _call(xp, "cublasSetMathMode", handle, _MATH[tf32])
    handle.workspace = workspace        # lives as long as the handle
    return handle


def _call(xp, name, *args):
    status = getattr(_library(xp), name)(*args)
    if status:
        raise BackendError(f"cuBLAS: {name} failed with status {status}; NVIDIA's documentation lists cublasStatus_t")
