"""Restoration by search: the gradient in z for each task, the stored generators, and the estimate of G's error."""

import numpy as np
import pytest

from tinygan import gradcheck, inversion, models
from tinygan.errors import ShapeError


@pytest.fixture
def search(chapter):
    return chapter("25_restoration_search").names


@pytest.mark.parametrize("task", ["hole 14×14", "resolution ×4", "noise σ = 1", "100 projections"])
def test_the_gradient_in_z(search, task):
    G, D = models.mlp(rng=3, width=0.05, latent=6, dtype="float64")
    A, sigma = search["tasks"](0)[task]
    A = A.astype("float64")
    y = search["measure"](search["x"][:2].astype("float64"), A, sigma)

    def loss(z):
        value, dz = inversion.objective(z, y, A, G, 0.3, D, 2.0)
        return value.sum(), dz
    report = gradcheck.check_loss(loss, np.random.default_rng(1).standard_normal((2, 6))).raise_if_wrong()
    assert max(report.values()) <= 1e-8


def test_the_smallest_case(search):
    np.testing.assert_allclose(search["z1"], 0.8, atol=1e-3)


def test_eight_bits_keep_the_weights(search):
    """Each array is off by at most half a step of its scale."""
    G, D = search["generator"](0)
    assert not np.isnan(G.theta).any() and not np.isnan(D.theta).any()
    stored = search["stored"]
    for name, array in (search["arrays"]("G0", G) | search["arrays"]("D0", D)).items():
        assert stored[name].dtype == "int8" and abs(stored[name]).max() <= 127
        np.testing.assert_allclose(array, stored[name] * stored[f"{name}.scale"], rtol=1e-6)


def test_the_estimate_of_what_g_cannot_draw(search):
    """From all pixels without noise, G(z) + e is the picture."""
    A, x, errors = search["tasks"](0)["noise σ = 1"][0], search["train"][:2], search["train"][::5] / 2
    drawn = x / 2
    np.testing.assert_allclose(drawn + search["linear"](x - drawn, A, 1e-3, errors), x, atol=0.05)


def test_bad_input(search):
    G, _ = search["generator"](0)
    A, _ = search["tasks"](0)["resolution ×4"]
    with pytest.raises(ShapeError, match="^expected measurements of shape"):
        search["search"](search["x"], A, G, 0.1)
