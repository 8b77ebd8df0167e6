"""One step of Adam, as on paper: Kingma & Ba 2015, Algorithm 1."""

from .registry import op


@op
def adam(theta, g, m, v, lr, c1, c2, beta1, beta2, eps):
    """A step on θ with gradient g; θ and the moments m, v are changed in place. Vectors of one shape.

    lr, c1, c2: the learning rate and the bias corrections 1 − β₁ᵗ, 1 − β₂ᵗ of this step, t = 1, 2, …
    """
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    theta -= lr * (m / c1 / ((v / c2)**0.5 + eps))
