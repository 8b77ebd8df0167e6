"""The plain operations of a dense layer, named so that faster twins can stand in for them."""

from .pointwise import leaky_relu


def matmul(a, b):
    """a (m, k) @ b (k, n) -> (m, n)."""
    return a @ b


def add_bias(y, b, slope=1):
    """y (…, o) + b (o,), then LeakyReLU of this slope. A twin may write into y: it must be nobody else's."""
    return y + b if slope == 1 else leaky_relu(y + b, slope)


def sum_rows(x):
    """Σ x over all axes but the last, (o,): what a bias that was added to (…, o) receives from x = dy."""
    return x.sum(tuple(range(x.ndim - 1)))


def multiply(x, y):
    """x·y, element by element."""
    return x * y
