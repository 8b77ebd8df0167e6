"""Edges to pictures: Sobel's filters, the skip connection, both objectives through the network without skips."""

import numpy as np
import pytest

from tinygan import gradcheck, models
from tinygan.errors import ShapeError


@pytest.fixture
def drawn(chapter):
    return chapter("32_image_to_image").names


def test_edges_are_where_the_gradient_is_large(drawn):
    i, j = np.mgrid[:8, :8].astype("float32")
    ramp = (0.1 * i + 0.2 * j)[None, ..., None]                     # a plane: 8 times its slope everywhere inside
    inside = drawn["gradient"](ramp)[0, 1:-1, 1:-1]
    np.testing.assert_allclose(inside, np.broadcast_to([1.6, 0.8], (6, 6, 2)), rtol=1e-5)
    assert not drawn["edges"](ramp).any()
    step = (j > 3).astype("float32")[None, ..., None]
    assert (drawn["edges"](step)[0, ..., 0] == ((j == 3) | (j == 4))).all()


def test_the_skip_connection(drawn):
    np.testing.assert_allclose(drawn["dx"], [[6.5, -3.9]])


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("player", ["G", "D"])
def test_the_gradients_of_both_players(drawn, player, skip):
    shared = {name: drawn["fit"].__globals__[name] for name in ("unet", "g_objective", "d_objective")}
    G = shared["unet"](0, c=2, d=3, skip=skip, dtype="float64")
    _, D = models.dcgan(rng=1, width=0.03, dropout=0, image=(28, 28, 2), dtype="float64")
    x = drawn["x"][:2].astype("float64") + 0.1 * np.random.default_rng(2).standard_normal((2, 28, 28, 1))
    seen = drawn["e"][:2].astype("float64") + 0.1 * np.random.default_rng(3).standard_normal(x.shape)   # no kink at 0
    restored, net = G.forward(seen)[0], G if player == "G" else D

    def loss(theta):
        net.theta = theta
        value, grads = (shared["g_objective"](G, D, seen, x, 0.3) if player == "G" else
                        shared["d_objective"](D, seen, x, restored, 0.1))[:2]
        return value, grads.vector
    report = gradcheck.check_loss(loss, net.theta.copy(), limit=12).raise_if_wrong()
    assert max(report.values()) <= 1e-8


def test_linear_is_exact_for_what_is_linear(drawn):
    """The estimate of the mean edges is the mean picture."""
    mean = drawn["edges"](drawn["train"]).mean(0, keepdims=True)
    np.testing.assert_allclose(drawn["linear"](mean)[0], drawn["train"].mean(0), atol=1e-5)


def test_bad_input(drawn):
    with pytest.raises(ShapeError, match="Conv2D expected"):
        drawn["edges"](np.zeros((1, 8, 8, 3), "float32"))
