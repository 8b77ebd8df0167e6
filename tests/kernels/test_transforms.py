"""Convolution by frequencies, by tiles, and by direct sums in threads, against the reference, on any geometry."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygan import kernels
from tinygan.errors import ConfigError, ShapeError
from tinygan.kernels import cost, direct, filters, phases, threads, tiles, transforms, workspace
from tinygan.kernels.threads import own_threads
from tinygan.ops import conv
from tinygan.ops.windows import geometry

RULES = ("conv", "conv_input", "conv_weight")


def _arrays(g, n, c, o, rng, dtype="float32"):
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype)
    x, W, dy = draw(n, *g.size, c), draw(*g.kernel, c, o), draw(n, *g.out, o)
    return {"conv": (x, W), "conv_input": (dy, W), "conv_weight": (x, dy)}


def _error(rule, arrays, g, module=transforms):
    """Relative to the reference in float64: largest difference over largest value."""
    exact = getattr(conv, rule).formula(*(a.astype("float64") for a in arrays), g)
    return np.abs(getattr(module, rule)(*arrays, g) - exact).max() / np.abs(exact).max()


pads = st.one_of(st.sampled_from(["same", "valid"]), st.tuples(*[st.tuples(*[st.integers(0, 3)] * 2)] * 2))
pair = lambda least, most: st.tuples(*[st.integers(least, most)] * 2)


@given(pair(1, 9), pair(1, 5), pair(1, 3), pads, st.integers(1, 3), st.integers(1, 4), st.integers(1, 4),
       st.sampled_from([1, 300, threads.BLOCK]))
def test_equal_to_the_reference_on_any_geometry(size, kernel, stride, padding, n, c, o, block):
    """Direct sums in blocks of a row of windows, of some rows or samples, and of all of them."""
    try:
        g = geometry(size, kernel, stride, padding)
    except ShapeError:
        return
    with (mock.patch.object(direct, "BLOCK", block), mock.patch.object(direct, "ROWS", min(block, direct.ROWS)),
          mock.patch.object(threads, "BLOCK", block), mock.patch.object(tiles, "TILES", min(block, tiles.TILES)),
          mock.patch.object(phases, "NARROW", 4 if block == 300 else phases.NARROW)):
        phases.adjoint.cache_clear()
        _check_all(g, n, c, o)
    phases.adjoint.cache_clear()


def _check_all(g, n, c, o):
    for rule, arrays in _arrays(g, n, c, o, np.random.default_rng(0)).items():
        exact = getattr(conv, rule).formula(*arrays, g)
        for way in (transforms, direct, *[tiles] * tiles.fits(g)):
            with own_threads():       # in a thread for each core
                got = getattr(way, rule)(*arrays, g)
            assert got.shape == exact.shape and got.dtype == np.float32
            np.testing.assert_allclose(got, exact, rtol=0, atol=2e-5 * max(1, np.abs(exact).max()))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size, stride, c, o", [(7, 1, 128, 256), (14, 2, 64, 128)])
def test_error_at_the_sizes_of_the_dcgan(rule, size, stride, c, o, rng):
    g = geometry((size, size), (5, 5), (stride, stride), "same")
    assert cost.multiplications(16, (5, 5, c, o), g) < cost.SHARE
    assert _error(rule, _arrays(g, 16, c, o, rng)[rule], g) < 5e-6


@pytest.mark.parametrize("size, kernel, stride", [(16, 5, 2), (12, 4, 2), (7, 3, 3), (9, 2, 3), (8, 3, 1)])
def test_the_adjoint_of_direct_sums_to_many_channels(size, kernel, stride, rng):
    """A product for each phase, whose taps stand apart; some phases have none."""
    g = geometry((size, size + 3), (kernel, kernel), (stride, stride), "same")
    for c in (phases.NARROW - 1, phases.NARROW):
        for o in (1, 3, 8):     # o of 3 is read from planes
            assert _error("conv_input", _arrays(g, 3, c, o, rng)["conv_input"], g, direct) < 2e-6


@pytest.mark.parametrize("rule", RULES)
def test_batches_beyond_a_chunk(rule, rng, monkeypatch):
    monkeypatch.setattr(transforms, "CHUNK", 2)
    g = geometry((6, 7), (3, 5), (2, 1), "same")
    assert _error(rule, _arrays(g, 11, 3, 2, rng)[rule], g) < 5e-6


def test_the_choice(rng, monkeypatch):
    """This way serves NumPy's float32 where it pays; not where it is switched off, nor in float64."""
    g = geometry((7, 7), (5, 5), (1, 1), "same")
    x, W = _arrays(g, 16, 64, 64, rng)["conv"]
    called, run = [], transforms._run
    monkeypatch.setattr(transforms, "_run", lambda *args, **options: called.append(args) or run(*args, **options))
    conv.conv(x, W, g)
    assert len(called) == 1
    conv.conv(x.astype("float64"), W.astype("float64"), g)
    conv.conv(x[..., :1], W[:, :, :1], g)      # one channel: nothing to save
    for mode in ("direct", "reference"):
        before = kernels.use(mode)
        conv.conv(x, W, g)
        assert kernels.use(before) == mode and before == "fast" and len(called) == 1
    before = kernels.use("frequencies")
    conv.conv(x[..., :1], W[:, :, :1], g)
    kernels.use(before)
    assert len(called) == 2
    before = kernels.use("tiles")
    assert [kernels.way("conv", x, (k, k, 64, 64), g) for k in (5, 7)
            for g in [geometry((7, 7), (k, k), (1, 1), "same")]] == ["tiles", "direct"]
    kernels.use(before)
    with pytest.raises(ConfigError, match="reference"):
        kernels.use("quick")


@pytest.mark.parametrize("way", [transforms, tiles, direct])
def test_arguments_are_left_alone_and_results_are_fresh(way, rng):
    g = geometry((7, 7), (3, 3), (2, 2), "same")
    for rule, arrays in _arrays(g, 3, 4, 5, rng).items():
        before = [a.copy() for a in arrays]
        first = getattr(way, rule)(*arrays, g)
        kept = first.copy()
        getattr(way, rule)(*(2 * a for a in arrays), g)
        np.testing.assert_array_equal(first, kept)      # no result lives in a buffer that the next call reuses
        for a, b in zip(arrays, before):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_reused_transform_gives_the_same_and_is_made_anew_when_overwritten(stride, rng, monkeypatch):
    """In the orders of both backward passes, and with another map in between that uses the same buffers."""
    g = geometry((7, 7), (3, 3), (stride, stride), "same")
    arrays = _arrays(g, 3, 4, 5, rng)
    (x, W), (dy, _) = arrays["conv"], arrays["conv_input"]
    other = rng.standard_normal(x.shape).astype("float32")
    expected = [getattr(transforms, rule)(*a, g) for rule, a in arrays.items()]
    applied = []
    apply = transforms._Transform.apply
    monkeypatch.setattr(transforms._Transform, "apply", lambda self, *a: applied.append(a[1]) or apply(self, *a))
    with workspace.reusing(dy):
        first, second = transforms.conv_input(dy, W, g), transforms.conv_weight(x, dy, g)
    assert applied == ["y", "x"]
    with workspace.reusing(x):
        third, fourth = transforms.conv(x, W, g), transforms.conv_weight(x, dy, g)
        transforms.conv_weight(other, dy, g)
        fifth = transforms.conv(x, W, g)
    assert applied[2:] == ["x", "y", "x", "y", "x"]
    for got, want in zip((third, first, second, fourth, fifth), [*expected, expected[2], expected[0]]):
        np.testing.assert_array_equal(got, want)


def test_transforms_of_weights_are_kept_until_their_cache_is_cleared(rng, monkeypatch):
    g, made = geometry((7, 7), (5, 5), (1, 1), "same"), []
    theta = rng.standard_normal(5 * 5 * 8 * 8).astype("float32")
    cache, W, x = {}, theta.reshape(5, 5, 8, 8), rng.standard_normal((4, 7, 7, 8)).astype("float32")
    inner = filters._into
    monkeypatch.setattr(filters, "_into", lambda *args: made.append(1) or inner(*args))
    first = transforms.conv(x, W, g)
    with workspace.caching(cache, theta):
        for _ in range(3):
            np.testing.assert_array_equal(transforms.conv(x, W, g), first)
            transforms.conv_input(x, W, g)
        assert len(made) == 2
        theta *= 2
        cache.clear()
        np.testing.assert_allclose(transforms.conv(x, W, g), 2 * first, rtol=1e-6)
        with workspace.caching({}, rng.standard_normal(9)):         # another network's
            transforms.conv(x, 2 * W, g)
        transforms.conv(x, W, g)
        assert len(made) == 4
        mine = W / 2                # not within theta: it may change
        np.testing.assert_array_equal(transforms.conv(x, mine, g), first)
        mine *= 2
        np.testing.assert_allclose(transforms.conv(x, mine, g), 2 * first, rtol=1e-6)
        for i in range(40):         # views that come and go: no more are kept than a few
            transforms.conv(x, theta.reshape(5, 5, 8, 8), g)
        assert len(cache) <= 32
    theta *= 2
    np.testing.assert_allclose(transforms.conv(x, W, g), 4 * first, rtol=1e-6)     # outside, nothing is kept


def test_what_is_reused_inside_invalidates_what_is_reused_outside(rng):
    """Both use one buffer: a convolution whose maps call another's."""
    g, h = (geometry((7, 7), (k, k), (1, 1), "same") for k in (5, 3))
    x, other, dy = (rng.standard_normal((4, 7, 7, 8)).astype("float32") for _ in range(3))
    W = rng.standard_normal((3, 3, 8, 8)).astype("float32")
    alone = transforms.conv_weight(x, dy, g)
    with workspace.reusing(dy):
        transforms.conv_weight(x, dy, g)
        with workspace.reusing(other):
            transforms.conv_input(other, W, h)
        np.testing.assert_array_equal(transforms.conv_weight(x, dy, g), alone)
