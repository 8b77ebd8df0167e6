"""Masks from a key and a counter."""

import numpy as np
import pytest

from tinygan import backend
from tinygan.errors import ConfigError
from tinygan.ops.random import Source, bernoulli, dropout, scramble, threshold

LIKE = np.zeros(1, np.float32)


def test_triple32_is_the_published_function():
    def scalar(x):
        for shift, factor in ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB)):
            x ^= x >> shift
            x = x * factor % 2**32
        return x ^ x >> 14
    x = np.random.default_rng(0).integers(0, 2**32, 1000, dtype=np.uint32)
    expected = [scalar(int(v)) for v in x]
    distinct = len(set(x.tolist()))
    assert scramble(x, (0, 0)).tolist() == expected and len(set(expected)) == distinct   # a bijection


@pytest.mark.parametrize("p", [0.01, 0.3, 0.7, 0.99])
def test_share_and_independence(p):
    n, sigma = 400_000, (p * (1 - p))**0.5
    masks = [bernoulli(Source(s).key(LIKE), (n,), p) for s in range(4)]
    for i, a in enumerate(masks):
        assert abs(a.mean() - p) < 4.5 * sigma / n**0.5
        for b in [*masks[i + 1:], np.roll(a, 1), np.roll(a, 64), np.roll(a, 12544)]:
            assert abs(((a - p) * (b - p)).mean()) < 4.5 * sigma**2 / n**0.5   # no correlation


def test_neighbouring_keys_share_nothing():
    masks = [bernoulli(key, (100_000,), 0.5) for key in [(0, 0), (0, 1), (1, 0), (1, 1), (2**32 - 1, 0)]]
    for i, a in enumerate(masks):
        for b in masks[i + 1:]:
            assert abs((a == b).mean() - 0.5) < 0.01


def test_same_key_same_mask_everywhere(xb):
    mask = bernoulli((123, 456), (7, 5, 3), 0.4, xb)
    np.testing.assert_array_equal(backend.asnumpy(mask), bernoulli((123, 456), (7, 5, 3), 0.4))
    assert bernoulli((1, 2), (9,), 1, xb).all() and not bernoulli((1, 2), (9,), 0, xb).any()


def test_keys():
    rng = Source(0)
    keys = [rng.key(LIKE) for _ in range(100)]
    assert len({tuple(key.tolist()) for key in keys}) == 100 and all(key.dtype == np.uint32 for key in keys)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        bernoulli((1, 2), (3,), 1.5)


@pytest.mark.parametrize("n", [1, 2, 7, 70_001])
@pytest.mark.parametrize("rate", [1e-9, 0.3, 0.9])
def test_dropout_is_the_same_from_the_faster_function(n, rate, rng):
    x, key = rng.standard_normal((n, 1)).astype("float32"), Source(rng).key(LIKE)
    y, mask = dropout(key, x, rate)
    np.testing.assert_array_equal(mask, dropout.formula(key, x, rate)[1])
    np.testing.assert_array_equal(y, x * mask)
    assert mask.dtype == np.float32 and set(np.unique(mask)) <= {0, np.float32(1 / (1 - rate))}


def test_probabilities_are_rounded_to_sixteen_bits():
    assert [threshold(p) for p in (0, 0.3, 0.7, 1 - 2.0**-17, 1)] == [0, 19661, 45875, 65536, 65536]
