"""A dense layer by hand: the three derivatives of the trilinear form, on the chapter's integers and on others."""

import numpy as np
import pytest


@pytest.fixture
def dense(chapter):
    return chapter("01_dense_layer").names


def test_the_integers_of_the_text(dense):
    np.testing.assert_array_equal(dense["xW"] + dense["b"], [[6, -3], [2, 3]])
    np.testing.assert_array_equal(dense["dx"], [[1, 3, -3], [2, 1, 9]])
    np.testing.assert_array_equal(dense["dW"], [[7, 8], [0, -5], [2, 3]])
    assert dense["form"](dense["dy"], dense["x"], dense["W"]) == 21


def test_the_maps_are_the_derivatives_of_the_form(dense):
    """The form is linear in each argument, so steps of 1 give its derivatives exactly."""
    rng = np.random.default_rng(0)
    arguments = [rng.integers(-4, 5, shape).astype(float) for shape in ((4, 5), (4, 3), (3, 5))]
    for k, found in enumerate(dense["maps"](*arguments)):
        one = lambda a: dense["form"](*arguments[:k], a, *arguments[k + 1:])
        np.testing.assert_array_equal(found, dense["difference"](one, arguments[k]))


def test_layer_and_differences_agree(dense):
    """The loss has dy as its gradient, and tinygan's layer the chapter's gradients."""
    x, W, b = (dense[name] for name in "xWb")
    np.testing.assert_array_equal(dense["difference"](lambda a: dense["loss"](x, a, b), W), dense["grads"]["W"])
    np.testing.assert_array_equal(dense["grads"]["W"], dense["dW"])
    np.testing.assert_array_equal(dense["grads"]["b"], [3, 2])
    assert dense["loss"](x, W, b) == 7.5


def test_the_pictures_sums(dense):
    for title, value in zip(dense["PANELS"], (dense["xW"][0, 1], dense["dx"][0, 1], dense["dW"][1, 1]), strict=True):
        assert title.endswith(f"= {value:.0f}") and eval(title.split(" = ")[1].replace("·", "*")) == value
