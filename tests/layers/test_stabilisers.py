"""Layers against instability and collapse: what each is for, beyond its gradients (which test_gradcheck checks)."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck
from tinygan.errors import ConfigError, ShapeError
from tinygan.layers import Augment, Conv2D, Dense, Fourier, MinibatchStd, Pack, SpectralNorm, Tanh
from tinygan.run import checkpoint


@pytest.mark.parametrize("layer, shape", [(Dense(6, 4), (5, 6)), (Conv2D(3, 4, 3, 2), (2, 6, 6, 3))])
def test_spectral_norm_makes_the_largest_singular_value_1(layer, shape, rng):
    W = layer.params["W"]
    W[...] = rng.standard_normal(W.shape)
    before = W.copy()
    x = rng.standard_normal(shape)
    expected, _ = layer.copy().forward(x)
    normed = SpectralNorm(layer)
    assert (normed.params["W"] == before).all()                    # what the layer had is kept
    for _ in range(300):
        y, _ = normed.forward(x)
    sigma = np.linalg.svd(before.reshape(-1, 4), compute_uv=False)[0]
    np.testing.assert_allclose(y, expected / sigma, rtol=1e-6, atol=1e-9)   # b = 0
    u = normed.state["u"].copy()
    normed.forward(x, train=False)
    assert (normed.state["u"] == u).all() and abs(np.linalg.norm(u) - 1) < 1e-9


def test_spectral_norm_has_the_rank_one_term():
    layer, x = SpectralNorm(Dense(4, 3)), np.random.default_rng(0).standard_normal((5, 4))
    gradcheck.check_layer(layer, x, train=False).raise_if_wrong()
    layer.wgrad = lambda x, dy, ctx: layer.inner.wgrad(x, dy, ctx[0]) / ctx[1]    # without −(λ/σ)v uᵀ
    layer.copy = lambda convert=None: layer
    report = gradcheck.check_layer(layer, x, train=False)
    assert {str(text).split("[")[0] for text in report.failures} == {"dW", "second dW"}


def test_the_state_of_spectral_norm_is_saved_and_resumed(tmp_path, rng):
    build = lambda seed: Sequential([SpectralNorm(Dense(4, 3)), Tanh(), SpectralNorm(Dense(3, 1))], seed)
    net, other, x = build(0), build(1), rng.standard_normal((5, 4)).astype("float32")
    for _ in range(3):
        net.forward(x)
    checkpoint.save(tmp_path / "w.npz", D=net)
    checkpoint.load(tmp_path / "w.npz", D=other)
    assert {"0.u", "0.v", "2.u", "2.v"} == set(net.state)
    for _ in range(3):
        np.testing.assert_array_equal(net.forward(x)[0], other.forward(x)[0])
    assert np.shares_memory(net.layers[0].inner.params["W"], net.theta)
    with pytest.raises(ConfigError, match="a layer with a weight W"):
        SpectralNorm(Tanh())


def test_pack_lays_samples_side_by_side(rng):
    x = rng.standard_normal((6, 2, 3, 2))
    y, cache = Pack(3).forward(x)
    assert y.shape == (2, 2, 3, 6)
    np.testing.assert_array_equal(y[0], np.concatenate([x[0], x[1], x[2]], axis=-1))
    np.testing.assert_array_equal(Pack(3).backward(y, cache), x)
    np.testing.assert_array_equal(Pack(2).forward(x[:, 0, 0])[0][2], np.concatenate([x[4, 0, 0], x[5, 0, 0]]))
    with pytest.raises(ShapeError, match="a multiple of 4, got 6"):
        Pack(4).forward(x)
    with pytest.raises(ConfigError, match="at least 1 sample"):
        Pack(0)


def test_minibatch_std_sees_collapse(rng):
    x = rng.standard_normal((64, 3, 3, 2))
    y, _ = MinibatchStd().forward(x)
    np.testing.assert_array_equal(y[..., :2], x)
    np.testing.assert_allclose(y[..., 2], x.std(0).mean(), rtol=1e-6)
    y, cache = MinibatchStd().forward(np.ones((4, 2)))
    assert abs(y[:, 2]).max() < 1e-3 and np.isfinite(MinibatchStd().backward(y, cache)).all()


def test_augment_moves_cuts_and_brightens(rng):
    for size, far in ((28, 3), (16, 2)):
        x = np.full((600, size, size, 1), -1.0)
        x[:, 8, 8] = 1.0
        moved, _ = Augment("translation").forward(x, rng=0)
        at = np.argwhere(moved[..., 0] == 1)
        everywhere = {(i, j) for i in range(-far, far + 1) for j in range(-far, far + 1)}
        assert len(at) == 600 and {tuple(p) for p in at[:, 1:] - 8} == everywhere
    assert (np.sort(np.unique(moved)) == [-1, 1]).all()                   # what comes into view is background
    cut, _ = Augment("cutout").forward(np.ones_like(x), rng=0)
    share = (cut == -1).mean((1, 2, 3))
    assert share.max() == 0.25 and share.min() < 0.25 and set(np.unique(cut)) == {-1.0, 1.0}
    light, _ = Augment("brightness").forward(x, rng=0)
    change = (light - x)[:, 0, 0, 0]
    np.testing.assert_allclose(light - x, change[:, None, None, None] * np.ones_like(x), atol=1e-12)
    assert -0.5 <= change.min() < -0.4 and 0.4 < change.max() <= 0.5
    assert Augment().forward(x, train=False)[0] is x
    with pytest.raises(ConfigError, match="expected augmentations among translation, cutout, brightness, got 'flip'"):
        Augment("flip")


def test_kinds_of_augmentation_together():
    """What is cut out is not lit."""
    x = np.zeros((200, 8, 8, 1))
    y, (_, (_, mask, light)) = Augment().forward(x, rng=0)
    cut = np.broadcast_to(mask == 0, x.shape)
    assert cut.any()
    np.testing.assert_allclose(y[cut], np.broadcast_to(-1 + light, x.shape)[cut])


@pytest.mark.parametrize("size", [8, 10, 16, 28])
def test_cutout_hides_all_borders_alike(size):
    """The source draws the middle of the square from 0 … size, or size − 1 if its side is odd."""
    _, (_, (_, mask, _)) = Augment("cutout").forward(np.zeros((20_000, size, size, 1)), rng=0)
    hidden = (mask == 0).any(2)[..., 0].mean(0)
    assert abs(hidden[0] - hidden[-1]) < 0.015
    assert (mask == 0).sum((1, 2, 3)).min() == (size // 2 - size // 4)**2       # what a corner hides


def test_light_is_between_a_half_and_minus_a_half():
    _, (_, (_, _, light)) = Augment("brightness").forward(np.zeros((2000, 2, 2, 1)), rng=0)
    assert 0.499 < light.max() <= 0.5 and -0.5 <= light.min() < -0.499


def test_one_power_iteration_a_pass_after_some_at_the_start():
    layer = SpectralNorm(Dense(30, 20))
    ratios = []
    for seed in range(5):
        layer.reset(seed)
        sigma = layer.state["v"] @ layer.params["W"] @ layer.state["u"]
        ratios.append(sigma / np.linalg.svd(layer.params["W"])[1][0])
    assert np.mean(ratios) > 0.96
    W, u = layer.params["W"], layer.state["u"].copy()
    layer.forward(np.ones((1, 30)))
    v = W @ u / np.linalg.norm(W @ u)
    np.testing.assert_allclose(layer.state["v"], v, rtol=1e-10)
    np.testing.assert_allclose(layer.state["u"], W.T @ v / np.linalg.norm(W.T @ v), rtol=1e-10)


def test_frequencies():
    x = np.random.default_rng(0).standard_normal((4, 2))
    waves = [f(np.pi * k * x) for k in (1, 2) for f in (np.sin, np.cos)]
    np.testing.assert_allclose(Fourier(2).forward(x)[0], np.concatenate([x, *waves], 1), atol=1e-12)


def test_a_weight_of_zeros_stays_and_can_grow():
    """W̄ = W = 0, finite gradients, and the singular vectors follow as soon as W is not 0."""
    layer = SpectralNorm(Dense(3, 2))
    layer.params["W"][...] = 0
    y, cache = layer.forward(np.ones((4, 3)))
    grads = layer.zero_grads()
    dx = layer.backward(np.ones((4, 2)), cache, grads)
    assert not y.any() and not dx.any() and (grads["W"] == 4).all() and np.isfinite(layer.state["u"]).all()
    layer.params["W"][...] = [[3, 0], [0, 2], [0, 0]]
    for _ in range(50):
        y, _ = layer.forward(np.eye(3))
    np.testing.assert_allclose(y, [[1, 0], [0, 2 / 3], [0, 0]], atol=1e-8)
