"""The model that chooses the way of a convolution: its terms by hand, and its choice where one way was far ahead."""

from pathlib import Path

import numpy as np
import pytest

from tinygan import kernels
from tinygan.kernels import cost, threads
from tinygan.ops.windows import geometry


def _same(size, k, s):
    return geometry((size, size), (k, k), (s, s), "same")


def _sum(kind, *terms):
    return pytest.approx(np.dot(cost.RATES["AVX2"][kind], terms))


@pytest.fixture(autouse=True)
def avx2(monkeypatch):
    """The rates of one kind of processor, whatever this one is."""
    monkeypatch.setattr(cost, "_rates", lambda: cost.RATES["AVX2"])
    _forget()
    yield
    _forget()


def _forget():
    cost._fastest.cache_clear()
    cost.direct.cache_clear()


def test_terms_of_direct_sums():
    """2 samples, 3×3 kernel on 4×4, 5 → 6 channels: 32 positions, 9 taps; of stride 2, each phase its own taps."""
    g, shape = _same(4, 3, 1), (3, 3, 5, 6)
    assert cost.direct("conv", 2, shape, g) == _sum("direct", 32 * 9 * 30, 32 * 9 * 5, 32 * 6, 6)
    assert cost.direct("conv_input", 2, shape, g) == cost.direct("conv", 2, (3, 3, 6, 5), g)
    assert cost.direct("conv_input", 2, (3, 3, 2, 6), g) == _sum(    # 6×6 places of a padded plane
        "planes", 72 * 9 * 12, 72 * 9 * 2, 72 * 6 + 4 * 16 * 2, 2 * 9 + 6)
    strided = _same(4, 3, 2)        # row phases of 1 and 2 taps; the columns are 2 taps for both phases, or 1 and 2
    assert cost.direct("conv_input", 2, shape, strided) == _sum("direct", 8 * 3 * 2 * 2 * 30, 8 * 4 * 6, 8 * 4 * 5, 6)
    assert cost.direct("conv_input", 2, (3, 3, 64, 6), strided) == _sum(
        "direct", 8 * 9 * 64 * 6, 8 * 6 * 6, 8 * 4 * 64, 6)


def test_terms_of_transforms():
    """A cycle of 5 points a side; a tile of 4×4 windows. Tiles add to their pixels in conv_input."""
    g, shape = _same(4, 3, 1), (3, 3, 5, 6)
    for rule, weights in ("conv", 0.6), ("conv_weight", 1):
        assert cost.frequencies(rule, 2, shape, g) == _sum(
            "frequencies", 37.5 * 2 * 30, 25 * 2 * (16 * 5 + 16 * 6), 37.5 * 2 * 11, 37.5 * 30 * weights, 1)
    for rule, adds, weights in ("conv", 1, 0.6), ("conv_input", 2, 0.6), ("conv_weight", 1, 1):
        assert cost.tiles(rule, 2, shape, g) == _sum(
            "tiles", 72 * 30, 72 * 5 * adds, 72 * adds, (36 + 16) * 2 * 6, 36 * 30 * weights, 1)
    assert cost.tiles("conv_weight", 300, (3, 3, 1, 1), _same(4, 3, 1)) == _sum(
        "tiles", 36 * 300, 36 * 300, 36 * 300, 52 * 300, 36 * 3, 3)     # blocks of 128 tiles
    assert cost.tiles("conv", 2, (7, 7, 5, 6), _same(9, 7, 1)) == cost.tiles("conv_input", 2, (3, 3, 3, 6), g) == np.inf
    assert cost.frequencies("conv", 2, shape, _same(17, 3, 1)) == np.inf
    assert cost.multiplications(2, shape, g) == pytest.approx(
        37.5 * (30 + 16 * 5 + 16 * 6 + 270 / 2) / (16 * 270))


@pytest.mark.parametrize("rule, n, size, c, o, k, s, faster", [
    ("conv", 64, 7, 128, 256, 5, 1, "frequencies"), ("conv_weight", 16, 7, 128, 256, 5, 1, "frequencies"),
    ("conv_weight", 64, 14, 64, 128, 5, 2, "frequencies"), ("conv_input", 128, 28, 1, 64, 5, 2, "direct"),
    ("conv_input", 16, 64, 3, 32, 5, 2, "direct"), ("conv", 16, 32, 64, 128, 5, 2, "tiles"),
    ("conv_input", 16, 32, 64, 128, 5, 2, "tiles"), ("conv_weight", 16, 32, 64, 128, 5, 2, "tiles"),
    ("conv", 16, 16, 64, 64, 3, 1, "tiles")])
def test_the_choice_where_a_way_was_measured_far_ahead(rule, n, size, c, o, k, s, faster, monkeypatch):
    g = _same(size, k, s)
    for parts in (2, 1):
        monkeypatch.setattr(threads, "threads", lambda: parts)
        assert cost.fastest(rule, parts * n, (k, k, c, o), g) == faster
    x = np.zeros((n, *(g.out if rule == "conv_input" else g.size), 1), "float32")
    before = kernels.use(faster)
    assert kernels.way(rule, x, (k, k, c, o), g) == faster
    kernels.use(before)


def test_where_products_are_faster_fewer_of_them_pay_less(monkeypatch):
    """OpenBLAS's kernels for AVX-512 take half the time; what only moves memory does not."""
    g, shape = _same(32, 5, 2), (5, 5, 16, 32)
    assert cost.fastest("conv", 16, shape, g) == "tiles"
    monkeypatch.setattr(cost, "_rates", lambda: cost.RATES["AVX-512"])
    _forget()
    assert cost.fastest("conv", 16, shape, g) == "direct"


@pytest.mark.parametrize("core, rates", [
    ("SkylakeX", "AVX-512"), ("Cooperlake", "AVX-512"), ("SapphireRapids", "AVX-512"), ("Haswell", "AVX2"),
    ("Zen", "AVX2"), (None, "AVX2")])
def test_the_rates_follow_from_the_kernels_of_openblas(core, rates, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(threads, "core", lambda: core)
    assert cost._rates.__wrapped__() is cost.RATES[rates]


@pytest.mark.skipif(threads.core() is None, reason="NumPy's OpenBLAS is not found")
def test_the_names_are_those_of_openblas():
    """Spelled as in the library, where it has kernels for AVX-512 at all."""
    home = Path(np.__file__).parent
    paths = [*home.parent.glob("numpy.libs/*openblas*"), *home.glob(".dylibs/*openblas*")]
    text = b"".join(path.read_bytes() for path in paths)
    if b"SkylakeX" in text:
        assert all(name.encode() + b"\0" in text for name in cost.WITH_AVX512)
