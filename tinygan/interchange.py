"""Weights to and from PyTorch, without PyTorch: a mapping with the names and shapes of a state_dict.

    state = interchange.to_torch(G)                      name -> NumPy array, for torch.from_numpy
    print(interchange.torch_source(G))                   the nn.Sequential that these weights are of, as Python
    interchange.from_torch(G, module.state_dict())       and back, in place

What changes on the way. tinygan is channels-last, PyTorch channels-first:

    Dense            W (n_in, n_out)            weight = Wᵀ
    Conv2D           W (kh, kw, c_in, c_out)    weight (c_out, c_in, kh, kw)
    ConvTranspose2D  W (kh, kw, c_out, c_in)    weight (c_in, c_out, kh, kw)
    BatchNorm        gamma, beta, mean, var     weight, bias, running_mean, running_var

A vector that was flattened from an image, or becomes one, has its numbers in the order (row, column, channel) here and
(channel, row, column) there: the weights that meet it are reordered. Names are the layer's index here, so "4.weight" is
G's layer 4. PyTorch pads both sides alike; where "same" does not, `torch_source` puts a ZeroPad2d of its own beside
the layer (negative: it cuts), which has no weights.
"""

from math import prod

import numpy as np

from . import backend
from .errors import ConfigError, DataError
from .layers import (AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, LeakyReLU, MaxPool2D, ReLU,
                     Reshape, Sigmoid, Softplus, Tanh)
from .ops.windows import geometry

_NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}


def to_torch(net):
    """The parameters and running statistics of a Sequential as a state_dict: mapping name -> NumPy array, copies.

    Raises ConfigError for a layer that has no twin in PyTorch (SpectralNorm, MinibatchStd, …).
    """
    state = {}
    for name, array, change, _ in _links(net):
        state[name] = np.ascontiguousarray(change(backend.asnumpy(array)))
    return state


def from_torch(net, state):
    """Read a state_dict (mapping name -> tensor or array) into the network, in place; all of it or none.

    Raises DataError for a name that is missing or of another shape.
    """
    links, found = list(_links(net)), []
    for name, array, change, back in links:
        if name not in state:
            raise DataError(f"expected {name!r} in the state_dict, got one without it; is it of another model?")
        value, wanted = np.asarray(state[name]), change(backend.asnumpy(array)).shape
        if value.shape != wanted:
            raise DataError(f"expected {name!r} of shape {wanted}, got {value.shape}; is it of another model?")
        found.append(back(value))
    for (_, array, _, _), value in zip(links, found):
        array[...] = backend.to(np.ascontiguousarray(value, array.dtype), backend.name_of(array))


def torch_source(net):
    """Python that builds the PyTorch module: an nn.Sequential from (N, C, H, W), or (N, n), whose names fit."""
    lines = ["from collections import OrderedDict", "from torch import nn", "", "module = nn.Sequential(OrderedDict(["]
    for i, layer, x, y, _, _ in _walk(net):
        lines += [f'    ("{name}", nn.{text}),' for name, text in _twins(i, layer, x, y)]
    return "\n".join([*lines, "]))"])


def _twins(i, layer, x, y):
    """(name, source) of the modules that do what the layer does; x, y: shapes of a sample."""
    bias = f", bias={'b' in layer.params}"
    if isinstance(layer, Dense):
        return [(i, f"Linear({layer.n_in}, {layer.n_out}{bias})")]
    if isinstance(layer, (Conv2D, ConvTranspose2D)):
        kind = "ConvTranspose2d" if isinstance(layer, ConvTranspose2D) else "Conv2d"
        maps = f"{layer.c_in}, {layer.c_out}, {layer.kernel}, {layer.stride}{bias}"
        if kind == "Conv2d":
            main = (i, f"Conv2d({maps})")
            (top, bottom), (left, right) = _geometry(layer, x).pads
            pad = (f"{i}_pad", f"ZeroPad2d(({left}, {right}, {top}, {bottom}))")
            return [pad, main] if any((top, bottom, left, right)) else [main]
        (top, _), (left, _) = layer.geometry(x[:2]).pads
        bottom, right = (s * (n - 1) + k - before - out for s, n, k, before, out in
                         zip(layer.stride, x, layer.kernel, (top, left), y))     # below 0: rows that no input reaches
        beyond = f", output_padding={(max(-bottom, 0), max(-right, 0))}" if min(bottom, right) < 0 else ""
        bottom, right = max(bottom, 0), max(right, 0)
        main = (i, f"ConvTranspose2d({maps}{beyond})")
        cut = (f"{i}_cut", f"ZeroPad2d(({-left}, {-right}, {-top}, {-bottom}))")
        return [main, cut] if any((top, bottom, left, right)) else [main]
    if isinstance(layer, BatchNorm):
        return [(i, f"BatchNorm{'1d' if len(x) == 1 else '2d'}({layer.c}, {layer.eps}, {1 - layer.momentum})")]
    if isinstance(layer, Reshape) and len(y) == 3:
        return [(i, f"Unflatten(1, ({y[2]}, {y[0]}, {y[1]}))")]
    if isinstance(layer, (MaxPool2D, AvgPool2D)) and not any(map(any, _geometry(layer, x).pads)):
        return [(i, f"{type(layer).__name__[:-1]}d({layer.kernel}, {layer.stride})")]
    simple = {Flatten: "Flatten()", Tanh: "Tanh()", Sigmoid: "Sigmoid()", Softplus: "Softplus()", ReLU: "ReLU()"}
    if type(layer) in simple:
        return [(i, simple[type(layer)])]
    if isinstance(layer, LeakyReLU):
        return [(i, f"LeakyReLU({layer.slope})")]
    if isinstance(layer, Dropout):
        return [(i, f"Dropout({layer.rate})")]
    raise ConfigError(f"expected layers that PyTorch has too, got {layer} at place {i}; convert a network without it")


def _geometry(layer, x):
    return geometry(x[:2], layer.kernel, layer.stride, layer.padding)


def _links(net):
    """(name there, array here, function to there, function back) of every parameter and statistic."""
    for i, layer, x, y, before, after in _walk(net):
        _twins(i, layer, x, y)                  # refuses what has no twin
        for key, array in [*layer.params.items(), *layer.state.items()]:
            if isinstance(layer, Dense) and key == "W":
                change, back = _dense(before, after)
            elif array.ndim == 4:
                change, back = (lambda a: a.transpose(3, 2, 0, 1)), (lambda a: a.transpose(2, 3, 1, 0))
            else:
                change, back = _vector(after)
            yield f"{i}.{_NAMES[key]}", array, change, back


def _vector(order):
    if order is None:
        return (lambda a: a), (lambda a: a)
    return (lambda a: a[order]), (lambda a: a[np.argsort(order)])


def _dense(before, after):
    (rows, rows_back), (columns, columns_back) = _vector(before), _vector(after)
    return (lambda a: columns(rows(a).T)), (lambda a: rows_back(columns_back(a).T))


def _walk(net):
    """(index, layer, shape of x, shape of y, order of x, order of y); an order is that of PyTorch's vector, or None."""
    if net.input_shape is None:
        raise ConfigError("expected a network that knows the shape of its input, got none; give input_shape")
    x = backend.get(backend.name_of(net.theta)).zeros((1, *net.input_shape), dtype=net.theta.dtype)
    shapes = [net.input_shape]
    for layer in net.layers:
        x, _ = layer.forward(x, train=False)
        shapes.append(x.shape[1:])
    orders, order = [], None
    for i, layer in enumerate(net.layers):
        before, shape = order, shapes[i + 1]
        if len(shape) == 3:
            order = None
        elif isinstance(layer, Flatten):
            order = _order(shapes[i]) if len(shapes[i]) == 3 else before
        elif isinstance(layer, Dense):
            then = next((n for n in range(i + 1, len(net.layers)) if isinstance(net.layers[n], (Dense, Reshape))), i)
            image = isinstance(net.layers[then], Reshape) and len(shapes[then + 1]) == 3
            order = _order(shapes[then + 1]) if image else None
        orders.append((before, order))
    for i, layer in enumerate(net.layers):
        yield (i, layer, shapes[i], shapes[i + 1], *orders[i])


def _order(shape):
    """Where the numbers of PyTorch's flattened (C, H, W) stand in the flattened (H, W, C)."""
    return np.arange(prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()
