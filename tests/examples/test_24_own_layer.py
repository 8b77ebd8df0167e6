"""A layer of one's own: its derivatives, what the check says to its drafts, and the minimum of Swish."""

import numpy as np
import pytest

from tinygan import gradcheck


@pytest.fixture
def names(chapter):
    return chapter("24_own_layer").names


def test_the_pencil(names):
    values = [names[name].item() for name in ("y", "dx", "dtx")] + [names["grads"]["beta"].item()]
    np.testing.assert_allclose(values, [1, 3 / 2, 5 / 2, 23], rtol=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 3, 3)])
def test_the_layer(names, rng, shape):
    gradcheck.assert_layer(names["Swish"](3), rng.standard_normal(shape))


def test_the_limits(names):
    """β = 0: x/2; large β: ReLU."""
    layer, x = names["Swish"](1), np.linspace(-3, 3, 31)[:, None]
    for beta, expected in ((0.0, x / 2), (1e4, np.maximum(x, 0))):
        layer.params["beta"][...] = beta
        np.testing.assert_allclose(layer.forward(x)[0], expected, atol=1e-4)


def test_what_is_wrong_in_each_draft(names):
    wrong = {name: {failure.quantity for failure in report.failures} for name, report in names["drafts"].items()}
    assert wrong == {"averaged": {"dbeta"}, "assigned": {"dbeta"}, "beta_forgotten_in_the_chain": {"dx", "adjoint"},
                     "mixed_term_forgotten": {"second dbeta"}}
    assert "averaged instead of summed" in str(names["drafts"]["averaged"])
    assert "+= ..." in str(names["drafts"]["assigned"])


def test_the_minimum_lies_on_the_line_of_the_text(names):
    layer, x = names["Swish"](1), np.linspace(-2, 0, 200_001)[:, None]
    y, _ = layer.forward(x)
    at = y.argmin()
    np.testing.assert_allclose(y[at], x[at] + 1, atol=1e-5)
