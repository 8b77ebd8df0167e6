"""Which array module an array belongs to, and every crossing between host and device.

Code follows the array: given an array x it computes with `xp = array_module(x)`. Arrays move between backends only
through this file, the only one that imports CuPy. There is no hidden transfer and no hidden synchronisation.
"""

import importlib
import sys
from contextlib import contextmanager

import numpy as np

from .errors import BackendError, DtypeError

# name -> the module that implements NumPy's interface. `register` adds to it.
_MODULES = {"numpy": "numpy", "cupy": "cupy"}
_DTYPES = ("float32", "float64")
_checked = {}   # name -> module, of those found usable
_forbidden = None   # why no array may cross between host and device just now


def register(name, module):
    """Add a backend: `module` has NumPy's interface, an `ndarray` class and `asnumpy(array)`."""
    _MODULES[name] = module


def names():
    """The names of all known backends, usable or not."""
    return tuple(_MODULES)


def why_not(name):
    """None if the backend is usable here, otherwise one sentence that says why it is not."""
    if name not in _MODULES:
        return f"unknown backend; choose one of: {', '.join(_MODULES)}"
    if name != "cupy":
        return None
    try:
        cupy = importlib.import_module("cupy")
    except Exception as error:      # its import loads libraries of CUDA, and raises many kinds
        if isinstance(error, ImportError) and error.name == "cupy":
            return "CuPy is not installed; install tinygan[cuda12] or tinygan[cuda13] to match the driver"
        return f"CuPy is installed but cannot be imported: {_one_line(error)}"
    try:
        if cupy.cuda.runtime.getDeviceCount() < 1:
            return "CuPy is installed but finds no CUDA device"
        square = cupy.ones((2, 2), dtype="float32")
        (square @ square).sum().item()      # the driver, the kernel compiler, cuBLAS (loaded at first use), the device
    except Exception as error:      # CuPy raises many kinds here; each one means "not usable"
        return f"CuPy is installed but cannot compute on a CUDA device: {_one_line(error)}"
    return None


def get(name):
    """The array module of a backend by name; BackendError says why if it cannot be used."""
    known = _checked.get(name)
    if known is not None and sys.modules.get(name) is known:
        return known               # asked before: asking again would wait for the device at every transfer
    reason = why_not(name)
    if reason:
        raise BackendError(f"backend {name!r} is not usable here: {reason}; backend 'numpy' always is")
    module = _MODULES[name]
    _checked[name] = importlib.import_module(module) if isinstance(module, str) else module
    return _checked[name]


def name_of(x):
    """The name of the backend that the array x lives on."""
    if isinstance(x, (np.ndarray, np.generic)):
        return "numpy"
    for name, module in _MODULES.items():
        module = sys.modules.get(module) if isinstance(module, str) else module
        if module is not None and isinstance(x, module.ndarray):
            return name
    raise BackendError(f"expected an array of one of {', '.join(_MODULES)}, got {type(x).__name__}; "
                       f"make one with numpy.asarray(x, dtype='float32')")


def array_module(x):
    """The module (numpy, cupy) whose functions take the array x."""
    if isinstance(x, np.ndarray):   # the common case first: this is called by every layer
        return np
    return get_loaded(name_of(x))


def get_loaded(name):
    """As `get`, for a backend that is known to work because an array of it exists."""
    module = _MODULES[name]
    return sys.modules[module] if isinstance(module, str) else module


def to(x, name):
    """The array x on the backend `name`: x itself if it lives there, else a copy across.

    From a device to the host this waits until x has been computed.
    """
    here = name_of(x)
    if here == name:
        return x
    if _forbidden:
        raise BackendError(f"expected no copy from {here!r} to {name!r} {_forbidden}")
    host = x if here == "numpy" else get_loaded(here).asnumpy(x)
    return host if name == "numpy" else get(name).asarray(host)


@contextmanager
def no_transfers(why):
    """Inside, `to` raises BackendError in the place of a copy between host and device; why: the end of its message."""
    global _forbidden
    before, _forbidden = _forbidden, why
    try:
        yield
    finally:
        _forbidden = before


def converted(layer, convert):
    """A copy of a layer or network whose arrays, parameters and state, are convert(array)."""
    new = layer.copy()
    new.bind(convert(new.params.vector))
    new.state = {name: convert(array) for name, array in new.state.items()}
    return new


def asnumpy(x):
    """x as a NumPy array on the host (waits for the device); x itself if it is one."""
    return to(x, "numpy")


def synchronize(name):
    """Wait until the device of this backend has finished all that was asked of it, on any stream."""
    if name == "cupy":
        get(name).cuda.Device().synchronize()


def describe(name):
    """One line on the device behind a usable backend."""
    if name != "cupy":
        return "the host"
    cupy = get(name)
    device = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return (f"{device['name'].decode()}, {device['totalGlobalMem'] / 2**30:.0f} GiB, CuPy {cupy.__version__}, "
            f"CUDA {cupy.cuda.runtime.runtimeGetVersion()}, driver {cupy.cuda.runtime.driverGetVersion()}")


def dtype(name):
    """The NumPy dtype float32 or float64 by name; DtypeError for any other."""
    try:
        result = np.dtype(name)
    except TypeError:
        result = None
    if result is None or result.name not in _DTYPES:
        raise DtypeError(f"expected dtype 'float32' (to train) or 'float64' (to check), got {name!r}")
    return result


def _one_line(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
