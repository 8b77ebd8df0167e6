"""Weights to and from PyTorch, without PyTorch: a mapping with the names and shapes of a state_dict.

    state = interchange.to_torch(G)                      name -> NumPy array, for torch.from_numpy
    print(interchange.torch_source(G))                   the module that these weights are of, as Python
    interchange.from_torch(G, module.state_dict())       and back, in place

What changes on the way. tinygan is channels-last, PyTorch channels-first:

    Dense            W (n_in, n_out)            weight = Wᵀ
    Conv2D           W (kh, kw, c_in, c_out)    weight (c_out, c_in, kh, kw)
    ConvTranspose2D  W (kh, kw, c_out, c_in)    weight (c_in, c_out, kh, kw)
    BatchNorm        gamma, beta, mean, var     weight, bias, running_mean, running_var

A vector that was flattened from an image, or becomes one, has its numbers in the order (row, column, channel) here and
(channel, row, column) there: weights that multiply it are reordered. Names are the layer's index here, so "4.weight" is
G's layer 4, and "2.0.weight" layer 0 of the network inside layer 2. PyTorch pads both sides alike; where "same" does
not, `torch_source` puts a ZeroPad2d (negative: it cuts) beside the layer, which has no weights.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from . import backend
from .errors import ConfigError, DataError
from .layers import (AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, Identity, LeakyReLU, Layer,
                     MaxPool2D, Parallel, ReLU, Reshape, Sequential, Sigmoid, Softmax, Softplus, Tanh)
from .ops.windows import geometry

_NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
_SIMPLE = {Flatten: "Flatten()", Tanh: "Tanh()", Sigmoid: "Sigmoid()", Softplus: "Softplus()", ReLU: "ReLU()",
           Identity: "Identity()", Softmax: "Softmax(1)"}
_PARALLEL = '''class Parallel(nn.ModuleList):
    def __init__(self, parts, join):
        super().__init__(parts)
        self.join = join

    def forward(self, x):
        ys = [part(x) for part in self]
        return torch.cat(ys, 1) if self.join == "concat" else sum(ys)


'''


def to_torch(net):
    """The parameters and running statistics of a Sequential as a state_dict: mapping name -> NumPy array, copies.

    Raises ConfigError for a layer that PyTorch has not (SpectralNorm, MinibatchStd, …).
    """
    return {name: np.ascontiguousarray(change(backend.asnumpy(array))) for name, array, change, _ in _links(net)}


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
    """Python that builds the PyTorch module, from (N, C, H, W) or (N, n), whose names fit."""
    traced, source = _traced(net), []
    text = _source(traced, "")
    if "Parallel(" in text:
        source = ["import torch", _PARALLEL]
    return "\n".join(["from collections import OrderedDict", *source[:1], "from torch import nn", "", *source[1:],
                      f"module = {text}"])


class _Traced(NamedTuple):
    """A layer in its place: shapes of a sample that enters and leaves, and for vectors the order of their numbers.

    An order is that of PyTorch's vector: place there -> place here; None: the same. parts: of a network.
    """
    layer: Layer
    x: tuple
    y: tuple
    before: np.ndarray
    after: np.ndarray
    parts: list


def _traced(net):
    if net.input_shape is None:
        raise ConfigError("expected a network that knows the shape of its input, got none; give input_shape")
    x = backend.get(backend.name_of(net.theta)).zeros((1, *net.input_shape), dtype=net.theta.dtype)
    return _trace(net, x, None, [])[0]


def _trace(layer, x, before, rest):
    """The _Traced of a layer, and its output.  rest: the layers that follow it."""
    if x.ndim not in (2, 4):
        raise ConfigError(f"expected vectors (N, n) or images (N, H, W, C) to convert, got {x.shape} into {layer}")
    y, after, parts = x, before, []
    if isinstance(layer, Sequential):
        for i, part in enumerate(layer.layers):
            traced, y = _trace(part, y, after, [*layer.layers[i + 1:], *rest])
            after = traced.after
            parts.append(traced)
    elif isinstance(layer, Parallel):
        parts, ys = zip(*(_trace(part, x, before, []) for part in layer.layers))
        y, after = layer.joined(ys), _joined([part.after for part in parts], ys, layer)
    else:
        y, _ = layer.forward(x, train=False)
        after = _order_after(layer, x, y, before, rest)
    return _Traced(layer, x.shape[1:], y.shape[1:], before, after, list(parts)), y


def _order_after(layer, x, y, before, rest):
    """The order of the numbers of the output y."""
    if isinstance(layer, Dense):        # may write them in the order of an image that they become
        then = next((part for part in rest if isinstance(part, (Dense, Reshape, Parallel))), None)
        return _order(then.shape) if isinstance(then, Reshape) and len(then.shape) == 3 else None
    if isinstance(layer, Flatten):
        return _order(x.shape[1:]) if x.ndim == 4 else before
    if isinstance(layer, Reshape) and x.ndim == 2 and y.ndim == 4:
        same = np.arange(x.shape[1])
        if not np.array_equal(same if before is None else before, _order(y.shape[1:])):
            raise ConfigError(f"expected a Dense layer or Flatten before {layer} to convert, got numbers in another "
                              f"order than those of the image; convert a network without it")
    return None if y.ndim == 4 else before


def _joined(orders, ys, layer):
    if ys[0].ndim == 4 or all(order is None for order in orders):
        return None
    orders = [np.arange(y.shape[1]) if order is None else order for order, y in zip(orders, ys)]
    if layer.join == "sum":
        if any(not np.array_equal(order, orders[0]) for order in orders):
            raise ConfigError(f"expected the parts of {layer} with their numbers in one order, got several; convert a "
                              f"network without it")
        return orders[0]
    starts = np.cumsum([0, *(y.shape[1] for y in ys)])
    return np.concatenate([start + order for start, order in zip(starts, orders)])


def _source(t, indent):
    """The source of a layer's module: one module, or an nn.Sequential of it and its paddings."""
    inner = indent + "    "
    if isinstance(t.layer, Parallel):
        parts = "".join(f"{inner}{_source(part, inner)},\n" for part in t.parts)
        return f"Parallel([\n{parts}{indent}], {t.layer.join!r})"
    if isinstance(t.layer, Sequential):
        modules = [module for i, part in enumerate(t.parts) for module in _modules(str(i), part, inner)]
    else:
        modules = _modules("0", t, inner)
        if len(modules) == 1:
            return modules[0][1]
    lines = "".join(f'{inner}("{name}", {text}),\n' for name, text in modules)
    return f"nn.Sequential(OrderedDict([\n{lines}{indent}]))"


def _modules(name, t, indent=""):
    """(name, source) of the modules that do what a layer does, itself and its paddings."""
    layer, x, y = t.layer, t.x, t.y
    if isinstance(layer, (Sequential, Parallel)):
        return [(name, _source(t, indent))]
    bias = f", bias={'b' in layer.params}"
    if isinstance(layer, Dense):
        return [(name, f"nn.Linear({layer.n_in}, {layer.n_out}{bias})")]
    if isinstance(layer, Conv2D):
        (top, bottom), (left, right) = _geometry(layer, x).pads
        pad = (f"{name}_pad", f"nn.ZeroPad2d(({left}, {right}, {top}, {bottom}))")
        main = (name, f"nn.Conv2d({layer.c_in}, {layer.c_out}, {layer.kernel}, {layer.stride}{bias})")
        return [pad, main] if any((top, bottom, left, right)) else [main]
    if isinstance(layer, ConvTranspose2D):
        (top, _), (left, _) = layer.geometry(x[:2]).pads
        bottom, right = (s * (n - 1) + k - before - out for s, n, k, before, out in
                         zip(layer.stride, x, layer.kernel, (top, left), y))     # below 0: rows that no input reaches
        beyond = f", output_padding={(max(-bottom, 0), max(-right, 0))}" if min(bottom, right) < 0 else ""
        bottom, right = max(bottom, 0), max(right, 0)
        main = (name, f"nn.ConvTranspose2d({layer.c_in}, {layer.c_out}, {layer.kernel}, {layer.stride}{bias}{beyond})")
        cut = (f"{name}_cut", f"nn.ZeroPad2d(({-left}, {-right}, {-top}, {-bottom}))")
        return [main, cut] if any((top, bottom, left, right)) else [main]
    if isinstance(layer, BatchNorm):
        return [(name, f"nn.BatchNorm{'1d' if len(x) == 1 else '2d'}({layer.c}, {layer.eps}, {1 - layer.momentum})")]
    if isinstance(layer, Reshape) and len(y) == 3:
        return [(name, f"nn.Unflatten(1, ({y[2]}, {y[0]}, {y[1]}))")]
    if isinstance(layer, (MaxPool2D, AvgPool2D)) and not any(map(any, _geometry(layer, x).pads)):
        return [(name, f"nn.{type(layer).__name__[:-1]}d({layer.kernel}, {layer.stride})")]
    if type(layer) in _SIMPLE:
        return [(name, f"nn.{_SIMPLE[type(layer)]}")]
    if isinstance(layer, LeakyReLU):
        return [(name, f"nn.LeakyReLU({layer.slope})")]
    if isinstance(layer, Dropout):
        return [(name, f"nn.Dropout({layer.rate})")]
    raise ConfigError(f"expected layers that PyTorch has, got {layer} at place {name}; convert a network without it")


def _geometry(layer, x):
    return geometry(x[:2], layer.kernel, layer.stride, layer.padding)


def _links(net):
    """(name there, array here, function to there, function back) of every parameter and statistic."""
    yield from _links_of(_traced(net), "")


def _links_of(t, prefix):
    for i, part in enumerate(t.parts):
        name = f"{prefix}{i}"
        if isinstance(part.layer, (Sequential, Parallel)):
            yield from _links_of(part, f"{name}.")
            continue
        if len(_modules(str(i), part)) > 1 and isinstance(t.layer, Parallel):
            name += ".0"        # a part with its padding is an nn.Sequential
        layer = part.layer
        for key, array in [*layer.params.items(), *layer.state.items()]:
            if isinstance(layer, Dense) and key == "W":
                change, back = _dense(part.before, part.after)
            elif array.ndim == 4:
                change, back = (lambda a: a.transpose(3, 2, 0, 1)), (lambda a: a.transpose(2, 3, 1, 0))
            else:
                change, back = _vector(part.after)
            yield f"{name}.{_NAMES[key]}", array, change, back


def _vector(order):
    if order is None:
        return (lambda a: a), (lambda a: a)
    return (lambda a: a[order]), (lambda a: a[np.argsort(order)])


def _dense(before, after):
    (rows, rows_back), (columns, columns_back) = _vector(before), _vector(after)
    return (lambda a: columns(rows(a).T)), (lambda a: rows_back(columns_back(a).T))


def _order(shape):
    """Where the numbers of PyTorch's flattened (C, H, W) stand in the flattened (H, W, C)."""
    return np.arange(prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()
