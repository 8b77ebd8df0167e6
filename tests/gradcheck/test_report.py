"""What a report holds and prints."""

import json

import numpy as np
import pytest

from tinygan import Sequential, gradcheck
from tinygan.layers import Dense, Tanh

from .helpers import mutant, x_of


def test_the_report_names_index_numbers_and_inputs():
    def one_wrong(f, x, dy, ctx):
        dW = f(x, dy, ctx)
        dW[7, 5] += 1e-3
        return dW
    for shape in [(3, 8), (4, 8)]:
        report = gradcheck.check_backward(mutant(Dense(8, 6), wgrad=one_wrong), x_of(shape), limit=60)
        failure, = report.failures
        text = failure.details()
        assert text.startswith("dW[7, 5]: by hand ") and "by differences" in text and "relative error" in text
        assert f"x {shape} =" in text and "dy" in text and "W (8, 6) =" in text
    large = gradcheck.check_backward(mutant(Dense(8, 6), wgrad=one_wrong), x_of((3, 8)), limit=10)
    assert str(large.failures[0]).startswith("dW[7, 5]: by hand ")   # found after a random direction had failed
    assert "WRONG" in str(large) and "dW" in str(large)


def test_where_and_what_is_wrong():
    class Nan(Dense):
        def backward(self, dy, cache, grads=None):
            dx = super().backward(dy, cache, grads)
            dx[1, 2] = np.nan
            return dx

    class Nothing(Dense):
        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            return super().jvp_backward(dy, dty, cache, tcache, grads)[0], None

    class Wide(Dense):
        def jvp(self, tx, cache):
            ty, tcache = super().jvp(tx, cache)
            return ty[None], tcache
    for layer, words in ((Nan(3, 2), r"dx\[1, 2\]: by hand nan"), (Nothing(3, 2), "second dtx.*got NoneType"),
                         (Wide(3, 2), r"ty: expected the shape \(4, 2\), got \(1, 4, 2\)")):
        with pytest.raises(gradcheck.GradientError, match=words):
            gradcheck.check_layer(layer, x_of((4, 3))).raise_if_wrong()


def test_the_direction_is_shown_where_it_counts():
    class Bent(Tanh):
        def d2(self, t, x, y):
            return 0.5 * super().d2(t, x, y)
    report = gradcheck.check_layer(Bent(), x_of((3, 2)))
    assert report.failures and all("\n  tx (" in failure.details() for failure in report.failures)


def test_the_hint_on_first_order():
    """It is for wrong numbers at both orders, not for what is float64 in float32."""
    class Double(Tanh):
        def d1(self, t, x, y):
            return super().d1(t, x, y) * np.float64(1)

    class Wrong(Tanh):
        def d1(self, t, x, y):
            return super().d1(t, x, y) + t * x
    hint = "jvp_backward often calls backward"
    for layer, given in ((Double(), False), (Wrong(), True)):
        text = str(gradcheck.check_layer(layer, x_of((3, 4))))
        assert "WRONG" in text and (hint in text) is given


class Broken(Dense):
    """Wrong in all that it gives."""

    def adjoint(self, dy, ctx):
        return 0.5 * super().adjoint(dy, ctx)

    def wgrad(self, x, dy, ctx):
        return super().wgrad(x, dy, ctx) / len(x)


def test_a_failing_report_is_short_and_the_rest_is_there_on_request():
    net = Sequential([Broken(6, 6) for _ in range(8)], rng=0)
    report = gradcheck.check_layer(net, x_of((3, 6)))
    text = str(report)
    assert len(report.failures) > 20 and len(text.split("\n")) <= 30 and " failures more\n" in text
    assert text.endswith("report.details() gives every failure, with the arrays that led to it") and len(text) < 5000
    details = report.details()
    assert all(str(failure) in details for failure in report.failures) and "x (3, 6) =" in details
    assert details.count("  x (3, 6) =") < len(report.failures)     # not once more for each
    with pytest.raises(gradcheck.GradientError) as error:
        report.raise_if_wrong()
    assert str(error.value) == text


def test_to_dict():
    found = json.loads(json.dumps(gradcheck.check_layer(Broken(4, 3), x_of((5, 4))).to_dict(), allow_nan=False))
    assert found["name"] == "Dense(4, 3)" and found["ok"] is False and found["worst"] > 0.1
    failure = [failure for failure in found["failures"] if failure["quantity"] == "dW"][0]
    assert failure["cause"].endswith("averaged instead of summed") and len(failure["index"]) == 2
    assert abs(failure["by_hand"] * 5 - failure["numerical"]) < 1e-8 and failure["tolerance"] == 1e-8
    assert abs(failure["relative_error"] - 0.8) < 1e-6 and found["errors"]["dW"] == failure["relative_error"]
    right = gradcheck.check_layer(Dense(4, 3), x_of((5, 4))).to_dict()
    assert right["ok"] is True and right["failures"] == right["warnings"] == right["skipped"] == []
    assert all(type(error) is float for error in right["errors"].values())

    class Wide(Dense):
        def backward(self, dy, cache, grads=None):
            return super().backward(dy, cache, grads)[None]
    wide = gradcheck.check_layer(Wide(4, 3), x_of((5, 4))).to_dict()
    json.dumps(wide, allow_nan=False)
    assert wide["ok"] is False and wide["errors"]["dx"] is None and wide["failures"][0]["by_hand"] is None


def test_assert_layer():
    assert gradcheck.assert_layer(Dense(4, 3), x_of((5, 4))).ok
    with pytest.raises(AssertionError, match="averaged instead of summed"):
        gradcheck.assert_layer(Broken(4, 3), x_of((5, 4)))
    report = gradcheck.assert_layer(Dense(4, 3), x_of((5, 4)), rng=3, train=False, directions=1, limit=0)
    assert report.details().startswith("Dense(4, 3): ok")
