"""Cross-entropy: four forms, where each fails, and the gradient σ(ℓ) − t."""

import numpy as np
import pytest

from tinygan import losses


@pytest.fixture
def entropy(chapter):
    return chapter("03_cross_entropy").names


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_the_forms_agree_where_none_fails(entropy, t):
    """In float64 between −10 and 10; and each gradient is the derivative of its loss."""
    logits, h = np.linspace(-10, 10, 41), 1e-5
    for form in entropy["FORMS"].values():
        loss, gradient = form(logits, t)
        np.testing.assert_allclose(loss, np.log1p(np.exp(logits)) - t * logits, rtol=1e-6, atol=1e-10)
        np.testing.assert_allclose(gradient, 1 / (1 + np.exp(-logits)) - t, rtol=1e-6, atol=1e-10)
        np.testing.assert_allclose((form(logits + h, t)[0] - form(logits - h, t)[0]) / (2 * h), gradient, atol=1e-8)


def test_the_stable_form_is_the_librarys(entropy):
    logits = np.linspace(-200, 200, 81, dtype="float32")
    for t in (0.0, 1.0):
        loss, gradient = entropy["stable"](logits, t)
        assert losses.bce_with_logits(logits, t)[0] == pytest.approx(loss.mean(), rel=1e-6)
        np.testing.assert_array_equal(losses.bce_with_logits(logits, t)[1], gradient / len(logits))


def test_where_the_naive_forms_fail(entropy):
    """float32: 1 − p is 0 from 17 on, e^ℓ infinite from 89; float64: from 710."""
    at = lambda form, logit, dtype="float32": form(np.array([logit], dtype), 0)
    with np.errstate(all="ignore"):
        assert np.isfinite(at(entropy["by_probability"], 16)[0]) and np.isinf(at(entropy["by_probability"], 17.5)[0])
        assert np.isnan(at(entropy["by_probability"], 17.5)[1])
        for dtype, logit in (("float32", 89), ("float64", 710)):
            assert np.isfinite(at(entropy["by_exponential"], logit - 1, dtype)[0])
            assert np.isinf(at(entropy["by_exponential"], logit, dtype)[0])
        assert at(entropy["by_probability"], -20)[0] == at(entropy["by_exponential"], -20)[0] == 0
    assert at(entropy["stable"], -20)[0] == pytest.approx(np.exp(-20), rel=1e-6)
    assert at(entropy["stable"], 100)[0] == 100 and at(entropy["stable"], 100)[1] == 1
    assert at(entropy["clipped"], 20)[1] == 0


def test_descent(entropy):
    assert (entropy["descend"](entropy["clipped"]) == 20).all()
    path = entropy["descend"](entropy["stable"])
    assert (abs(np.diff(path)[:10] + 1) < 1e-3).all() and -3.5 < path[-1] < -2.5
    assert entropy["error"] < 1e-15
