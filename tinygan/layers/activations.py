"""Activations: f, f′ and f″ of each are in `ops/pointwise.py`; `Pointwise` makes the four maps of them.

x of any shape (N, …) -> y of the same shape.
"""

from ..errors import ConfigError
from ..ops import pointwise as op
from .pointwise import Pointwise


class LeakyReLU(Pointwise):
    """y = x where x > 0, else slope·x.  f′ = 1 or slope (slope at 0), f″ = 0.  Maas et al. 2013."""

    def __init__(self, slope=0.2):
        if not slope >= 0:
            raise ConfigError(f"expected slope ≥ 0, got {slope!r}")
        self.slope = float(slope)
        super().__init__()

    def f(self, x):
        return op.leaky_relu(x, self.slope)

    def d1(self, t, x, y):
        return op.leaky_relu_d1(t, x, self.slope)

    def __repr__(self):
        return f"LeakyReLU({self.slope:g})"


class ReLU(LeakyReLU):
    """y = max(x, 0): LeakyReLU of slope 0.  f′ = 1 or 0 (0 at 0), f″ = 0.  Nair & Hinton 2010."""

    def __init__(self):
        super().__init__(slope=0.0)

    __repr__ = Pointwise.__repr__


class Tanh(Pointwise):
    """y = tanh x = s/c with s, c = (eˣ ∓ e⁻ˣ)/2.  f′ = 1 − y²,  f″ = −2y(1 − y²).

    As s′ = c and c′ = s, the quotient rule gives f′ = (c² − s²)/c² = 1 − y²; f″ = −2y·f′ by the chain rule.
    """

    def f(self, x):
        return op.tanh(x)

    def d1(self, t, x, y):
        return op.tanh_d1(t, x, y)

    def d2(self, t, x, y):
        return op.tanh_d2(t, x, y)


class Sigmoid(Pointwise):
    """y = 1/(1 + e⁻ˣ).  f′ = y(1 − y),  f″ = y(1 − y)(1 − 2y).  To read logits as probabilities.

    f′ = e⁻ˣ/(1 + e⁻ˣ)² is y times e⁻ˣ/(1 + e⁻ˣ) = 1 − y; the product rule gives f″ = f′·(1 − y) − y·f′.
    """

    def f(self, x):
        return op.sigmoid(x)

    def d1(self, t, x, y):
        return op.sigmoid_d1(t, x, y)

    def d2(self, t, x, y):
        return op.sigmoid_d2(t, x, y)


class Softplus(Pointwise):
    """y = log(1 + eˣ).  f′ = σ(x),  f″ = σ(x)(1 − σ(x)): a ReLU with curvature everywhere.

    f′ = eˣ/(1 + eˣ) = 1/(1 + e⁻ˣ) is the logistic function σ (`Sigmoid`), and f″ its derivative.  Dugas et al. 2001.
    """

    def f(self, x):
        return op.softplus(x)

    def d1(self, t, x, y):
        return op.softplus_d1(t, x, y)

    def d2(self, t, x, y):
        return op.softplus_d2(t, x, y)
