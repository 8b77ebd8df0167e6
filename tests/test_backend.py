"""Following the array, and saying why CuPy is not usable."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import strict
from tinygan import backend
from tinygan.errors import BackendError, DtypeError


def test_follow_the_array(xb):
    x = backend.to(np.ones(3, np.float32), xb)
    assert backend.name_of(x) == xb and backend.array_module(x) is backend.get(xb)
    assert backend.to(x, xb) is x and isinstance(backend.asnumpy(x), np.ndarray)
    np.testing.assert_array_equal(backend.asnumpy(x), 1)
    backend.synchronize(xb)


def test_what_is_not_an_array():
    for thing in ([1.0], 1.0, None):
        with pytest.raises(BackendError, match="expected an array of one of numpy, cupy"):
            backend.array_module(thing)


def test_dtypes():
    assert backend.dtype("float32") == np.float32 and backend.dtype(np.float64) == np.float64
    for bad in ("float16", "int8", "nonsense", object()):
        with pytest.raises(DtypeError, match="'float32'"):
            backend.dtype(bad)


class _NoCupy:
    """A finder that makes `import cupy` fail."""

    def __init__(self, error):
        self.error = error

    def find_spec(self, name, path=None, target=None):
        if name == "cupy":
            raise self.error


@pytest.mark.parametrize("error, words", [
    (ModuleNotFoundError("No module named 'cupy'", name="cupy"), "CuPy is not installed; install tinygan[cuda12]"),
    (ImportError("libcuda.so.1:\n cannot open"), "cannot be imported: ImportError: libcuda.so.1: cannot open"),
    (ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"), "cannot be imported: ModuleNotFoundError"),
    (RuntimeError("CuPy failed to load libcudart"), "cannot be imported: RuntimeError: CuPy failed to load libcudart"),
    (AttributeError("numpy has no attribute"), "cannot be imported: AttributeError: numpy has no attribute")])
def test_why_cupy_cannot_be_imported(monkeypatch, error, words):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_NoCupy(error)] + sys.meta_path)
    assert words in backend.why_not("cupy")
    with pytest.raises(BackendError) as caught:
        backend.get("cupy")
    assert "backend 'cupy' is not usable here" in str(caught.value) and "\n" not in str(caught.value)
    assert "'numpy' always is" in str(caught.value)


def _cupy(count, ones=None):
    return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count)), ones=ones)


def test_why_cupy_cannot_compute(monkeypatch):
    def no_driver():
        raise RuntimeError("cudaErrorInsufficientDriver")

    def no_compiler(shape, dtype):
        raise OSError("nvrtc not found")

    class NoProducts:       # as where cuBLAS, which CuPy loads at the first product, is missing
        def __matmul__(self, other):
            raise ImportError("libcublas.so.12: cannot open")
    for module, words in [(_cupy(lambda: 0), "finds no CUDA device"), (_cupy(no_driver), "cudaErrorInsufficientDriver"),
                          (_cupy(lambda: 1, no_compiler), "OSError: nvrtc not found"),
                          (_cupy(lambda: 1, lambda shape, dtype: NoProducts()), "libcublas.so.12: cannot open")]:
        monkeypatch.setitem(sys.modules, "cupy", module)
        assert words in backend.why_not("cupy")
    working = _cupy(lambda: 1, lambda shape, dtype: strict.asarray(np.ones(shape, dtype)))
    monkeypatch.setitem(sys.modules, "cupy", working)
    assert backend.why_not("cupy") is None and backend.get("cupy") is working


def test_a_usable_backend_is_asked_once(monkeypatch):
    """The question computes on the device and waits for it; a transfer must not."""
    asked = []
    module = _cupy(lambda: asked.append(1) or 1, lambda shape, dtype: strict.asarray(np.ones(shape, dtype)))
    module.asarray, module.ndarray = strict.asarray, strict.ndarray
    monkeypatch.setitem(sys.modules, "cupy", module)
    for _ in range(3):
        backend.to(np.ones(2), "cupy")
    assert len(asked) == 1


def test_unknown_backend():
    with pytest.raises(BackendError, match="backend 'tpu' is not usable here: unknown backend; choose one of: numpy"):
        backend.get("tpu")
