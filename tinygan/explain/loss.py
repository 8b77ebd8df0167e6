"""The worked example of a loss: the formulas of its docstring with numbers, and the gradient check."""

import inspect

import numpy as np

from ..gradcheck import Report, check_loss
from . import formulas
from .sums import Part

_GRADIENTS = {"r": "d_real", "f": "d_fake"}     # of other arguments: d and the name


def example(loss):
    """Parts and report of an objective, with its maps d_loss and g_loss, or of a function such as losses.bce."""
    rng = np.random.default_rng(0)
    if inspect.isfunction(loss):
        name, t = next(iter(inspect.signature(loss).parameters)), 1.0
        shown = np.array([[0.8], [0.1]] if name == "p" else [[2.0], [-1.0]])
        maps = lambda x: [("loss", lambda x: loss(x, t), {name: x})]
        shown, checked, values = maps(shown), maps(rng.uniform(0.1, 0.9, (6, 1))), {"t": t, "l": shown, "N": len(shown)}
    else:
        r, f = np.array([[2.0], [-1.0]]), np.array([[1.0], [-2.0]])
        maps = lambda r, f: [("d_loss", loss.d_loss, {"r": r, "f": f}),
                             ("g_loss", lambda f: loss.g_loss(f, r), {"f": f})]
        shown, checked = maps(r, f), maps(*rng.standard_normal((2, 6, 1)))
        values = {"r": r, "f": f, "N": len(r), "M": len(f)}
    parts, report = [], Report(getattr(loss, "__name__", repr(loss)))
    stated = _by_map(inspect.getdoc(loss) or "", [title for title, _, _ in shown])
    for (title, map_, arguments), (_, other, elsewhere) in zip(shown, checked):
        names = [title, *(_GRADIENTS.get(name, f"d{name}") for name in arguments)]
        report.merge(formulas.renamed(check_loss(other, *elsewhere.values()), {
            f"d{k}": f"{title}: {gradient}" for k, gradient in enumerate(names[1:])}))
        found, values = dict(zip(names, map_(*arguments.values()))), values | arguments
        lines = tuple(formulas.filled(report, stated.get(title, ()), values, found, f"{title}: "))
        helpers = {name: values[name] for name in "pq" if name in values and name not in arguments}
        function = loss.__name__ if title == "loss" else title
        parts.append(Part(f"{function}({', '.join(arguments)}) -> {', '.join(found)}",
                          {**arguments, **helpers, **found}, (), lines))
    return parts, report


def _by_map(doc, titles):
    """title -> the formulas from the one of this name on; those before the first, abbreviations, belong to all."""
    found = formulas.assignments(doc, {*titles, "d_real", "d_fake", "dp", "dlogits", "p", "q"})
    starts = [i for i, (name, *_) in enumerate(found) if name in titles]
    return {found[i][0]: found[:starts[0]] + found[i:j] for i, j in zip(starts, [*starts[1:], None])}
