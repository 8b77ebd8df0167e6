"""Layers that are broken on purpose, and the cases of the suite."""

import numpy as np
import pytest

from tinygan import gradcheck
from tinygan.gradcheck import compare, point, suite

# Each rule once: networks inside Parallel have the rules of their layers, large kernels those of small ones.
CASES = [case for case in suite.LAYERS if case[0].params.vector.size <= 60
         and not any(hasattr(part, "layers") for part in getattr(case[0], "layers", ()))]
IDS = [f"{layer!r}{'' if train else ' eval'}" for layer, _, train in CASES]
x_of = lambda shape, seed=0: np.random.default_rng(seed).standard_normal(shape)


def caught(layer, shape, *quantities, train=True, check=gradcheck.check_layer, limit=24):
    """The check of this wrong layer fails, and names (one of) the quantities that are wrong."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (point, compare):         # which element is wrong does not matter here
            patch.setattr(module, "SEARCH", 4)
        report = check(layer, x_of(shape), train=train, limit=limit, directions=2)
    assert not report.ok
    with pytest.raises(gradcheck.GradientError):
        report.raise_if_wrong()
    wrong = {str(text).split(":")[0].split("[")[0] for text in report.failures}
    assert set(quantities) <= wrong, wrong


def mutant(layer, **methods):
    """A copy of the layer with some of its methods replaced; each gets the original's first."""
    new = layer.copy()
    for name, method in methods.items():
        original = getattr(new, name)
        setattr(new, name, lambda *args, method=method, original=original, **kwargs: method(original, *args, **kwargs))
    new.copy = lambda convert=None: new   # check_layer works on a copy; here on the mutant itself
    return new


class Cube:
    """A layer of somebody's own, from nothing but the protocol."""

    def forward(self, x, train=True, rng=None):
        return x**3, x

    def backward(self, dy, x, grads=None):
        return 3 * x * x * dy
