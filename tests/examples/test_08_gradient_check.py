"""The gradient check: the orders of the three rules and where they end, and the cause that each mistake is given."""

import numpy as np
import pytest

WORDS = {"sign": "wrong sign", "a factor 2": "a factor 2 too much", "sum for mean": "summed instead of averaged",
         "mean for sum": "averaged instead of summed", "0.1 % off": "1.001 times", "transposed": "the transpose",
         "reversed": "reversed along axis 1", "= for +=": '= ... instead of grads["W"] +=',
         "nothing added": "nothing was added", "kept on the layer": "kept on the layer",
         "f″ left out": "the gradient of ⟨dty, ty⟩ in x is missing"}


@pytest.fixture
def names(chapter):
    return chapter("08_gradient_check").names


@pytest.mark.parametrize("name, best", [("forward", 1e-6), ("central", 1e-9), ("five points", 2e-11)])
def test_orders_of_the_differences(names, name, best):
    _, order = names["RULES"][name]
    in_float64, in_float32 = (names["found"][name, dtype] for dtype in ("float64", "float32"))
    h = names["STEPS"]
    smooth = (h > 2e-3) & (h < 2e-2)
    slope = np.polyfit(np.log(h[smooth]), np.log(in_float64[smooth]), 1)[0]
    assert abs(slope - order) < 0.1
    assert in_float64.min() < best and in_float32.min() > 1e-7 and in_float64[h < 1e-11].min() > 1e-8
    theory = (2.0**-53)**(order / (order + 1))
    assert theory / 10 < in_float64.min() < 10 * theory


@pytest.mark.parametrize("power, exact", [(1, {"forward", "central", "five points"}), (2, {"central", "five points"}),
                                          (3, {"five points"}), (4, {"five points"}), (5, set())])
def test_which_powers_a_rule_differentiates_exactly(names, power, exact):
    """The terms of Taylor's series that cancel; the first that does not has the coefficients of the text."""
    found = {name: rule(lambda t: (1 + t)**power, 0.1) for name, (rule, _) in names["RULES"].items()}
    assert {name for name, value in found.items() if abs(value - power) < 1e-10} == exact
    if power == 3:
        assert found["forward"] == pytest.approx(3.31) and found["central"] == pytest.approx(3.01)
    if power == 5:      # the fifth derivative is 120
        assert found["five points"] == pytest.approx(5 - 0.1**4 / 30 * 120)


def test_each_mistake_is_found_and_its_pattern_named(names):
    reports = names["reports"]
    assert not any(report.ok for report in reports.values())
    for name, words in WORDS.items():
        assert words in str(reports[name]), name
    assert [name for name in reports if name not in WORDS] == ["ε left out", "float32 inside"]
    assert all(name.startswith("second") for name in {f.quantity for f in reports["f″ left out"].failures})


def test_max_over_max(names):
    """Element by element the right derivative of x₂ would be refused, relative to the largest it passes."""
    off = abs(names["by_hand"] - names["numerical"])
    assert (off / names["by_hand"]).max() > 1e-8 > off.max() / names["by_hand"].max()


def test_right_layers_pass(names):
    assert all(names["bars"][name] < 1e-10 for name in names["right"])
