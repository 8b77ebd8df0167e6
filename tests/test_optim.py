"""Optimisers against a scalar loop and against PyTorch; schedules at their corners."""

import math

import numpy as np
import pytest

from tinygan import Sequential, models, optim
from tinygan.errors import ConfigError, ShapeError
from tinygan.layers import Dense


def net(dtype="float64", n=3):
    return Sequential([Dense(n, 2)], 0, dtype)


def walk(network, optimiser, steps=20, seed=1):
    """Some steps with random gradients of very different sizes."""
    rng, grads = np.random.default_rng(seed), network.zero_grads()
    for _ in range(steps):
        grads.vector[...] = rng.standard_normal(grads.vector.size) * 10.0**rng.integers(-4, 2, grads.vector.size)
        optimiser.step(network, grads)
    return network.theta


def test_adam_is_algorithm_1_in_scalars():
    network = net()
    theta, rng = network.theta.copy(), np.random.default_rng(1)
    walk(network, optim.Adam(3e-3, 0.5, 0.999, 1e-8))
    m, v = [0.0] * 8, [0.0] * 8
    for t in range(1, 21):
        g = rng.standard_normal(8) * 10.0**rng.integers(-4, 2, 8)
        for i in range(8):
            m[i] = 0.5 * m[i] + 0.5 * g[i]
            v[i] = 0.999 * v[i] + 0.001 * g[i]**2
            theta[i] -= 3e-3 * (m[i] / (1 - 0.5**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(network.theta, theta, rtol=1e-13)


def test_the_first_step_of_adam_has_length_lr_whatever_the_gradient():
    """Dividing by 1 − β instead of 1 − βᵗ passes this; the test above is the one that catches it at t = 2."""
    for size in (1e-3, 1.0, 1e3):
        network = net()
        before, grads = network.theta.copy(), network.zero_grads()
        grads.vector[...] = size
        optim.Adam(0.01).step(network, grads)
        np.testing.assert_allclose(before - network.theta, 0.01, rtol=1e-4)


def test_moments_persist():
    once, anew = net(), net()
    walk(once, optim.Adam(0.01), 5)
    rng = np.random.default_rng(1)
    for _ in range(5):
        grads = anew.zero_grads()
        grads.vector[...] = rng.standard_normal(8) * 10.0**rng.integers(-4, 2, 8)
        optim.Adam(0.01).step(anew, grads)     # an optimiser a step: the mistake
    assert abs(once.theta - anew.theta).max() > 1e-3


@pytest.mark.parametrize("ours, name, options", [
    (lambda: optim.Adam(3e-3, 0.5, 0.9, 1e-8), "Adam", {"lr": 3e-3, "betas": (0.5, 0.9)}),
    (lambda: optim.Adam(3e-3, weight_decay=0.1), "Adam", {"lr": 3e-3, "betas": (0.5, 0.999), "weight_decay": 0.1}),
    (lambda: optim.SGD(3e-3, 0.9, 0.1), "SGD", {"lr": 3e-3, "momentum": 0.9, "weight_decay": 0.1}),
    (lambda: optim.SGD(3e-3), "SGD", {"lr": 3e-3}),
    (lambda: optim.RMSprop(3e-3, 0.9, 1e-6), "RMSprop", {"lr": 3e-3, "alpha": 0.9, "eps": 1e-6})])
def test_against_torch(ours, name, options):
    torch = pytest.importorskip("torch")
    network = net()
    theta = torch.nn.Parameter(torch.tensor(network.theta))
    theirs, rng = getattr(torch.optim, name)([theta], **options), np.random.default_rng(1)
    for _ in range(20):
        theta.grad = torch.tensor(rng.standard_normal(8) * 10.0**rng.integers(-4, 2, 8))
        theirs.step()
    np.testing.assert_allclose(walk(network, ours()), theta.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", [optim.Adam, optim.RMSprop, optim.SGD, lambda lr: optim.SGD(lr, 0.9, 0.1)])
def test_float32_stays_and_grads_are_left_alone(make):
    network, optimiser = net("float32"), make(1e-3)
    grads = network.zero_grads()
    grads.vector[...] = 1
    optimiser.step(network, grads)
    assert network.theta.dtype == np.float32 and all(a.dtype == np.float32 for a in optimiser.state.values())
    assert (grads.vector == 1).all() and optimiser.t == 1


def test_weight_decay_is_the_gradient_of_l2():
    network = net()
    before = network.theta.copy()
    optim.SGD(0.1, weight_decay=0.5).step(network, network.zero_grads())
    np.testing.assert_allclose(network.theta, before * (1 - 0.1 * 0.5), rtol=1e-14)


def test_a_plain_dict_of_gradients():
    a, b = net(), net()
    grads = {name: np.full_like(array, 0.3) for name, array in a.params.items()}
    optim.Adam().step(a, grads)
    flat = b.zero_grads()
    flat.vector[...] = 0.3
    optim.Adam().step(b, flat)
    assert (a.theta == b.theta).all()


def test_schedules():
    assert [optim.constant(0.1)(t) for t in (0, 9)] == [0.1, 0.1]
    step = optim.step_decay(1.0, every=10, factor=0.5)
    assert [step(t) for t in (0, 9, 10, 25)] == [1, 1, 0.5, 0.25]
    assert optim.exponential(1.0, every=10)(5) == pytest.approx(0.1**0.5)
    cosine = optim.cosine(1.0, 100, end=0.2)
    assert [cosine(t) for t in (0, 50, 100, 200)] == pytest.approx([1, 0.6, 0.2, 0.2])
    for name in optim.schedules:
        values = [optim.schedule(name, 0.3, 30)(t) for t in range(31)]
        assert values[0] == 0.3 and all(b <= a for a, b in zip(values, values[1:]))
    network = net()
    before, grads = network.theta.copy(), network.zero_grads()
    grads.vector[...] = 1
    sgd = optim.SGD(optim.step_decay(1.0, every=1, factor=0.5))
    for _ in range(3):
        sgd.step(network, grads)
    np.testing.assert_allclose(before - network.theta, 1 + 0.5 + 0.25)


def test_anneal():
    geometric, linear = optim.anneal(1.0, 0.01, 100, share=0.5), optim.anneal(0.5, 0.0, 10)
    assert [geometric(t) for t in (0, 25, 50, 99)] == pytest.approx([1, 0.1, 0.01, 0.01])
    assert [linear(t) for t in (0, 5, 10, 20)] == pytest.approx([0.5, 0.25, 0, 0])
    with pytest.raises(ConfigError, match="numbers ≥ 0"):
        optim.anneal(-1, 1, 10)


def test_errors():
    adam = optim.Adam()
    adam.step(net(), net().zero_grads())
    with pytest.raises(ConfigError, match="one optimiser for each network"):
        adam.step(net(n=5), net(n=5).zero_grads())
    for bad, words in [(lambda: optim.Adam(0), "learning rate above 0, got 0"), (lambda: optim.Adam(beta1=1), "beta1"),
                       (lambda: optim.SGD(momentum=-0.1), "momentum"), (lambda: optim.Adam(weight_decay=-1), "got -1"),
                       (lambda: optim.schedule("warp", 1, 1), "unknown learning-rate schedule 'warp'")]:
        with pytest.raises(ConfigError, match=words):
            bad()


def test_gradients_of_another_network_are_refused():
    G, D = models.mlp(rng=0, width=0.05)
    for bad in (G.zero_grads(), {}, None, {name: g.reshape(-1) for name, g in D.zero_grads().items()},
                {**D.zero_grads(), "9.W": 1}):
        with pytest.raises(ShapeError, match="begin with net.zero_grads"):
            optim.Adam().step(D, bad)


def test_schedules_by_name():
    for steps, drops in ((30, (10, 20)), (100, (34, 68)), (5, (2, 4))):       # thirds, the last a little shorter
        at = optim.schedule("step", 1.0, steps)
        found = [at(t) for t in (drops[0] - 1, drops[0], drops[1] - 1, drops[1], steps - 1)]
        np.testing.assert_allclose(found, [1, 0.1, 0.1, 0.01, 0.01])
    np.testing.assert_allclose([optim.schedule("exponential", 1.0, 30)(t) for t in (15, 30)], [0.1**0.5, 0.1])
    np.testing.assert_allclose([optim.schedule("cosine", 1.0, 30)(t) for t in (10, 30)], [0.75, 0], atol=1e-15)
    assert optim.step_decay(1.0, 2)(2) == 0.1 and optim.RMSprop().rho == 0.9


def test_an_average_step_by_step():
    net = Sequential([Dense(2, 1)], 0, "float64")
    net.theta = 0.0
    average, expected = optim.Average(net, 0.25), 0.0
    net.theta = 1.0
    for t in range(1, 6):
        average.update(net)
        d = min(0.25, (1 + t) / (10 + t))
        expected = d * expected + 1 - d
        np.testing.assert_allclose(average.net.theta, expected, rtol=1e-13)
