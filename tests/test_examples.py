"""The check of gradients shows orders of error, as theory says; and it leaves its picture."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


differences = load("08_gradient_check")


# 03: the orders of the three rules, and where they end.

@pytest.mark.parametrize("name, best", [("forward", 1e-6), ("central", 1e-9), ("five points", 2e-11)])
def test_orders_of_the_differences(name, best):
    rule, order = differences.RULES[name]
    in_float64, in_float32 = (differences.errors(rule, dtype) for dtype in ("float64", "float32"))
    h = differences.STEPS
    smooth = (h > 2e-3) & (h < 2e-2)
    slope = np.polyfit(np.log(h[smooth]), np.log(in_float64[smooth]), 1)[0]
    assert abs(slope - order) < 0.1
    assert in_float64.min() < best and in_float32.min() > 1e-7 and in_float64[h < 1e-11].min() > 1e-8


def test_pictures(tmp_path):
    differences.figure(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 20_000
