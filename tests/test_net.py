"""Sequential: one vector, explicit caches, and the border."""

import copy

import numpy as np
import pytest

from tinygan import Sequential, backend, models
from tinygan.errors import BackendError, ConfigError, DtypeError, ShapeError
from tinygan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, LeakyReLU, Tanh


def small(rng=0, **options):
    return Sequential([Dense(4, 3), BatchNorm(3), LeakyReLU(), Dense(3, 2), Tanh()], rng, **options)


def test_names_and_the_one_vector():
    net = small()
    assert list(net.params) == ["0.W", "0.b", "1.gamma", "1.beta", "3.W", "3.b"] == list(net.zero_grads())
    assert net.theta.shape == (4 * 3 + 3 + 3 + 3 + 3 * 2 + 2,) and net.theta.dtype == np.float32
    for name, array in net.params.items():
        assert np.shares_memory(array, net.theta) and array.dtype == np.float32
        index, key = name.split(".")
        assert np.shares_memory(array, net.layers[int(index)].params[key])
    net.theta[...] = np.arange(net.theta.size)
    np.testing.assert_array_equal(net.layers[0].params["W"], np.arange(12).reshape(4, 3))
    net.params["3.b"] = np.array([7, 8])
    np.testing.assert_array_equal(net.theta[-2:], [7, 8])
    vector = net.theta
    net.theta = np.zeros(vector.size)
    assert net.theta is vector and not vector.any()


def test_seeds():
    assert (small(3).theta == small(3).theta).all() and (small(3).theta != small(4).theta).any()
    layer = Dense(4, 3)
    layer.params["W"][...] = 0.5
    assert (Sequential([layer]).params["0.W"] == 0.5).all()      # rng None keeps what is there
    assert (Dense(4, 3).params["W"] != Dense(4, 3).params["W"]).any()


def test_nesting():
    G, D = small(), Sequential([Dense(2, 1)], 1)
    before = G.theta.copy()
    both = Sequential([G, D])
    assert list(both.params)[-2:] == ["1.0.W", "1.0.b"] and both.params["0.3.W"] is not None
    assert np.shares_memory(G.theta, both.theta) and (G.theta == before).all()
    both.theta[...] = 2
    assert (G.theta == 2).all() and (D.layers[0].params["W"] == 2).all() and (G.layers[3].params["b"] == 2).all()
    assert list(both.state) == ["0.1.mean", "0.1.var"]


def test_a_layer_belongs_to_one_network():
    net = small()
    with pytest.raises(ConfigError, match="already part of a network.*copy.deepcopy"):
        Sequential(net.layers)
    layer = Dense(2, 2)
    with pytest.raises(ConfigError, match="already part"):
        Sequential([layer, layer])
    assert Sequential([copy.deepcopy(net.layers[0])]).theta.size == 15
    with pytest.raises(ConfigError, match="expected layers, got 'relu' at place 0"):
        Sequential(["relu"])


@pytest.mark.parametrize("duplicate", [lambda n: n.copy(), copy.deepcopy, lambda n: n.to("numpy"),
                                       lambda n: n.astype("float32"), lambda n: n.astype("float64")])
def test_copies_are_independent(duplicate):
    net = small()
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    new = duplicate(net)
    y, _ = net.forward(x)
    np.testing.assert_allclose(new.forward(x.astype(new.theta.dtype))[0], y, rtol=1e-5, atol=1e-6)
    theta, state = net.theta.copy(), net.state["1.mean"].copy()
    new.theta[...] = 0
    new.forward(x.astype(new.theta.dtype))
    assert (net.theta == theta).all() and (net.state["1.mean"] == state).all()
    assert np.shares_memory(new.params["0.W"], new.theta) and np.shares_memory(new.layers[0].params["W"], new.theta)
    assert new.state["1.mean"].dtype == new.theta.dtype


def test_other_backends(xb):
    net = small().to(xb)
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    assert backend.name_of(net.theta) == backend.name_of(net.state["1.var"]) == xb
    y, _ = net.forward(backend.to(x, xb))
    np.testing.assert_allclose(backend.asnumpy(y), small().forward(x)[0], rtol=1e-5, atol=1e-6)
    assert (backend.asnumpy(small(backend=xb).theta) == small().theta).all()   # the same bits from the same seed
    if xb != "numpy":
        with pytest.raises(BackendError, match=rf"lives on '{xb}', x on 'numpy'; use backend.to\(x, '{xb}'\)"):
            net.forward(x)


def test_two_passes_coexist():
    """D(fake) between D(real) and its backward pass changes nothing."""
    D = Sequential([Dense(4, 8), BatchNorm(8), LeakyReLU(), Dropout(0.5), Dense(8, 1)], 0, dtype="float64")
    rng = np.random.default_rng(0)
    real, fake, dy = rng.standard_normal((6, 4)), rng.standard_normal((6, 4)), rng.standard_normal((6, 1))
    _, cache = D.forward(real, rng=np.random.default_rng(1))
    alone, grads = D.backward(dy, cache, g := D.zero_grads()), g.vector.copy()
    _, cache = D.forward(real, rng=np.random.default_rng(1))
    D.forward(fake)
    both = D.backward(dy, cache, g := D.zero_grads())
    assert (alone == both).all() and (grads == g.vector).all()


def test_grads_are_added_into_any_mapping():
    net = small(dtype="float64")
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((5, 4)), rng.standard_normal((5, 2))
    _, cache = net.forward(x)
    grads, plain = net.zero_grads(), {name: np.ones_like(array) for name, array in net.params.items()}
    dx = net.backward(dy, cache, grads)
    assert (net.backward(dy, cache, plain) == dx).all() and (net.backward(dy, cache) == dx).all()
    for name in grads:
        np.testing.assert_allclose(plain[name] - 1, grads[name], rtol=1e-12, atol=1e-12)


def test_errors_at_the_border():
    net = Sequential([Flatten(), Dense(9, 2)], 0)
    x = np.ones((2, 3, 3, 1), np.float32)
    for bad, error, words in [
            (x.astype(float), DtypeError, "expected float32, got float64; use x.astype('float32')"),
            (x[:, :2], ShapeError, "layer 1: Dense expected (N, 9), got (2, 6)"),
            (x.tolist(), BackendError, "expected an array of one of numpy"),
            (x[:0], ShapeError, "layer 0: Flatten expected (N, ...) with at least one sample")]:
        with pytest.raises(error) as caught:
            net.forward(bad)
        assert words in str(caught.value) and "\n" not in str(caught.value)
    y, cache = net.forward(x)
    for map_ in (lambda dy: net.backward(dy, cache), lambda dy: net.jvp_backward(dy, y, cache, net.jvp(x, cache)[1]),
                 lambda dy: net.jvp_backward(y, dy, cache, net.jvp(x, cache)[1])):
        with pytest.raises(ShapeError, match=r"expected the shape of the output, \(2, 2\), got \(2,\)"):
            map_(y[:, 0])
    with pytest.raises(DtypeError, match="'float32' .to train. or 'float64' .to check., got 'float16'"):
        net.astype("float16")
    with pytest.raises(BackendError, match="unknown backend; choose one of: numpy, cupy"):
        net.to("tpu")
    with pytest.raises(ShapeError, match="theta expected shape"):
        net.theta = np.zeros(3)
    with pytest.raises(ShapeError, match="'1.W' expected shape"):
        net.params["1.W"] = np.zeros((2, 9))
    with pytest.raises(KeyError, match="no parameter 'W'; there are: 1.W, 1.b"):
        net.params["W"] = 0


def test_summary(capsys):
    G, D = models.dcgan(rng=0)
    before = {name: array.copy() for name, array in G.state.items()}
    G.summary()
    D.summary()
    Sequential([Conv2D(1, 2, 3)]).summary()
    out = capsys.readouterr().out
    assert "2,305,472" in out and "212,865" in out and "(N, 7, 7, 256)" in out and "?" in out
    assert "ConvTranspose2D(64, 1, 5×5, stride 2)" in out
    assert all((G.state[name] == before[name]).all() for name in before)   # looking changes nothing
    Sequential([Conv2D(1, 2, 3)]).summary((5, 5, 1))
    assert "(N, 5, 5, 2)" in capsys.readouterr().out
