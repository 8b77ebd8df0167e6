"""The tolerances: of an array, and of each of its elements."""

import numpy as np

from tinygan import Sequential, gradcheck
from tinygan.layers import BatchNorm, Dense, Layer

from .helpers import mutant, x_of


def test_small_gradients_are_compared_in_absolute_terms():
    """Below 0.001 the tolerance stays that of 0.001: 1e-11."""
    for scale, tolerance in ((2.0, 1e-8), (1e-5, 1e-6)):
        for error, ok in ((0.8, True), (1.2, False)):
            slope = scale * (1 + error * tolerance)
            report = gradcheck.check_loss(lambda p: (scale * p.sum(), np.full_like(p, slope)), np.ones((2, 2)))
            assert report.ok is ok


def small(factor):
    """y = x·s with s of very different sizes, and dx of one small element wrong by a factor."""
    s = np.array([1.0, -2.0, 0.5, 1e-6, 3.0, -1e-6])

    class Scale(Layer):
        def forward(self, x, train=True, rng=None):
            return s.astype(x.dtype) * x, x

        def backward(self, dy, cache, grads=None):
            dx = s.astype(dy.dtype) * dy
            dx[1, 3] *= factor
            return dx
    return Scale()


def test_an_element_that_is_small_is_checked_too():
    """Half a percent of an element 10⁶ times smaller than the largest is 5·10⁻⁹ of that one: within 1e-8."""
    for factor in (1.005, 0.999, 1.001, -1):
        failure, = [f for f in gradcheck.check_layer(small(factor), x_of((3, 6))).failures if f.quantity == "dx"]
        assert failure.index == (1, 3)
        if factor > 0:      # -1 is beyond the array's tolerance
            assert failure.tolerance < 5e-4 < failure.error and "right in norm, but this element" in failure.cause
    gradcheck.assert_layer(small(1.0), x_of((3, 6)))
    gradcheck.assert_layer(small(1 + 1e-5), x_of((3, 6)))


def test_an_element_that_is_small_is_checked_along_directions_too():
    report = gradcheck.check_backward(small(1.001), x_of((3, 6)), limit=0)
    assert [failure.index for failure in report.failures] == [(1, 3)]
    assert gradcheck.check_backward(small(1.0), x_of((3, 6)), limit=0).ok
    many = np.random.default_rng(0).standard_normal((40, 30)) * 10.0**np.random.default_rng(1).uniform(-6, 0, (40, 30))

    def loss(off):
        d = many.copy()
        d.reshape(-1)[abs(abs(many) - 1e-5).argmin()] *= off
        return lambda p: (float((many * p).sum()), d)
    assert gradcheck.check_loss(loss(1.0), x_of((40, 30))).ok
    report = gradcheck.check_loss(loss(1.01), x_of((40, 30)))
    assert [failure.quantity for failure in report.failures] == ["d0"]


def test_a_small_element_of_ty():
    wrong = small(1.0)
    s = wrong.forward(np.ones((1, 6)))[0]
    for off, ok in ((1.0, True), (1.001, False)):
        wrong.jvp = lambda tx, cache: (s * tx * np.where(s == -1e-6, off, 1.0), tx)
        wrong.copy = lambda convert=None: wrong
        assert gradcheck.check_jvp(wrong, x_of((3, 6))).ok is ok


def test_rounding_of_an_ill_conditioned_function_is_no_error():
    """Two samples: BatchNorm gives ±1 for any x, but for ε; dx is what is left of numbers that cancel."""
    for seed in range(8):
        x = x_of((2, 5), seed)
        gradcheck.check_layer(BatchNorm(5), x, rng=seed).raise_if_wrong()
        net = Sequential([Dense(5, 4), BatchNorm(4), BatchNorm(4)], rng=seed)     # db of Dense is 0 but for rounding
        gradcheck.check_layer(net, x, rng=seed).raise_if_wrong()


def test_a_thousandth_is_an_error_where_rounding_is_large_too():
    for seed in range(5):
        wrong = mutant(BatchNorm(5), backward=lambda f, *args: 1.001 * f(*args))
        assert "dx" in {f.quantity for f in gradcheck.check_layer(wrong, x_of((2, 5), seed), rng=seed).failures}
