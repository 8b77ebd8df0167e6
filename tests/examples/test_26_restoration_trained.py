"""Restoration by a trained generator: both objectives' gradients through the U-Net and D, and bad input."""

import numpy as np
import pytest

from tinygan import gradcheck, models
from tinygan.errors import ShapeError
from tinygan.ops.init import generator


@pytest.fixture
def trained(chapter):
    return chapter("26_restoration_trained").names


@pytest.fixture
def pair(trained):
    """A narrow U-Net and a narrow D in float64, two originals and what G sees of them."""
    G, (_, D) = trained["unet"](0, c=2, dtype="float64"), models.dcgan(rng=1, width=0.03, dropout=0, dtype="float64")
    x = trained["x"][:2].astype("float64") + 0.1 * generator(2).standard_normal((2, 28, 28, 1))     # no equal pixels
    return G, D, x, trained["see"](x, "right half missing")


@pytest.mark.parametrize("w", [0.0, 0.3])
def test_the_gradient_in_the_parameters_of_g(trained, pair, w):
    G, D, x, seen = pair

    def loss(theta):
        G.theta = theta
        value, grads, _ = trained["g_objective"](G, D, seen, x, w)
        return value, grads.vector

    gradcheck.check_loss(loss, G.theta.copy(), limit=24).raise_if_wrong()


def test_the_gradient_in_the_parameters_of_d(trained, pair):
    G, D, x, seen = pair
    restored, _ = G.forward(seen)

    def loss(theta):
        D.theta = theta
        value, grads = trained["d_objective"](D, x, restored)
        return value, grads.vector

    gradcheck.check_loss(loss, D.theta.copy(), limit=24).raise_if_wrong()


def test_the_u_net_is_a_layer(trained, pair):
    G, _, _, seen = pair
    gradcheck.check_layer(G, np.ascontiguousarray(seen[:, 8:16, 8:16]), limit=16).raise_if_wrong()


def test_g_sees_the_mask_and_nothing_of_the_missing_half(trained):
    x = trained["x"][:3]
    seen = trained["see"](x, "right half missing")
    assert (seen[:, :, 14:] == 0).all() and (seen[:, :, :14, 1] == 1).all()
    np.testing.assert_array_equal(seen[:, :, :14, :1], x[:, :, :14])
    small = trained["see"](x, "resolution ×4")[..., 0].reshape(3, 7, 4, 7, 4)
    np.testing.assert_allclose(small[:, :, 1, :, 2], x.reshape(3, 7, 4, 7, 4).mean((2, 4)), atol=1e-6)


def test_bad_input(trained, pair):
    G, D, x, seen = pair
    with pytest.raises(ShapeError, match="Mask expected"):
        trained["see"](x[:, :14], "hole 14×14")
    with pytest.raises(ShapeError, match="^expected originals of shape"):
        trained["g_objective"](G, D, seen, x[:, :14], 0.3)
