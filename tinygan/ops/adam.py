"""One step of Adam, as on paper: Kingma & Ba 2015, Algorithm 1."""


def adam(theta, g, m, v, lr, beta1, beta2, eps, t):
    """Step t = 1, 2, … on θ with gradient g; θ and the moments m, v are changed in place. Vectors of one shape."""
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    theta -= lr * (m / (1 - beta1**t) / ((v / (1 - beta2**t))**0.5 + eps))
