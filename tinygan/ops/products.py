"""Products and sums of a dense layer."""

from .registry import op


@op
def matmul(a, b):
    """a (m, k) @ b (k, n) -> (m, n)."""
    return a @ b


@op
def add_bias(y, b):
    """y (…, o) + b (o,)."""
    return y + b


@op
def sum_rows(x):
    """Σ x over all axes but the last, (o,): the gradient of a bias that was added to (…, o), from x = dy."""
    return x.sum(tuple(range(x.ndim - 1)))


@op
def multiply(x, y):
    """x·y, element by element."""
    return x * y
