"""Weights to PyTorch and back: the numbers agree."""

import numpy as np
import pytest

from tinygan import Sequential, interchange, models
from tinygan.errors import ConfigError, DataError
from tinygan.layers import (AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, Identity, LeakyReLU,
                            MaxPool2D, Parallel, ReLU, Reshape, Sigmoid, Softmax, Softplus, SpectralNorm)

SHIPPED = [(name, side) for name in ("mlp", "dcgan", "dcgan_deep", "dcgan_small", "points") for side in (0, 1)]


def _double(layers):
    return Sequential(layers, dtype="float64")


def _shipped(name, side, seed=0, dtype="float64"):
    net = models.get(name).build(rng=seed, width=0.1, dtype=dtype)[side]
    rng = np.random.default_rng(seed + 5)
    net.theta = net.theta + 0.1 * rng.standard_normal(net.theta.shape)
    for array in net.state.values():        # statistics that are not the initial ones
        array += rng.uniform(0.1, 1, array.shape)
    return net


def _module(net):
    torch = pytest.importorskip("torch")
    names = {}
    exec(interchange.torch_source(net), names)
    module = names["module"].double().eval()
    state = {name: torch.from_numpy(array) for name, array in interchange.to_torch(net).items()}
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    return torch, module


def _agree(net):
    torch, module = _module(net)
    x = np.random.default_rng(1).standard_normal((3, *net.input_shape))
    y, _ = net.forward(x, train=False)
    there = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy() if x.ndim == 4 else x)).detach().numpy()
    there = there.transpose(0, 2, 3, 1) if there.ndim == 4 else there
    np.testing.assert_allclose(y, there, rtol=0, atol=1e-6)
    return module


@pytest.mark.parametrize("name, side", SHIPPED)
def test_shipped_models_there_and_back(name, side):
    net = _shipped(name, side)
    module = _agree(net)
    other = _shipped(name, side, seed=1)
    interchange.from_torch(other, module.state_dict())
    np.testing.assert_array_equal(other.theta, net.theta)
    for key, array in net.state.items():
        np.testing.assert_array_equal(other.state[key], array)


@pytest.mark.parametrize("layers, shape", [
    ([Conv2D(2, 3, (3, 2), (2, 1)), MaxPool2D(2), Sigmoid(), Flatten(), Dense(27, 2)], (13, 6, 2)),
    ([Conv2D(1, 2, 3, padding=((0, 2), (1, 0))), AvgPool2D(2), Softplus(), Flatten(), ReLU(), Dense(18, 4),
      Dense(4, 1)], (7, 8, 1)),
    ([ConvTranspose2D(2, 3, (5, 4), 2), ReLU()], (4, 3, 2)), ([ConvTranspose2D(2, 3, 2, 3, padding="same")], (4, 3, 2)),
    ([ConvTranspose2D(2, 1, 4, 3, padding=1, output_padding=2)], (3, 5, 2)),
    ([Dense(5, 12, bias=False), BatchNorm(12), Reshape((2, 3, 2)), Flatten(), Dense(12, 3)], (5,)),
    ([Conv2D(1, 2, 3), Parallel([Identity(), _double([Conv2D(2, 3, 4, 2), LeakyReLU(), ConvTranspose2D(3, 2, 4, 2)])]),
      Parallel([Identity(), Conv2D(4, 4, 3), Conv2D(4, 4, 4)], "sum"), Flatten(),
      Parallel([Dense(64, 1), _double([Dense(64, 5), Softmax()])]), Dense(6, 2)], (4, 4, 1)),
    ([Parallel([Flatten(), Flatten()]), Dense(36, 4)], (3, 3, 2)),
    ([Parallel([Flatten(), Flatten()], "sum"), BatchNorm(18), Dense(18, 4)], (3, 3, 2)),
    ([_double([Flatten()]), _double([Dense(18, 8)]), Reshape((2, 2, 2)), ReLU()], (3, 3, 2))])
def test_other_geometries(layers, shape):
    net = Sequential(layers, rng=0, dtype="float64", input_shape=shape)
    net.theta = net.theta + 0.1 * np.random.default_rng(5).standard_normal(net.theta.shape)     # biases too
    _agree(net)


def test_without_torch_it_is_names_and_shapes():
    state = interchange.to_torch(models.dcgan(rng=0, width=0.1)[0])
    assert state["0.weight"].shape == (49 * 26, 100) and state["4.weight"].shape == (26, 13, 5, 5)
    assert {"1.weight", "1.bias", "1.running_mean", "1.running_var"} <= set(state)
    assert all(type(array) is np.ndarray and array.dtype == np.float32 for array in state.values())


def test_what_does_not_fit_changes_nothing():
    net = _shipped("dcgan", 1)
    state, before = interchange.to_torch(net), net.theta.copy()
    state["0.weight"] = state["0.weight"] + 1
    for wrong in ({**state, "3.bias": state["3.bias"][:-1]}, {k: v for k, v in state.items() if k != "7.bias"}):
        with pytest.raises(DataError, match="another model"):
            interchange.from_torch(net, wrong)
    np.testing.assert_array_equal(net.theta, before)
    for layers in ([Dense(4, 12), Parallel([Identity(), Identity()], "sum"), Reshape((2, 3, 2))],
                   [Parallel([Flatten(), Sequential([Flatten(), Dense(12, 12)])], "sum")]):
        with pytest.raises(ConfigError, match="order"):     # numbers that PyTorch would have in another order
            interchange.to_torch(Sequential(layers, input_shape=(4,) if len(layers) > 1 else (2, 3, 2)))
    with pytest.raises(ConfigError, match="without it"):
        interchange.to_torch(Sequential([SpectralNorm(Dense(2, 3))], rng=0, input_shape=(2,)))
    with pytest.raises(ConfigError, match="input_shape"):
        interchange.to_torch(Sequential([Dense(2, 3)], rng=0))
