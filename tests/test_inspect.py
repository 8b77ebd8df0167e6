"""tinygan.inspect: outputs and gradients of all layers are those of forward and backward."""

import io

import numpy as np
import pytest

from tinygan import Sequential, inspect, losses, models
from tinygan.errors import ConfigError, DtypeError, ShapeError
from tinygan.layers import BatchNorm, Dense, Dropout, Identity, LeakyReLU, Parallel, Sequential as Row, Tanh


def nested(dtype="float64"):
    """Layers in a row, side by side and in a row again."""
    inner = Row([Dense(4, 4), Tanh()], dtype=dtype)
    return Sequential([Dense(3, 4), LeakyReLU(), Parallel([Identity(), inner, Dense(4, 2)]), Dense(10, 1)], rng=0,
                      dtype=dtype)


@pytest.fixture
def x(rng):
    return rng.standard_normal((5, 3))


NAMES = ["input", "0 Dense", "1 LeakyReLU", "2.0 Identity", "2.1.0 Dense", "2.1.1 Tanh", "2.2 Dense", "2 Parallel",
         "3 Dense"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_records_of_a_nested_network(x, dtype):
    net, x = nested(dtype), x.astype(dtype)
    y, cache = net.forward(x)
    records = inspect.layers(net, x, np.ones_like(y))
    assert [record.name for record in records] == NAMES
    np.testing.assert_array_equal(records[0].output, x)
    np.testing.assert_array_equal(records[0].gradient, net.backward(np.ones_like(y), cache))
    np.testing.assert_array_equal(records[-1].output, y)
    for record in records:
        assert record.output.shape == record.gradient.shape
        assert record.output.dtype == record.gradient.dtype == dtype
        assert record.norms == pytest.approx([np.linalg.norm(record.output), np.linalg.norm(record.gradient)])
    found = {record.name: record for record in records}
    np.testing.assert_array_equal(found["2 Parallel"].output, np.concatenate(
        [found[name].output for name in ("2.0 Identity", "2.1.1 Tanh", "2.2 Dense")], axis=1))
    np.testing.assert_array_equal(found["2.1.1 Tanh"].gradient, found["2 Parallel"].gradient[:, 4:8])
    assert found["2.1.0 Dense"].layer is net.layers[2].layers[1].layers[0] and found["input"].layer is None


@pytest.mark.parametrize("k, name", [*enumerate(["0 Dense", "1 LeakyReLU", "2 Parallel", "3 Dense"], 1)])
def test_gradients_are_derivatives_of_the_loss(x, k, name):
    """The gradient in each layer's output, by central differences through the layers after it."""
    net = nested()
    record = inspect.layers(net, x, lambda y: y)[NAMES.index(name)]
    rest = Sequential([layer.copy() for layer in net.layers[k:]], dtype="float64")
    loss = lambda a: 0.5 * (rest.forward(a)[0]**2).sum()
    for e in 1e-5 * np.eye(record.output.size).reshape(-1, *record.output.shape)[::3]:
        slope = (loss(record.output + e) - loss(record.output - e)) / 2e-5
        assert slope == pytest.approx((record.gradient * e).sum() / 1e-5, rel=1e-6, abs=1e-8)


def test_a_loss_gives_the_gradient(x):
    loss = losses.get("non_saturating")
    record = inspect.layers(nested(), x, lambda y: loss.g_loss(y)[1])[-1]
    np.testing.assert_array_equal(record.gradient, loss.g_loss(record.output)[1])


def test_the_network_stays_as_it_is(x):
    """Running statistics, random numbers and the layers' methods are untouched; the same masks come twice."""
    net = Sequential([Dense(3, 4), BatchNorm(4), Dropout(0.5)], rng=0, dtype="float64")
    state, theta = {name: array.copy() for name, array in net.state.items()}, net.theta.copy()
    first, second = (inspect.layers(net, x, np.ones_like)[-1].output for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, net.forward(x)[0])
    np.testing.assert_array_equal(net.theta, theta)
    assert not any("forward" in vars(layer) for layer in net.layers)
    net = Sequential([Dense(3, 4), BatchNorm(4)], rng=0, dtype="float64")
    inspect.layers(net, x, np.ones_like)
    assert all((net.state[name] == array).all() for name, array in state.items())
    evaluated = inspect.layers(net, x, np.ones_like, train=False)[-1].output
    np.testing.assert_array_equal(evaluated, net.forward(x, train=False)[0])


def test_a_parallel_as_the_whole_network(x):
    records = inspect.layers(Parallel([Dense(3, 2), Identity()]), x, np.ones_like)
    assert [record.name for record in records] == ["input", "0 Dense", "1 Identity", "output Parallel"]
    assert records[-1].output.shape == (5, 5)


def test_errors(x):
    with pytest.raises(ConfigError, match=r"got Dense\(3, 2\); write Sequential"):
        inspect.layers(Dense(3, 2), x, np.ones_like)
    with pytest.raises(ShapeError, match="dy expected"):
        inspect.layers(nested(), x, np.ones((5, 2)))
    with pytest.raises(DtypeError, match="expected float64, got float32"):
        inspect.layers(nested(), x.astype("float32"), np.ones_like)

    class Stops(Parallel):
        def backward(self, dy, cache, grads=None):
            return 0 * dy[:, :3]
    with pytest.raises(ConfigError, match="no gradient for 0 Dense"):
        inspect.layers(Stops([Dense(3, 3)]), x, np.ones_like)


def test_every_backend(xb, x):
    from tinygan import backend
    net = nested().to(xb)
    records = inspect.layers(net, backend.to(x, xb), backend.get(xb).ones_like)
    assert {backend.name_of(array) for record in records for array in record[2:4]} == {xb}
    assert len(inspect.figure(records).axes) == 2 * len(records) + 1


def test_the_picture(x):
    """A row for each record; images of (N, H, W, C) and of features; numbers in small arrays, none in a zero norm."""
    _, D = models.dcgan_small(rng=0)
    records = inspect.layers(D, np.zeros((2, 28, 28, 1), "float32"), np.zeros_like)
    fig, file = inspect.figure(records), io.BytesIO()
    fig.savefig(file)
    assert len(fig.axes) == 2 * len(records) + 1 and len(file.getvalue()) > 10_000
    assert fig.axes[0].get_ylabel() == "input\n(2, 28, 28, 1)"
    assert not np.isfinite(fig.axes[-1].lines[1].get_xdata()).any()
    small = inspect.figure(inspect.layers(nested(), x[:2], np.ones_like))
    assert [text.get_text() for text in small.axes[0].texts] == [f"{value:.3g}" for value in x[:2].flat]


def test_the_picture_of_numbers_that_are_not_finite(x):
    """When a run has diverged, the picture shows where."""
    net = Sequential([Dense(3, 4), Dense(4, 1)], rng=0, dtype="float64")
    net.params["1.W"] = np.nan
    first, hidden, last = inspect.layers(net, x[:2], np.ones_like)
    fig = inspect.figure([first, hidden, last, last._replace(output=np.array([[np.inf], [1.0]]), norms=(np.inf, 0.0))])
    fig.savefig(io.BytesIO())
    assert [text.get_text() for text in fig.axes[4].texts + fig.axes[6].texts] == ["nan", "nan", "inf", "1"]
    assert np.isfinite(fig.axes[-1].lines[0].get_xdata()).tolist() == [True, True, False, False]
    assert np.isfinite(fig.axes[-1].lines[1].get_xdata()).tolist() == [False, False, True, False]
