"""Names outside, one vector inside."""

import copy
import pickle

import numpy as np
import pytest

from tinygan.errors import ShapeError
from tinygan.layers.params import Params


def test_views():
    p = Params({"W": (2, 3), "b": (3,)}, np.arange(9.0))
    assert list(p) == ["W", "b"] and p["b"].tolist() == [6, 7, 8]
    p["W"] += 1                          # in place, through __setitem__
    p["b"] = [0, 0, 0]
    p["b"][...] = p["b"] + 5
    assert p.vector.tolist() == [1, 2, 3, 4, 5, 6, 5, 5, 5]
    z = p.zeros()
    assert not z.vector.any() and z.shapes == p.shapes and not np.shares_memory(z.vector, p.vector)


def test_errors():
    with pytest.raises(ShapeError, match="vector of 6 parameters, got shape"):
        Params({"W": (2, 3)}, np.zeros(5))
    p = Params({"W": (2, 3)}, np.zeros(6))
    with pytest.raises(ShapeError, match=r"'W' expected shape \(2, 3\), got \(3,\)"):
        p["W"] = np.ones(3)              # would broadcast
    with pytest.raises(KeyError, match="no parameter 'b'; there are: W"):
        p["b"] = 1


def test_nothing_comes_loose_from_the_vector():
    p = Params({"W": (2, 2), "b": (2,)}, np.zeros(6))
    p.update({"W": np.ones((2, 2))}, b=2.0)
    p |= {"b": np.array([3.0, 4.0])}
    assert p.vector.tolist() == [1, 1, 1, 1, 3, 4]
    with pytest.raises(ShapeError, match=r"'W' expected shape \(2, 2\), got \(2,\)"):
        p["W"] = [1.0, 2.0]              # a list does not broadcast either
    for remove in (lambda: p.pop("W"), lambda: p.clear(), lambda: p.__delitem__("W"), lambda: p.setdefault("c", 1)):
        with pytest.raises(TypeError, match="names of parameters are fixed"):
            remove()
    for other in (copy.copy(p), copy.deepcopy(p), p.copy(), pickle.loads(pickle.dumps(p))):
        other["b"] += 1
        assert other.vector.tolist() == [1, 1, 1, 1, 4, 5] and p.vector.tolist() == [1, 1, 1, 1, 3, 4]
