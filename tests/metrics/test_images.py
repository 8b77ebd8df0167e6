"""Metrics of digits: what each one measures, and the formulas written a second time."""

import numpy as np
import pytest

from tinygan import data, metrics
from tinygan.errors import DataError


def test_digits():
    images, labels = data.load("mnist5k")
    a, b = images[::12], images[1::12]
    against_b = metrics.digits_against(b)       # digits(…, b), with b classified once
    same = against_b(a)
    assert same["classes"] == 10 and same["total_variation"] < 0.05 and same["precision"] > 0.8 < same["recall"]
    threes = against_b(images[labels == 3])
    assert threes["classes"] == 1 and abs(threes["total_variation"] - 0.9) < 0.03
    assert threes["frechet"] > 10 * same["frechet"] and threes["recall"] < 0.4
    copies = against_b(b)
    assert copies["nearest"] < 0.1 * same["nearest"] and abs(copies["frechet"]) < 1e-6
    noise = against_b(np.random.default_rng(0).uniform(-1, 1, (150, 28, 28, 1)).astype("float32"))
    assert noise["precision"] < 0.2 and noise["kid"] > 10 * abs(same["kid"])
    with pytest.raises(DataError, match="at least 100 digits"):
        metrics.digits(a[:50], b)


def test_the_formulas_of_digits(monkeypatch):
    """A classifier that reads the class from the first pixel and the features from the next."""
    def predict(images, net=None):
        flat = images.reshape(len(images), -1)
        return flat[:, 1:4], np.eye(10)[np.rint(4.5 * (flat[:, 0] + 1)).astype(int)]
    monkeypatch.setattr(metrics.classifier, "predict", predict)
    rng = np.random.default_rng(0)
    images, real = rng.uniform(-1, 1, (2, 200, 28, 28, 1))
    images[:, 0, 0, 0], real[:, 0, 0, 0] = -1, np.where(np.arange(200) % 4, -1, 1)      # a quarter are nines
    found = metrics.digits(images, real)
    assert found["classes"] == 1 and found["total_variation"] == 0.25
    nearest = np.linalg.norm(images.reshape(200, 1, -1) - real.reshape(1, 200, -1), axis=2).min(1)
    np.testing.assert_allclose(found["nearest"], nearest.mean(), rtol=1e-6)
