"""What each layer of a network gives and what gradient comes back to it, for one batch.

    records = inspect.layers(net, x, dy)      one record for the input and one for each layer
    inspect.figure(records).savefig("layers.png")

    >>> import numpy as np
    >>> from tinygan import Sequential
    >>> from tinygan.layers import Dense, ReLU
    >>> net = Sequential([Dense(3, 4), ReLU(), Dense(4, 1)], rng=0)
    >>> records = layers(net, np.ones((5, 3), dtype="float32"), np.ones_like)
    >>> [(record.name, record.gradient.shape) for record in records]
    [('input', (5, 3)), ('0 Dense', (5, 4)), ('1 ReLU', (5, 4)), ('2 Dense', (5, 1))]
"""

from math import inf
from typing import NamedTuple

import numpy as np      # pictures are drawn on the host

from . import backend
from .errors import ConfigError
from .layers import Sequential
from .layers.container import Container


class Record(NamedTuple):
    """A layer (None: the network's input), its output and ∂loss/∂output, both of one shape, and their 2-norms."""

    name: str           # its place in the network and its class: "0 Dense", in a nested network "2.1.0 Dense"
    layer: object
    output: object      # (N, …), an array in the network's dtype on its backend
    gradient: object
    norms: tuple        # (‖output‖, ‖gradient‖) over all elements, float


def layers(net, x, dy, train=True, rng=None):
    """A list of Record: the input, then the layers in the order of forward; parts of a Parallel precede their join.

    net: Sequential or Parallel; it stays as it is (a copy runs, so running statistics do not move). x (N, …) in its
    dtype; dy: an array of the output's shape and dtype, or a function output -> such an array, as the gradient of a
    loss. train, rng: as for `net.forward`. A nested Sequential has the records of its layers and none of its own.
    Raises ConfigError for a net that is no network or a layer that backward did not reach, and what forward and
    backward raise.
    """
    if not isinstance(net, Container):
        raise ConfigError(f"expected net as a Sequential or Parallel, got {net!r}; write Sequential([...])")
    copy, outputs, gradients = net.copy(), {}, {}
    for name, layer in _parts(copy):
        _watch(name, layer, outputs, gradients)
    y, cache = copy.forward(x, train, rng)
    dx = copy.backward(dy(y) if callable(dy) else dy, cache)
    if missed := [name for name in outputs if name not in gradients]:
        raise ConfigError(f"expected backward to reach all layers that forward ran, got no gradient for {missed[0]}")
    originals = dict(_parts(net))
    return [_record("input", None, x, dx), *(_record(name, originals[name], outputs[name], gradients[name])
                                             for name in outputs)]


def _parts(net, place=""):
    """All layers inside and the network itself, with their names; without those of class Sequential."""
    for i, layer in enumerate(net.layers):
        at = f"{place}.{i}" if place else str(i)
        if isinstance(layer, Container):
            yield from _parts(layer, at)
        else:
            yield f"{at} {type(layer).__name__}", layer
    if type(net) is not Sequential:
        yield f"{place or 'output'} {type(net).__name__}", net


def _watch(name, layer, outputs, gradients):
    """Let forward and backward of this layer also store what they return and what they are given."""
    forward, backward = layer.forward, layer.backward

    def stored_forward(*args, **options):
        y, cache = forward(*args, **options)
        outputs[name] = y
        return y, cache

    def stored_backward(dy, *args, **options):
        gradients[name] = dy
        return backward(dy, *args, **options)
    layer.forward, layer.backward = stored_forward, stored_backward


def _record(name, layer, output, gradient):
    norm = lambda a: float((a.astype("float64")**2).sum())**0.5
    return Record(name, layer, output, gradient, (norm(output), norm(gradient)))


def figure(records):
    """A matplotlib Figure, one row for each record: the output and the gradient as images, and their norms.

    Images: a row for each sample, a column for each feature, up to 64 of both; of (N, H, W, C) the first sample, its
    first 4 channels side by side. Red is positive, blue negative, white 0 or not finite; each image has its own scale.
    Up to 32 numbers in at most 4 rows are written into the cells. The norms' axis is logarithmic; those that are 0 or
    not finite are left out.
    """
    from matplotlib.figure import Figure    # here: records alone need no matplotlib
    fig = Figure(figsize=(11, 1 + 0.62 * len(records)), dpi=100, layout="constrained")
    grid, rows = fig.add_gridspec(len(records), 3, width_ratios=(3, 3, 2)), range(len(records))
    for i, record in enumerate(records):
        left, right = fig.add_subplot(grid[i, 0]), fig.add_subplot(grid[i, 1])
        _image(left, backend.asnumpy(record.output))
        _image(right, backend.asnumpy(record.gradient))
        left.set_ylabel(f"{record.name}\n{tuple(record.output.shape)}", rotation=0, ha="right", va="center", fontsize=9)
        if i == 0:
            left.set_title("output", fontsize=11)
            right.set_title("gradient: ∂loss/∂output", fontsize=11)
    ax = fig.add_subplot(grid[:, 2], ylim=(len(records) - 0.5, -0.5), xscale="log", yticks=rows, yticklabels=[])
    for k, (label, colour, mark) in enumerate((("output", "#0072b2", "o-"), ("gradient", "#d55e00", "s-"))):
        ax.plot([record.norms[k] if 0 < record.norms[k] < inf else np.nan for record in records], rows, mark,
                color=colour, label=label)
    some = [norm for record in records for norm in record.norms if 0 < norm < inf] or [1.0]
    ax.set_xlim(min(some) / 4, max(some) * 4)       # a factor of at least 16: a power of ten is among the ticks
    ax.tick_params(axis="x", which="minor", labelbottom=False)
    ax.set_title("2-norms", fontsize=11)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=9)
    return fig


def _image(ax, a):
    if a.ndim == 4:
        a = a[0, :, :, :4].swapaxes(1, 2).reshape(a.shape[1], -1)
    else:
        a = a.reshape(len(a), -1)[:64, :64]
    limit = float(abs(a).max(initial=0, where=np.isfinite(a))) or 1.0
    ax.imshow(np.where(np.isfinite(a), a, np.nan), cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.set(xticks=[], yticks=[])
    if a.size <= 32 and len(a) <= 4:
        for i, row in enumerate(a):
            for j, value in enumerate(row):
                ax.text(j, i, f"{value + 0.0:.3g}", ha="center", va="center", fontsize=8,
                        color="white" if abs(value) > 0.6 * limit else "black")
