"""Objectives: forces on a fake sample's logit f beside a real one's r, and the best logits, as in the chapter."""

import numpy as np
import pytest

from tinygan.ops.pointwise import sigmoid


@pytest.fixture
def objectives(chapter):
    return chapter("12_objectives").names


@pytest.mark.parametrize("r", [1.0, -0.5])
def test_forces_are_those_of_the_table(objectives, r):
    f = np.array([-6.0, -1.5, -0.5, 0.0, 2.0])
    table = {"minimax": (sigmoid(f), sigmoid(f)), "non_saturating": (1 - sigmoid(f), sigmoid(f)),
             "least_squares": (1 - f, f), "hinge": (1 + 0 * f, f > -1), "wasserstein": (1 + 0 * f, 1 + 0 * f),
             "relativistic": (sigmoid(r - f), sigmoid(f - r))}
    assert list(table) == objectives["NAMES"]
    for name, expected in table.items():
        np.testing.assert_allclose(objectives["forces"](name, f, r), expected, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(objectives["forces"]("relativistic_average", f, r),
                               2 * np.array(objectives["forces"]("relativistic", f, r)), rtol=1e-12)


@pytest.mark.parametrize("p, q", [(0.75, 0.25), (0.2, 0.5)])
def test_best_logits(objectives, p, q):
    best = objectives["best_logit"]
    assert best("minimax", p, q) == pytest.approx(np.log(p / q))
    assert best("non_saturating", p, q) == pytest.approx(np.log(p / q))
    assert best("least_squares", p, q) == pytest.approx(p / (p + q))
    assert best("hinge", p, q) == pytest.approx(np.sign(p - q))
    assert best("wasserstein", p, q) == np.sign(p - q) * np.inf


def test_the_relativistic_best_logits_are_free_to_a_constant(objectives):
    gradient = objectives["gradient_in_both_logits"]
    for constant in (0.0, -3.0):
        np.testing.assert_allclose(gradient(np.log([3, 1 / 3]) + constant), 0, atol=1e-15)
    assert abs(gradient(np.log([2, 1 / 2]))[0]) > 0.01
