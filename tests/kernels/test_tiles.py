"""Convolution by tiles: the decomposition of the trilinear form, its rounding error, blocks.

On any geometry it is tested beside the other ways in test_transforms.py.
"""

import numpy as np
import pytest

from tinygan.kernels import tiles
from tinygan.ops import conv
from tinygan.ops.windows import geometry

RULES = ("conv", "conv_input", "conv_weight")


def _error(rule, g, rng, n=3, c=48, o=32):
    """Relative to the reference in float64: largest difference over largest value."""
    draw = lambda *shape: rng.standard_normal(shape).astype("float32")
    x, W, dy = draw(n, *g.size, c), draw(*g.kernel, c, o), draw(n, *g.out, o)
    arrays = {"conv": (x, W), "conv_input": (dy, W), "conv_weight": (x, dy)}[rule]
    exact = getattr(conv, rule).formula(*(a.astype("float64") for a in arrays), g)
    return np.abs(getattr(tiles, rule)(*arrays, g) - exact).max() / np.abs(exact).max()


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_the_decomposition_is_the_trilinear_form(k, rng):
    """Σ dy_i w_u x_{i+u} = Σ_r (A dy)_r (B x)_r (C w)_r of one axis, in float64, with six products."""
    m = tiles.SIDE + 1 - k
    A, B, C = tiles._values(m), np.linalg.inv(tiles._values(tiles.SIDE)).T, tiles._values(k)
    dy, w, x = rng.standard_normal(m), rng.standard_normal(k), rng.standard_normal(tiles.SIDE)
    direct = sum(dy[i] * w[u] * x[i + u] for i in range(m) for u in range(k))
    assert len(A) == len(B) == len(C) == 6
    assert ((A @ dy) * (B @ x) * (C @ w)).sum() == pytest.approx(direct, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size, kernel, stride", [(32, 5, 2), (16, 4, 2), (16, 3, 1), (14, 5, 1), (15, 2, 1)])
def test_error(rule, size, kernel, stride, rng, monkeypatch):
    """With windows beyond the border where the size is no multiple of a tile; in blocks of samples, and of rows."""
    g = geometry((size, size + 3), (kernel, kernel), (stride, stride), "same")
    assert _error(rule, g, rng) < 5e-6
    monkeypatch.setattr(tiles, "TILES", 3)
    assert _error(rule, g, rng) < 5e-6


def test_the_customary_points_round_worse(rng, monkeypatch):
    g = geometry((16, 16), (3, 3), (1, 1), "same")
    ours = _error("conv", g, np.random.default_rng(0))
    monkeypatch.setattr(tiles, "POINTS", (0, 1, -1, 2, -2))
    tiles._plan.cache_clear()
    try:
        assert 1.5 * ours < _error("conv", g, np.random.default_rng(0)) < 1e-4
    finally:
        tiles._plan.cache_clear()


@pytest.mark.parametrize("kernel, stride, step, grid", [
    ((3, 3), (1, 1), (4, 4), (4, 5)), ((5, 4), (2, 2), (4, 4), (2, 3)), ((5, 2), (1, 1), (2, 5), (8, 4))])
def test_how_a_map_is_cut(kernel, stride, step, grid):
    g = geometry((16, 18), kernel, stride, "same")
    assert tiles.fits(g) and tiles.tiling(g) == (step, grid)
    assert not tiles.fits(geometry((16, 16), (6, 3), (1, 1), "same"))


def test_blocks_cover_all_tiles(monkeypatch):
    g = geometry((16, 16), (3, 3), (1, 1), "same")      # 4×4 tiles
    for most, blocks in (128, 1), (32, 3), (16, 5), (9, 10), (1, 20):
        monkeypatch.setattr(tiles, "TILES", most)
        assert tiles.blocks_of(5, g) == blocks
        found = [(s.start, s.stop, r.start, r.stop) for s, r, _ in
                 tiles._blocks(np.zeros((5, 16, 16, 2), "float32"), g, tiles._plan(g))]
        assert len(found) == blocks
        assert sorted((i, j) for a, b, c, d in found for i in range(a, b) for j in range(c, d)) == [
            (i, j) for i in range(5) for j in range(4)]
