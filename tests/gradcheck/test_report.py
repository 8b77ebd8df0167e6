"""What a report holds and prints."""

import numpy as np
import pytest

from tinygan import gradcheck
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
