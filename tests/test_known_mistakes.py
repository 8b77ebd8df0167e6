"""Mistakes that hand-written GANs have been seen to make; each test here fails for code that makes it."""

import numpy as np
import pytest

from tinygan import GAN, Sequential, gradcheck, losses, models, optim
from tinygan.layers import BatchNorm, Conv2D, Dense, Dropout, LeakyReLU, Softplus, Tanh, UpSampling2D


def test_d_of_fake_overwrites_the_cached_activations_of_real(rng):
    D = Sequential([Dense(3, 4), Tanh(), Dense(4, 1)], 0, "float64")
    real, fake = rng.standard_normal((2, 5, 3))
    logits, cache = D.forward(real)
    D.forward(fake)
    grads = D.zero_grads()
    D.backward(np.ones_like(logits), cache, grads)
    h = np.tanh(real @ D.params["0.W"])   # what backward must have used
    np.testing.assert_allclose(grads["2.W"], h.T @ np.ones((5, 1)), rtol=1e-12)


def test_adam_divides_by_one_minus_beta_to_the_t():
    """With a constant gradient each of Adam's steps has length lr; dividing by 1 − β makes the later ones longer."""
    net = Sequential([Dense(1, 1)], 0, "float64")
    adam, grads, before = optim.Adam(0.01, 0.9, 0.999), net.zero_grads(), net.theta.copy()
    grads.vector[...] = 0.7
    for _ in range(10):
        adam.step(net, grads)
    np.testing.assert_allclose(before - net.theta, 0.1, rtol=1e-6)


def test_the_moments_of_adam_persist_from_step_to_step():
    gan = GAN(*models.points(rng=0, width=0.05), rng=0)
    gan.step(np.ones((4, 2), np.float32))
    first = gan.g_opt.state["m"].copy()
    gan.step(np.ones((4, 2), np.float32))
    assert gan.g_opt.t == gan.d_opt.t == 2 and first.any() and (gan.g_opt.state["m"] != first).any()


def test_backward_of_upsampling_sums_the_blocks():
    layer = UpSampling2D(2)
    _, cache = layer.forward(np.ones((1, 2, 2, 1)))
    dy = np.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(layer.backward(dy, cache)[0, :, :, 0], [[10, 18], [42, 50]])


def test_batch_norm_of_images_runs_over_pixels_too(rng):
    y, _ = BatchNorm(2).forward(rng.standard_normal((3, 4, 4, 2)) * [1, 5] + [2, 3])
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-12)
    assert abs(y.mean(0)).max() > 0.1     # over the batch axis alone every pixel would have mean 0


def test_backward_of_batch_norm_uses_the_statistics_of_its_forward(rng):
    layer, x, dy = BatchNorm(2), rng.standard_normal((6, 2)), rng.standard_normal((6, 2))
    layer.state["var"][...] = 4
    _, cache = layer.forward(x, train=False)
    layer.forward(x)                      # a later training pass must not matter
    np.testing.assert_allclose(layer.backward(dy, cache), dy / np.sqrt(4 + 1e-5), rtol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_stride_is_not_hard_coded(stride, rng):
    x = rng.standard_normal((1, 7, 7, 1))
    layer = Conv2D(1, 1, 1, stride, bias=False)
    layer.params["W"][...] = 1
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, x[:, ::stride, ::stride])
    dx = layer.backward(np.ones_like(y), cache)
    assert dx.sum() == y.size and dx[0, ::stride, ::stride].all()


def test_backward_of_dropout_has_the_mask_and_leaves_dy_alone(rng):
    layer, x, dy = Dropout(0.5), np.ones((4, 50)), rng.standard_normal((4, 50))
    y, cache = layer.forward(x, rng=0)
    before = dy.copy()
    np.testing.assert_array_equal(layer.backward(dy, cache), dy * y)
    np.testing.assert_array_equal(dy, before)


def test_log_of_sigmoid_does_not_overflow():
    for name in ("minimax", "non_saturating", "relativistic"):
        l = np.array([[-1e4], [1e4], [-90.0]], np.float32)
        for value in [*losses.get(name).d_loss(l, -l), *losses.get(name).g_loss(l, -l)]:
            assert np.isfinite(value).all()
    loss, d = losses.get("non_saturating").g_loss(np.array([[-1e4]], np.float32))
    assert loss == 1e4 and d == -1        # full gradient where the generator is worst


def test_second_order_is_exact_for_more_than_relu(rng):
    net = Sequential([Dense(3, 4), Softplus(), Dense(4, 4), BatchNorm(4), Tanh(), Dense(4, 1)], 0, "float64")
    report = gradcheck.check_second_order(net, rng.standard_normal((6, 3))).raise_if_wrong()
    assert report["second d0.W"] <= 1e-8
    net.layers[1].d2 = None               # as if Softplus were a ReLU
    _, cache = net.forward(x := rng.standard_normal((6, 3)))
    _, tcache = net.jvp(x, cache)
    full, grads = net.zero_grads(), net.zero_grads()
    net.jvp_backward(np.zeros((6, 1)), np.ones((6, 1)), cache, tcache, grads)
    del net.layers[1].d2
    net.jvp_backward(np.zeros((6, 1)), np.ones((6, 1)), cache, tcache, full)
    assert abs(full["0.W"] - grads["0.W"]).max() > 1e-3   # the test above does see it


def test_the_generator_gets_a_gradient():
    gan = GAN(*models.dcgan(rng=0, width=0.05), g_opt=optim.SGD(1.0), rng=0)
    before = {name: array.copy() for name, array in gan.G.params.items()}
    gan.step(np.zeros((4, 28, 28, 1), np.float32))
    assert all((gan.G.params[name] != before[name]).any() for name in before)


def test_noise_is_not_drawn_again_from_a_reseeded_generator():
    gan = GAN(*models.points(rng=0, width=0.05), rng=0)
    draws = [gan.noise(5).tobytes() for _ in range(10)] + [gan.sample(5).tobytes() for _ in range(10)]
    assert len(set(draws)) == 20


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_dtype_is_forced(dtype):
    G, D = models.dcgan(rng=0, width=0.05, dtype=dtype)
    gan = GAN(G, D, rng=0)
    gan.step(np.zeros((4, 28, 28, 1), dtype))
    assert gan.sample(2).dtype == G.theta.dtype == D.theta.dtype == gan.d_opt.state["v"].dtype == dtype


def test_all_ones_cotangents_would_hide_errors(rng):
    """Under dy = 1 the input gradient of BatchNorm is 0 whatever the rule; the checker must not use it."""
    layer, x = BatchNorm(3), rng.standard_normal((8, 3))
    _, cache = layer.forward(x)
    assert abs(layer.backward(np.ones((8, 3)), cache)).max() < 1e-12
    layer.backward = lambda dy, cache, grads=None: 0 * dy
    layer.copy = lambda convert=None: layer
    assert not gradcheck.check_backward(layer, x).ok


def test_a_leaky_slope_is_used_forward_and_backward():
    layer = LeakyReLU(0.3)
    y, cache = layer.forward(x := np.array([[-2.0, 3.0]]))
    np.testing.assert_allclose(y, [[-0.6, 3]])
    np.testing.assert_allclose(layer.backward(np.ones_like(x), cache), [[0.3, 1]])
