"""The model that chooses the way of a convolution: its terms by hand, and its choice where one way was far ahead."""

import numpy as np
import pytest

from tinygan import kernels
from tinygan.kernels import cost, threads
from tinygan.ops.windows import geometry


def _same(size, k, s):
    return geometry((size, size), (k, k), (s, s), "same")


def test_terms():
    """2 samples, 3×3 kernel on 4×4, stride 1, 5 → 6 channels: 32 positions, 9 taps; a cycle of 5 points."""
    g, shape = _same(4, 3, 1), (3, 3, 5, 6)
    products = cost.MULTIPLY * 32 * 9 * 5 * 6 + cost.PASS * 32 * 6
    assert cost.direct("conv", 2, shape, g) == pytest.approx(products + cost.COPY * 32 * 9 * 5 + 6 * cost.CALL)
    assert cost.direct("conv_input", 2, shape, g) == cost.direct("conv", 2, (3, 3, 6, 5), g)
    assert cost.direct("conv_input", 2, (3, 3, 2, 6), g) == pytest.approx(
        cost.MULTIPLY * 32 * 9 * 2 * 6 + cost.ADD * 32 * 9 * 2 + cost.PASS * 2 * 32 * 2 + (2 * 9 + 6) * cost.CALL)
    strided, phases = _same(4, 3, 2), geometry((2, 2), (2, 2), (1, 1), ((1, 0), (1, 0)))
    assert cost.direct("conv_input", 2, shape, strided) == cost.direct("conv", 2, (2, 2, 6, 4 * 5), phases)
    assert cost.frequencies(2, shape, g) == pytest.approx(
        cost.MULTIPLY_F * 1.5 * 25 * 2 * 30 + cost.TRANSFORM * 25 * 2 * (16 * 5 + 16 * 6)
        + cost.PASS_F * 1.5 * 25 * 2 * 11 + cost.WEIGHT * 1.5 * 25 * 30 * 2 + cost.SETUP)
    assert cost.multiplications(2, shape, g) == pytest.approx(
        37.5 * (30 + 16 * 5 + 16 * 6 + 270 / 2) / (16 * 270))


@pytest.mark.parametrize("rule, n, size, c, o, k, s, faster", [
    ("conv", 64, 7, 128, 256, 5, 1, "frequencies"), ("conv_weight", 16, 7, 128, 256, 5, 1, "frequencies"),
    ("conv_weight", 64, 14, 64, 128, 5, 2, "frequencies"), ("conv_input", 32, 14, 16, 32, 5, 2, "frequencies"),
    ("conv", 16, 14, 64, 128, 5, 2, "direct"), ("conv", 32, 32, 32, 64, 5, 2, "direct"),
    ("conv_input", 128, 28, 1, 64, 5, 2, "direct"), ("conv", 8, 64, 64, 128, 5, 2, "direct")])
def test_the_choice_where_a_way_was_measured_far_ahead(rule, n, size, c, o, k, s, faster, monkeypatch):
    g = _same(size, k, s)
    for parts in (2, 1):
        monkeypatch.setattr(threads, "threads", lambda: parts)
        assert cost.by_frequencies(rule, parts * n, (k, k, c, o), g) == (faster == "frequencies")
    x = np.zeros((n, *(g.out if rule == "conv_input" else g.size), 1), "float32")
    before = kernels.use(faster)
    assert kernels.way(rule, x, (k, k, c, o), g) == ("direct" if np.prod(g.size) > 1024 else faster)
    kernels.use(before)
