"""A network as a table of text."""

from math import prod

from .. import backend


def table(net, input_shape=None):
    """Layer, output shape and number of parameters, a line each; parts of nested networks are indented."""
    shape = input_shape or net.input_shape or (getattr(next(iter(net.layers), None), "n_in", None),)
    x, copy = None, net.copy()
    if None not in shape:       # a batch that fits: a multiple of what the layers judge at once
        x = backend.get(backend.name_of(net.theta)).zeros((_batch(copy), *shape), dtype=net.theta.dtype)
    rows = [("", "layer", "output", "parameters"), ("", "input", _shape(x), "")]
    _add(rows, copy, x, "", "")
    rows.append(("", "total", "", f"{net.theta.size:,}"))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = [f"{a:>{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in rows]
    lines.insert(1, "─" * len(lines[0]))
    lines.insert(-1, "─" * len(lines[0]))
    return "\n".join(line.rstrip() for line in lines)


def _add(rows, net, x, place, indent):
    """Append the rows of a network's layers; returns its output."""
    side_by_side, entering = hasattr(net, "join"), x
    for i, layer in enumerate(net.layers):
        inner = getattr(layer, "layers", None)
        at, name = f"{place}{i}", type(layer).__name__ if inner is not None else repr(layer)
        name += f", {layer.join}" if hasattr(layer, "join") else ""
        x = entering if side_by_side else x
        y = None if x is None else layer.forward(x, train=False)[0]
        rows.append((at, indent + name, _shape(y), f"{layer.params.vector.size:,}"))
        if inner is not None:
            _add(rows, layer, x, f"{at}.", indent + "  ")
        x = y


def _batch(net):
    """How many samples at least: the product of the packs of all layers."""
    return prod(_batch(layer) if hasattr(layer, "layers") else getattr(layer, "m", 1) for layer in net.layers)


def _shape(x):
    return "?" if x is None else f"({', '.join(['N', *map(str, x.shape[1:])])})"
