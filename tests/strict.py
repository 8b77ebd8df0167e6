"""An array module that is as strict as CuPy, for machines without a GPU.

Code that follows the array runs on CuPy as it runs on NumPy, unless somewhere it slips to the host: a NumPy
function on a device array, a host array mixed in, a float() in the middle of a step. NumPy forgives all of
that, CuPy does not (or it waits for the device). `strict.ndarray` wraps a NumPy array and

  - refuses implicit conversion to NumPy, and operations with host arrays and NumPy scalars;
  - gives 0-d arrays from reductions, never scalars;
  - counts what would wait for a device (float, int, bool, item, asnumpy, indexing by a mask); inside
    `no_synchronization()` these raise;
  - has only the names that CuPy has, where `cupy_names.txt` lists them.

Host arrays enter by `asarray` and leave by `asnumpy`.

While a stream captures (`tape` is a list), nothing is computed: what would be is written down, as CUDA does, with the
arrays it reads and writes, and `replay` does it. Numbers that came from the host meanwhile are in the tape for good.
"""

import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np

_NAMES = set((Path(__file__).with_name("cupy_names.txt")).read_text().split("\n"))
synchronizations = 0
tape = None
_forbidden = False


def _synchronize():
    global synchronizations
    if tape is not None:
        raise RuntimeError("the current stream is capturing, so synchronous API calls are disallowed")
    if _forbidden:
        raise AssertionError("a synchronisation with the device where none is allowed")
    synchronizations += 1


@contextmanager
def no_synchronization():
    """Within, whatever would wait for the device raises AssertionError."""
    global _forbidden
    _forbidden = True
    try:
        yield
    finally:
        _forbidden = False


def replay(recorded):
    """Do what was written down on a tape."""
    for work in recorded:
        work()


def _unwrap(value):
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"Unsupported type {type(value)}: a host value in a device operation")
    if isinstance(value, (list, tuple)):
        return type(value)(map(_unwrap, value))
    if isinstance(value, dict):
        return {key: _unwrap(item) for key, item in value.items()}
    return value


def _wrap(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_wrap, value))
    return value


def enqueue(work):
    """Work that writes into arrays that are there: done now, or written down."""
    work() if tape is None else tape.append(work)


def _on_device(function):
    def call(*args, **kwargs):
        out, args, kwargs = kwargs.get("out"), _unwrap(args), _unwrap(kwargs)
        if out is not None:
            enqueue(lambda: function(*args, **kwargs))
            return out
        if tape is not None and function is np.concatenate and len(args[0]) > 8:
            raise RuntimeError("the current stream is capturing, and CuPy would upload the addresses of the parts")
        with np.errstate(all="warn" if tape is None else "ignore"):     # nothing was computed: numbers are anything
            result = _wrap(function(*args, **kwargs))
        if tape is not None and function not in (np.empty, np.empty_like):
            _write_down(lambda: function(*args, **kwargs), result, args)
        return result
    return call


def _write_down(work, result, args):
    """For the replay: compute it anew into the same array; a view of an argument is there already."""
    if isinstance(result, ndarray) and not any(isinstance(a, np.ndarray) and np.may_share_memory(a, result._host)
                                               for a in args):
        def again():
            result._host[...] = work()
        tape.append(again)


class ndarray:
    """A NumPy array that does not admit to being one."""

    __slots__ = ("_host",)
    __hash__ = None

    def __init__(self, host):
        self._host = host
        if tape is not None:
            tape.append(lambda: host)       # its memory is the graph's: nobody else gets it

    def _refuse(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use asnumpy")

    __array__ = __array_ufunc__ = __array_function__ = _refuse

    def __getattr__(self, name):
        if f"ndarray.{name}" not in _NAMES or name.startswith("_"):
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        if name in ("item", "tolist"):
            _synchronize()
            return getattr(self._host, name)
        value = getattr(self._host, name)
        if callable(value):
            return lambda *args, **kwargs: _on_device(getattr(type(self._host), name))(self, *args, **kwargs)
        return _wrap(value) if isinstance(value, np.ndarray) else value   # .T is an array, .shape is not

    def __getitem__(self, key):
        if any(isinstance(k, ndarray) and k.dtype == bool for k in (key if isinstance(key, tuple) else (key,))):
            _synchronize()
        return _on_device(lambda x, key: np.asarray(x[key]))(self, key)

    def __setitem__(self, key, value):
        host, key, value = self._host, _unwrap(key), _unwrap(value)
        enqueue(lambda: host.__setitem__(key, value))

    def __len__(self):
        return len(self._host)

    def __float__(self):
        _synchronize()
        return float(self._host)

    def __int__(self):
        _synchronize()
        return int(self._host)

    def __bool__(self):
        _synchronize()
        return bool(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"strict {self._host!r}"


def _operator(name):
    def apply(self, *others):
        return _on_device(lambda x, *rest: getattr(x, name)(*rest))(self, *others)

    def apply_in_place(self, other):
        host, other = self._host, _unwrap(other)
        assert np.result_type(host, other) == host.dtype or np.ndim(other) == 0
        enqueue(lambda: getattr(host, name)(other))
        return self
    return apply_in_place if name.startswith("__i") and name != "__invert__" else apply


for _name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift",
              "rshift"]:
    for _kind in ("__{}__", "__r{}__", "__i{}__"):
        setattr(ndarray, _kind.format(_name), _operator(_kind.format(_name)))
for _name in ["neg", "pos", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge"]:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))


def asarray(value, dtype=None):
    """From the host, or an array of the device as it is."""
    if isinstance(value, ndarray):
        return value if dtype is None or value.dtype == dtype else value.astype(dtype)
    if tape is not None:
        raise RuntimeError("the current stream is capturing, so H2D transfers are disallowed")
    return ndarray(np.array(value, dtype))


def asnumpy(value):
    """To the host; waits."""
    _synchronize()
    return value._host.copy()


def _public(prefix, name, module):
    if prefix + name not in _NAMES:
        raise AttributeError(f"cupy has no {prefix + name}")
    value = getattr(module, name)
    return value if isinstance(value, type) or not callable(value) else _on_device(value)


def finfo(dtype):
    """A host fact about a dtype."""
    return np.finfo(dtype)


lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_on_device(np.lib.stride_tricks.as_strided)))


class _Linalg:
    def __getattr__(self, name):
        return _public("linalg.", name, np.linalg)


linalg = _Linalg()


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _public("", name, np)


module = sys.modules[__name__]
