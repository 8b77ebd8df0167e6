"""The worked example of an optimiser: some steps, by the formulas of its docstring with numbers."""

import inspect

import numpy as np

from ..gradcheck import Report
from ..layers import Dense, Sequential
from . import formulas
from .numbers import number
from .sums import Part

_SYMBOLS = {"lr": "lr", "β₁": "beta1", "β₂": "beta2", "ε": "eps", "μ": "momentum", "ρ": "rho"}
_OPTIONS = {"lr": 0.1, "momentum": 0.5, "rho": 0.75, "beta1": 0.5, "beta2": 15 / 16}     # as in chapter 7
_HAT = "\u0302"


def example(cls, gradients=(4.0, -4.0, 4.0)):
    """Parts and report of steps with these gradients; there is one parameter θ, which begins at 1."""
    options = {name: _OPTIONS[name] for name in inspect.signature(cls).parameters if name in _OPTIONS}
    optimiser, report, parts = cls(**options), Report(cls.__name__), []
    net = Sequential([Dense(1, 1, bias=False)], dtype="float64")
    net.theta = 1.0
    values = {symbol: getattr(optimiser, name) for symbol, name in _SYMBOLS.items() if hasattr(optimiser, name)}
    slots = {slot + hat for slot in optimiser.slots for hat in ("", _HAT)}
    stated = formulas.assignments(inspect.getdoc(cls) or "", {"θ", *slots})
    state = lambda: {"θ": float(net.theta[0]), **{slot: float(array[0]) for slot, array in optimiser.state.items()}}
    values |= {slot: 0.0 for slot in optimiser.slots}
    for t, g in enumerate(gradients, 1):
        values |= {"t": t, "g": g, **state()}
        optimiser.step(net, {"0.W": np.array([[g]])})
        lines = formulas.filled(report, stated, values, state())
        parts.append(Part(f"step t = {t}, g = {number(g)}", {}, (), tuple(lines)))
    return parts, report
