"""Stacked digits of the benchmark: their modes are counted."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tinygan import data
from tinygan.errors import DataError, ShapeError
from tinygan.metrics import classifier

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import stacked   # noqa: E402


def test_stacked_digits_show_their_modes():
    images, labels = data.load("mnist5k")
    source = stacked.Stacked(images, labels)
    stacks, modes = source.sample(500, np.random.default_rng(0))
    assert stacks.shape == (500, 28, 28, 3) and stacks.dtype == np.float32 and modes.min() >= 0 and modes.max() < 1000
    found = stacked.metrics(stacks)
    share = np.bincount(modes, minlength=1000) / len(modes)
    assert abs(found["modes"] - (share > 0).sum()) < 5
    np.testing.assert_allclose(found["kl"], (share[share > 0] * np.log(1000 * share[share > 0])).sum(), atol=0.03)
    one = stacked.metrics(np.repeat(stacks[:1], 50, axis=0))
    assert one["modes"] == 1 and abs(one["kl"] - np.log(1000)) < 1e-9
    np.testing.assert_array_equal(next(data.Stream(source, 4, 7)), next(data.Stream(source, 4, 7)))
    with pytest.raises(DataError, match="stacked digits"):
        stacked.metrics(images[:3])
    for wrong in (lambda: stacked.Stacked(stacks), lambda: stacked.Stacked(images, labels[:5])):
        with pytest.raises(ShapeError):
            wrong()


def test_each_triple_of_digits_is_a_mode(monkeypatch):
    predict = lambda images, net=None: (None, np.eye(10)[np.rint(images[:, 0, 0, 0]).astype(int)])
    monkeypatch.setattr(classifier, "predict", predict)
    digit = np.indices((10, 10, 10)).reshape(3, -1).T
    images = np.broadcast_to(digit[:, None, None], (1000, 28, 28, 3))
    found = stacked.metrics(images)
    assert found["modes"] == 1000 and abs(found["kl"]) < 1e-12
    assert stacked.metrics(images[:100]) == {"modes": 100.0, "kl": pytest.approx(np.log(10))}
