"""Initial weights have the variance that their papers ask for."""

import numpy as np
import pytest

from tinygan.errors import ConfigError
from tinygan.layers import Conv2D, ConvTranspose2D, Dense
from tinygan.ops.init import generator, rule

I, O = 300, 200


@pytest.mark.parametrize("name, variance, bound", [
    ("glorot_uniform", 2 / (I + O), (6 / (I + O))**0.5), ("glorot_normal", 2 / (I + O), None),
    ("he_uniform", 2 / I, (6 / I)**0.5), ("he_normal", 2 / I, None), ("dcgan", 0.02**2, None), ("zeros", 0, 0)])
def test_variance(name, variance, bound):
    W = rule(name)(np.random.default_rng(0), (I, O), I, O)
    assert W.shape == (I, O) and W.dtype == np.float64 and abs(W.mean()) <= 4 * (variance / W.size)**0.5
    assert abs(W.var() - variance) <= 0.03 * variance
    if bound is not None:
        assert abs(W).max() <= bound
    else:
        assert abs(W).max() > 3.5 * variance**0.5   # normal, not uniform


def test_short_names_and_functions():
    assert rule("glorot") is rule("glorot_uniform") and rule("he") is rule("he_normal")
    layer = Dense(3, 2, init=lambda rng, shape, fan_in, fan_out: np.full(shape, fan_in + 10 * fan_out))
    assert (layer.params["W"] == 23).all() and not layer.params["b"].any()


@pytest.mark.parametrize("layer", [Conv2D(8, 4, 5, init="he"), ConvTranspose2D(8, 4, 5, init="he")])
def test_fans_of_convolutions_count_the_taps(layer):
    layer.reset(0)
    assert abs(layer.params["W"].var() / (2 / (25 * 8)) - 1) < 0.15


def test_generator():
    rng = np.random.default_rng(0)
    assert generator(rng) is rng and generator(3).random() == np.random.default_rng(3).random()
    for bad in (-1, "seed", 1.5):
        with pytest.raises(ConfigError, match="seed ≥ 0"):
            generator(bad)


@pytest.mark.parametrize("name, draw", [
    ("glorot_uniform", lambda g: g.uniform(-(6 / 50)**0.5, (6 / 50)**0.5, (20, 30))),
    ("glorot_normal", lambda g: g.normal(0, (2 / 50)**0.5, (20, 30))),
    ("he_uniform", lambda g: g.uniform(-(6 / 20)**0.5, (6 / 20)**0.5, (20, 30))),
    ("he_normal", lambda g: g.normal(0, (2 / 20)**0.5, (20, 30)))])
def test_the_formulas(name, draw):
    expected = draw(np.random.default_rng(0))
    np.testing.assert_allclose(rule(name)(np.random.default_rng(0), (20, 30), 20, 30), expected, rtol=1e-14)


@pytest.mark.parametrize("layer, fans", [(Dense(20, 30), 20 + 30), (Conv2D(2, 3, (3, 5)), 15 * (2 + 3)),
                                         (ConvTranspose2D(2, 3, (3, 5)), 15 * (2 + 3))])
def test_the_fans_of_layers(layer, fans):
    """Glorot's uniform numbers reach ±√(6/(fan_in + fan_out)) and no further."""
    layer.reset(0)
    reach = np.abs(layer.params["W"]).max() / (6 / fans)**0.5
    assert 0.97 < reach <= 1
