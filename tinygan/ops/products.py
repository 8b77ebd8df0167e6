"""The two plain operations of a dense layer, named so that faster twins can stand in for them."""


def matmul(a, b):
    """a (m, k) @ b (k, n) -> (m, n)."""
    return a @ b


def add_bias(y, b):
    """y (…, o) + b (o,). A twin may write into y: it must be nobody else's."""
    return y + b


def multiply(x, y):
    """x·y, element by element."""
    return x * y
