"""Is this gradient right? Hand-written derivatives against numerical ones, to second order.

    report = check_layer(MyLayer(…), x)       all four maps of a layer, or of a whole network
    report = check_loss(my_loss, p)           a function arrays -> (loss, gradient of each array)
    print(report); report.raise_if_wrong()    30 lines at most; report.details() is all, report.to_dict() for JSON
    assert_layer(MyLayer(…), x)               the same in one line, for pytest

    >>> import numpy as np
    >>> from tinygan.layers import Dense
    >>> report = check_layer(Dense(3, 2), np.random.default_rng(0).standard_normal((4, 3)))
    >>> report.ok, report["dW"] < 1e-8, report["second dW"] < 1e-8
    (True, True, True)

In this package: `checks` (the checks), `point` (a layer at one x), `differences` (numerical derivatives),
`compare` (tolerances), `diagnosis` (the cause of a disagreement), `contract` (mistakes that precede any number),
`report` (the result) and `suite` (all layers, losses and networks of the library).
"""

from .checks import (assert_layer, check_adjoint, check_backward, check_float32, check_jvp, check_layer, check_loss,
                     check_second_order)
from .differences import derivative
from .report import GradientError, Report

__all__ = ["GradientError", "Report", "assert_layer", "check_adjoint", "check_backward", "check_float32", "check_jvp",
           "check_layer", "check_loss", "check_second_order", "derivative"]
