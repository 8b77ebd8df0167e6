"""The worked example of a layer: its maps on small numbers, entries as sums, and the gradient check."""

import numpy as np

from ..gradcheck import check_layer
from ..layers import Affine
from .numbers import place
from .sums import Part, gradient_as_sum, inner_product, jacobian, output_as_sum, telling


def example(layer, x, dy=None, train=True, seed=0):
    """Parts and report of a layer at x (N, …), in float64; dy: a cotangent of y's shape, by default small integers.

    train: as in forward; seed: of masks. The layer stays as it is. gradcheck.check_layer runs at a random x.
    """
    layer, x = layer.astype("float64") if hasattr(layer, "theta") else layer.copy(), np.array(x, "float64")
    rng = lambda: np.random.default_rng(seed)
    report = check_layer(layer, rng().standard_normal(x.shape), train=train, limit=8)
    y, cache = layer.forward(x, train, rng())
    y = y.copy()        # of Flatten it is a view of x, which `jacobian` moves
    dy, grads = integers(y.shape) if dy is None else np.array(dy, "float64"), layer.zero_grads()
    dx = layer.backward(dy, cache, grads)
    output = lambda: layer.forward(x, train, rng())[0].reshape(-1).copy()
    as_sum = lambda name, gradient, J: gradient_as_sum(report, name, gradient, J, {"y": ("dy", dy)})
    J, parameters = jacobian(output, x), {name: array.copy() for name, array in layer.params.items()}
    forward = [output_as_sum(x, y, J, "b" if "b" in parameters else "y(0)")] if isinstance(layer, Affine) else []
    backward = [as_sum("x", dx, J), *(as_sum(name, grads[name], jacobian(output, layer.params[name]))
                                      for name in parameters)]
    gradients = {f"d{name}": grads[name] for name in parameters}
    parts = [Part("forward(x) -> y", {"x": x, **parameters, "y": y}, tuple(parameters), tuple(forward)),
             Part("backward(dy) -> dx" + ", and the gradients of the parameters" * bool(parameters),
                  {"dy": dy, "dx": dx, **gradients}, tuple(gradients), tuple(backward))]
    if "jvp" not in report.skipped:
        parts.append(_along(report, layer, x, dy, dx, J, cache))
    return parts, report


def _along(report, layer, x, dy, dx, J, cache):
    """jvp of the unit tangent at the entry of dx that was spelled out: the column of J that stood in the sum."""
    j = telling(J, dx)
    tx, at = np.eye(x.size)[j].reshape(x.shape), place(np.unravel_index(j, x.shape))
    ty, _ = layer.jvp(tx, cache)
    report.add("ty, as a column", ty, J[:, j].reshape(dy.shape), 1e-8, {}, words=("the code's", "∂y/∂x"))
    return Part(f"jvp(tx) -> ty, along the unit tangent at x{at}", {"tx": tx, "ty": ty}, (),
                (inner_product(f"dx{at}", dy, ty),))


def integers(shape):
    """Small integers, none of them 0."""
    return np.random.default_rng(3).choice([-2.0, -1.0, 1.0, 2.0, 3.0], shape)
