"""The stand-in for CuPy is as strict as it says."""

import numpy as np
import pytest

import strict
from tinygan import backend


@pytest.fixture
def a():
    return strict.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize("slip", [
    lambda a: np.exp(a), lambda a: np.asarray(a), lambda a: np.sum(a), lambda a: a + np.ones(3),
    lambda a: np.ones(3) + a, lambda a: a * np.float64(2), lambda a: strict.exp(np.ones(3)),
    lambda a: a.__setitem__(0, np.ones(3))], ids=range(8))
def test_host_and_device_do_not_mix(a, slip):
    with pytest.raises(TypeError):
        slip(a)


def test_names_that_cupy_lacks_are_not_there(a):
    for name in ("nditer", "errstate_of_numpy", "ctypeslib"):
        with pytest.raises(AttributeError, match="cupy"):
            getattr(strict, name)
    with pytest.raises(AttributeError):
        a.ctypes


def test_views_share_memory_and_in_place_is_in_place(a):
    row, same = a[1], a
    row += 1
    a *= 2.0
    a[0] = 5.0
    assert same is a
    np.testing.assert_array_equal(strict.asnumpy(a), [[5, 5, 5], [8, 10, 12]])


def test_reductions_stay_on_the_device(a):
    total = a.sum()
    assert isinstance(total, strict.ndarray) and total.shape == () and total.dtype == np.float32
    assert float(total) == 15.0


@pytest.mark.parametrize("read", [float, int, bool, lambda s: s.item(), strict.asnumpy, lambda s: s[s > 0]])
def test_what_waits_is_counted_and_can_be_forbidden(a, read):
    before = strict.synchronizations
    read(a.max())
    assert strict.synchronizations == before + 1
    with pytest.raises(AssertionError, match="synchronisation"), strict.no_synchronization():
        read(a.max())


def test_it_is_a_backend(a):
    assert backend.array_module(a) is strict and backend.name_of(a) == "strict"
    assert isinstance(backend.to(np.ones(2), "strict"), strict.ndarray)
