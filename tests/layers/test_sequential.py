"""Sequential: one vector, explicit caches, and the border."""

import copy
import pickle

import numpy as np
import pytest

from tinygan import GAN, Sequential, backend, gradcheck, models
from tinygan.errors import BackendError, ConfigError, DtypeError, ShapeError
from tinygan.layers import (BatchNorm, Conv2D, Dense, Dropout, Flatten, Identity, LeakyReLU, Pack, Parallel,
                            SpectralNorm, Tanh)


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
            (x[:, :2], ShapeError, "layer 1: Dense expected (N, ..., 9), got (2, 6)"),
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


def test_summary_of_packs_and_of_labels(capsys):
    for options, words in ((dict(pack=2), "Pack(2)"), (dict(classes=3), "WithLabels(3)")):
        for net in models.dcgan(rng=0, width=0.05, **options):
            net.summary()
        assert words in capsys.readouterr().out
        assert all(getattr(layer, "labels", None) is None for layer in net.layers)
    Sequential([]).summary()
    assert "total" in capsys.readouterr().out


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


def test_what_users_make_of_a_layer_is_not_passed_over(rng):
    """An overridden or replaced forward, or an activation of one's own, runs."""
    class Mine(Dense):
        def forward(self, x, train=True, rng=None):
            return super().forward(2 * x, train, rng)

    class Steep(LeakyReLU):
        def f(self, x):
            return 3 * super().f(x)
    x = rng.standard_normal((3, 4)).astype("float32")
    net = Sequential([Mine(4, 2), LeakyReLU()], 0)
    expected = LeakyReLU().f(2 * x @ net.params["0.W"] + net.params["0.b"])
    np.testing.assert_allclose(net.forward(x)[0], expected, rtol=1e-6)
    net = Sequential([Dense(4, 2), Steep(), BatchNorm(2), LeakyReLU()], 0)
    seen = []
    inner = net.layers[2].forward
    net.layers[2].forward = lambda x, train=True, rng=None: seen.append(x) or inner(x, train, rng)
    net.forward(x)
    np.testing.assert_allclose(seen[0], Steep().f(x @ net.params["0.W"] + net.params["0.b"]), rtol=1e-6)


def test_a_failed_network_leaves_its_layers_free():
    layers = [Dense(2, 2), Dense(2, 1)]
    for bad in (lambda: Sequential(layers, backend="nowhere"), lambda: Sequential([*layers, "a"]),
                lambda: Sequential(layers, dtype="int8"), lambda: Sequential([layers[0], layers[0]])):
        with pytest.raises((ConfigError, BackendError, DtypeError)):
            bad()
    assert Sequential(layers).theta.size == 9


def test_train_false_reaches_every_layer(rng):
    """Running statistics and no mask, also in a network inside; nothing is learnt from such a pass."""
    net = Sequential([Dropout(0.5), Sequential([BatchNorm(3), Dropout(0.5)])], rng=0)
    x = rng.standard_normal((6, 3)).astype("float32")
    for array, value in zip(net.state.values(), ([1, 2, 3], [4, 9, 16])):
        array[...] = value
    y, _ = net.forward(x, train=False)
    np.testing.assert_allclose(y, (x - [1, 2, 3]) / [2, 3, 4], rtol=1e-4)
    np.testing.assert_array_equal(list(net.state.values()), [[1, 2, 3], [4, 9, 16]])
    assert (net.forward(x)[0] != y).any()


def test_nesting_changes_no_dtype():
    inner = Sequential([Dense(2, 3)], rng=0, dtype="float64")
    with pytest.raises(DtypeError, match="layer 0 is a network in float64 on 'numpy', expected float32"):
        Sequential([inner, Dense(3, 1)])
    theta = inner.theta
    assert Sequential([inner, Dense(3, 1)], dtype="float64").theta[0] == theta[0] and inner.theta.dtype == np.float64


def test_what_comes_back_has_the_dtype_and_shape_of_what_went():
    net = Sequential([Dense(3, 2), Dense(2, 1)], rng=0)
    y, cache = net.forward(np.ones((4, 3), np.float32))
    with pytest.raises(DtypeError, match=r"dy expected float32, got float64; use dy.astype\('float32'\)"):
        net.backward(np.ones(y.shape), cache)
    with pytest.raises(DtypeError, match="tx expected float32"):
        net.jvp(np.ones((4, 3)), cache)
    with pytest.raises(ShapeError, match=r"tx expected the shape of the input, \(4, 3\), got \(9, 3\)"):
        net.jvp(np.ones((9, 3), np.float32), cache)


def test_pickles(rng):
    net = Sequential([Conv2D(1, 2, 3), BatchNorm(2), LeakyReLU(), Flatten(), SpectralNorm(Dense(32, 1))], rng=0)
    x = rng.standard_normal((5, 4, 4, 1)).astype("float32")
    net.forward(x)
    twin = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(twin.forward(x, train=False)[0], net.forward(x, train=False)[0])
    for layer in (twin.layers[0], twin.layers[4].inner):     # whose parameters are views into its θ again
        assert np.shares_memory(layer.params["W"], twin.theta) and not np.shares_memory(twin.theta, net.theta)


def test_a_rule_put_in_the_place_of_leaky_relu_is_the_one_that_runs():
    for name, rule in (("f", lambda x: 0 * x + 7), ("forward", lambda x, train=True, rng=None: (0 * x + 7, (x, x)))):
        net = Sequential([Dense(3, 2), LeakyReLU()], rng=0)
        setattr(net.layers[1], name, rule)
        assert (net.forward(np.ones((4, 3), "float32"))[0] == 7).all()


def test_a_layer_made_of_others_is_copied_whole():
    class Residual(Sequential):         # y = x + scale·body(x)
        def __init__(self, body, scale):
            super().__init__([body])
            self.body, self.scale = body, scale

        def forward(self, x, train=True, rng=None):
            y, cache = self.body.forward(x, train, rng)
            return x + self.scale * y, cache

        def backward(self, dy, cache, grads=None):
            return dy + self.body.backward(self.scale * dy, cache, self.part(grads, 0))

        def jvp(self, tx, cache):
            ty, tcache = self.body.jvp(tx, cache)
            return tx + self.scale * ty, tcache

        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            dx, dtx = self.body.jvp_backward(self.scale * dy, self.scale * dty, cache, tcache, self.part(grads, 0))
            return dy + dx, dty + dtx

    residual = Residual(Sequential([Dense(4, 4), Tanh()], rng=0), 0.5)
    x = np.random.default_rng(0).standard_normal((3, 4))
    gradcheck.check_layer(residual, x).raise_if_wrong()
    net = Sequential([residual.astype("float64"), Dense(4, 1)], rng=0, dtype="float64")
    new = net.copy()
    new.theta = 0 * new.theta
    assert new.layers[0].scale == 0.5 and new.layers[0].body is new.layers[0].layers[0]
    np.testing.assert_array_equal(new.layers[0].forward(x)[0], x)       # its body has the copy's weights
    assert (net.layers[0].forward(x)[0] != x).all()


def test_copies_of_networks_that_name_their_parts():
    net = Sequential([Sequential([Dense(3, 4), Tanh()]), Dense(4, 1)], rng=0)
    net.me, net.head, net.hook, net.xp, net.table = net, net.layers[0].layers[0], net.forward, np, {"a": np.ones(2)}
    new = net.copy()
    assert new.me is new and new.head is new.layers[0].layers[0] and new.xp is np
    assert new.hook.__self__ is new and new.table["a"] is not net.table["a"]
    new.theta = 0.0
    assert not new.head.params["W"].any() and net.head.params["W"].any()
    gradcheck.check_layer(net, np.random.default_rng(0).standard_normal((2, 3))).raise_if_wrong()


def test_parts_that_nobody_would_train():
    class Beside(Sequential):
        def __init__(self, parts):
            super().__init__([Dense(3, 3)], rng=0)
            self.parts = parts
    G, D = models.points(rng=0, width=0.05)
    for parts in (Dense(3, 2), [Dense(3, 2)], {"a": Dense(3, 2)}):
        with pytest.raises(ConfigError, match="Beside holds Dense.* not among its own"):
            Sequential([Beside(parts)])
        with pytest.raises(ConfigError, match="Beside holds Dense"):
            GAN(G, Beside(parts))
    Sequential([Beside(np.ones(3))]), Sequential([Beside(Tanh())])


def test_summary_of_nested_networks(capsys):
    """Parts of networks are indented; the batch is a multiple of every pack inside."""
    net = Sequential([Sequential([Pack(2), Conv2D(2, 3, 3)]), Parallel([Identity(), Sequential([Pack(1), Tanh()])])])
    net.summary((8, 8, 1))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["0.1", "Conv2D(2,", "3,", "3×3,", "stride", "1)", "(N,", "8,", "8,", "3)", "57"] in lines
    assert ["1", "Parallel,", "concat", "(N,", "8,", "8,", "6)", "0"] in lines and lines[-1] == ["total", "57"]
    assert ["1.1.1", "Tanh()", "(N,", "8,", "8,", "3)", "0"] in lines
