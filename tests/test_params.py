"""Names outside, one vector inside."""

import numpy as np
import pytest

from tinygan.errors import ShapeError
from tinygan.params import Params


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
