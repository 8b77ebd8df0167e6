"""The tolerances: of an array, and of each of its elements."""

import numpy as np

from tinygan import gradcheck


def test_small_gradients_are_compared_in_absolute_terms():
    """Below 0.001 the tolerance stays that of 0.001: 1e-11."""
    for scale, tolerance in ((2.0, 1e-8), (1e-5, 1e-6)):
        for error, ok in ((0.8, True), (1.2, False)):
            slope = scale * (1 + error * tolerance)
            report = gradcheck.check_loss(lambda p: (scale * p.sum(), np.full_like(p, slope)), np.ones((2, 2)))
            assert report.ok is ok
