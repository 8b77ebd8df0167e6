"""Batch normalisation: the three paths, the projection, and the rules that pass under all-ones cotangents."""

import numpy as np
import pytest

from tinygan.layers import BatchNorm


@pytest.fixture
def names(chapter):
    return chapter("06_batch_norm").names


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 2)])
def test_the_three_paths_add_up_to_backward(names, rng, shape):
    x, dy = rng.standard_normal((2, *shape))
    layer = BatchNorm(shape[-1])
    layer.params["gamma"][...] = rng.uniform(0.5, 2, shape[-1])
    _, cache = layer.forward(x)
    rows = lambda a: a.reshape(-1, shape[-1])
    parts = names["paths"](layer.params["gamma"] * rows(dy), rows(cache[0]), cache[1])
    np.testing.assert_allclose(sum(parts), rows(layer.backward(dy, cache)), rtol=1e-10, atol=1e-12)


def test_the_worked_column(names):
    """The fractions of the text."""
    np.testing.assert_allclose(names["xhat"][:, 0], np.array([-3, -1, -1, 5]) / 3, atol=1e-12)
    for found, ninths in zip([*names["parts"].values(), sum(names["parts"].values())],
                             ([18, 9, -9, 18], [-9] * 4, [3, 1, 1, -5], [12, 1, -17, 4])):
        np.testing.assert_allclose(9 * found[:, 0], ninths, atol=1e-10)
    np.testing.assert_allclose(names["numerical"](names["x"], names["dy"])[:, 0], np.array([12, 1, -17, 4]) / 9,
                               atol=1e-9)


def test_the_projection(names):
    """sP is symmetric and idempotent, has rank m − 2, and removes 1 and x̂."""
    Q, xhat = names["s"] * names["P"], names["xhat"][:, 0]
    np.testing.assert_allclose(Q, Q.T, atol=1e-12)
    np.testing.assert_allclose(Q @ Q, Q, atol=1e-10)
    np.testing.assert_allclose(Q @ np.stack([np.ones(4), xhat], axis=1), 0, atol=1e-10)
    assert np.linalg.matrix_rank(Q, tol=1e-6) == 2
    np.testing.assert_allclose(Q, np.eye(4) - 0.25 - np.outer(xhat, xhat) / 4, atol=1e-10)


def test_all_ones_cotangents_see_four_wrong_rules_as_right(names):
    under_ones, under_dy = ({name: names["distance"](rule, g) for name, rule in names["RULES"].items()}
                            for g in (np.ones((4, 1)), names["dy"]))
    assert [name for name, off in under_ones.items() if off > 1e-6] == ["mean forgotten"]
    assert [name for name, off in under_dy.items() if off < 1e-6] == ["right"]


def test_running_statistics(names):
    """The running variance is unbiased, that of the batches is not."""
    assert abs(names["wide"].state["mean"].mean() - 4) < 0.05 and abs(names["wide"].state["var"].mean() - 9) < 0.1
    assert abs(np.mean(names["biased"]) - 27 / 4) < 0.05
