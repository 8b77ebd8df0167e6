"""Every layer, all four maps, to second order, at shapes that hypothesis draws."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinygan import gradcheck
from tinygan.errors import ShapeError
from tinygan.gradcheck import suite
from tinygan.layers import (Affine, AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, LeakyReLU,
                            MaxPool2D, Parallel, ReLU, Reshape, Sigmoid, Softplus, Tanh, UpSampling2D)

small = st.integers(1, 3)
pair = st.one_of(small, st.tuples(small, small))
pixels = st.integers(0, 3)
padding = st.one_of(st.sampled_from(["same", "valid"]), pixels, st.tuples(pixels, pixels),
                    st.tuples(st.tuples(pixels, pixels), st.tuples(pixels, pixels)))
seed = st.integers(0, 2**32 - 1)


def check(layer, shape, seed, train=True):
    x = np.random.default_rng(seed).standard_normal(shape)
    layer.reset(seed)
    try:
        report = gradcheck.check_layer(layer, x, rng=seed, train=train, directions=1, limit=24)
    except ShapeError:
        assume(False)   # the kernel does not fit: that it is refused is tested elsewhere
    report.raise_if_wrong()
    assert not report.skipped and {"dx", "ty", "adjoint", "second dx", "second dtx"} <= set(report)
    assert {f"d{name}" for name in layer.params} <= set(report)
    assert {f"second d{name}" for name in layer.params} <= set(report)


@given(n=small, i=small, o=small, bias=st.booleans(), seed=seed)
def test_dense(n, i, o, bias, seed):
    check(Dense(i, o, bias), (n, i), seed)


@given(n=st.integers(1, 2), h=st.integers(1, 5), w=st.integers(1, 5), i=small, o=small, kernel=pair, stride=pair,
       padding=padding, bias=st.booleans(), seed=seed)
def test_conv2d(n, h, w, i, o, kernel, stride, padding, bias, seed):
    check(Conv2D(i, o, kernel, stride, padding, bias), (n, h, w, i), seed)


@given(n=st.integers(1, 2), h=st.integers(1, 4), w=st.integers(1, 4), i=small, o=small, kernel=pair, stride=pair,
       padding=padding, extra=st.tuples(st.integers(0, 2), st.integers(0, 2)), bias=st.booleans(), seed=seed)
def test_conv_transpose2d(n, h, w, i, o, kernel, stride, padding, extra, bias, seed):
    s = stride if isinstance(stride, tuple) else (stride, stride)
    extra = (0, 0) if padding == "same" else tuple(min(e, k - 1) for e, k in zip(extra, s))
    check(ConvTranspose2D(i, o, kernel, stride, padding, extra, bias), (n, h, w, i), seed)


@pytest.mark.parametrize("pool", [MaxPool2D, AvgPool2D])
@given(h=st.integers(1, 5), w=st.integers(1, 5), c=small, kernel=pair, stride=st.one_of(st.none(), pair),
       padding=padding, seed=seed)
def test_pooling(pool, h, w, c, kernel, stride, padding, seed):
    check(pool(kernel, stride, padding), (2, h, w, c), seed)


@given(h=small, w=small, c=small, factor=pair, seed=seed)
def test_upsampling(h, w, c, factor, seed):
    check(UpSampling2D(factor), (2, h, w, c), seed)


@pytest.mark.parametrize("train", [True, False])
@given(lead=st.one_of(st.tuples(st.integers(4, 8)), st.tuples(small, small, st.integers(4, 5))), c=small, seed=seed)
def test_batch_norm(train, lead, c, seed):
    layer = BatchNorm(c)
    rng = np.random.default_rng(seed)
    layer.state["mean"][...], layer.state["var"][...] = rng.standard_normal(c), rng.uniform(0.5, 2, c)
    layer.draw = lambda rng: {"gamma": rng.uniform(0.5, 2, c), "beta": rng.standard_normal(c)}
    check(layer, (*lead, c), seed, train)


@pytest.mark.parametrize("layer", [LeakyReLU(0.2), LeakyReLU(0), LeakyReLU(1.5), ReLU(), Tanh(), Sigmoid(), Softplus(),
                                   Dropout(0.5), Dropout(0), Flatten()], ids=repr)
@settings(max_examples=12)      # none of them looks at the shape
@given(shape=st.lists(small, min_size=1, max_size=4), seed=seed)
def test_shape_preserving(layer, shape, seed):
    check(layer, tuple(shape), seed)


def test_reshape():
    check(Reshape((3, 2, 1)), (2, 6), 0)


@pytest.mark.parametrize("layer, shape, train", suite.LAYERS, ids=lambda v: repr(v) if hasattr(v, "params") else "")
def test_every_layer_on_every_backend(layer, shape, train, xb):
    """The four maps on each backend give what NumPy gives, and a float32 x stays float32 throughout."""
    from tinygan import backend
    rng = np.random.default_rng(1)
    host = [rng.standard_normal(shape).astype(np.float32) for _ in range(2)]
    results = {}
    for name in {"numpy", xb}:
        one = layer.astype("float32").to(name)
        x, tx = (backend.to(a, name) for a in host)
        y, cache = one.forward(x, train=train, rng=np.random.default_rng(2))
        dy, dty = (backend.to(np.random.default_rng(3 + k).standard_normal(y.shape).astype(np.float32), name)
                   for k in range(2))
        grads = one.zero_grads()
        ty, tcache = one.jvp(tx, cache)
        arrays = [y, ty, one.backward(dy, cache, grads), *one.jvp_backward(dy, dty, cache, tcache, grads),
                  *grads.values(), *one.state.values()]
        assert all(a.dtype == np.float32 for a in arrays)
        results[name] = [backend.asnumpy(a) for a in arrays]
    for ours, theirs in zip(results["numpy"], results[xb]):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean_and_the_share():
    x = np.ones((200, 500))
    y, _ = Dropout(0.3).forward(x, rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert abs((y == 0).mean() - 0.3) < 4 * (0.3 * 0.7 / x.size)**0.5
    assert Dropout(0.3).forward(x, train=False)[0] is x


def test_batch_norm_statistics():
    layer, rng = BatchNorm(2, momentum=0.8), np.random.default_rng(0)
    x = rng.normal(3, 2, (4, 5, 6, 2))
    y, _ = layer.forward(x)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(layer.state["mean"], 0.2 * x.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(layer.state["var"], 0.8 + 0.2 * x.reshape(-1, 2).var(0, ddof=1), rtol=1e-12)
    before = {name: value.copy() for name, value in layer.state.items()}
    layer.forward(x, train=False)
    for name in before:
        np.testing.assert_array_equal(layer.state[name], before[name])


@given(case=st.sampled_from(suite.LAYERS), dtype=st.sampled_from(["float32", "float64"]), n=st.integers(1, 3),
       seed=seed)
def test_the_dtype_of_x_is_that_of_everything(case, dtype, n, seed):
    """A layer on its own computes in the dtype of x, and both dtypes agree to float32's precision."""
    layer, shape, train = case
    x = np.random.default_rng(seed).standard_normal((n * shape[0], *shape[1:]))
    exact, _ = layer.copy().forward(x, train, np.random.default_rng(seed))
    one = layer.astype(dtype) if isinstance(layer, Parallel) else layer.copy()      # networks inside have a dtype
    y, cache = one.forward(x.astype(dtype), train, np.random.default_rng(seed))
    grads = {name: array.astype(dtype) for name, array in one.zero_grads().items()}
    dx = one.backward(np.ones_like(y), cache, grads)
    ty, tcache = one.jvp(x.astype(dtype), cache)
    arrays = [y, dx, ty, *one.jvp_backward(y, ty, cache, tcache, grads), *grads.values()]
    assert all(array.dtype == dtype for array in arrays)
    np.testing.assert_allclose(y, exact, rtol=1e-3, atol=1e-3)


def test_a_bias_is_never_added_into_x():
    class Shift(Affine):
        def __init__(self):
            super().__init__(b=(3,))

        def draw(self, rng):
            return {"b": np.ones(3)}

        def prepare(self, x, train, rng):
            return None

        def map(self, x, ctx):
            return x.reshape(x.shape)

        def adjoint(self, dy, ctx):
            return dy
    x = np.zeros((2, 3), np.float32)
    assert (Shift().forward(x)[0] == 1).all() and not x.any()


def test_of_equal_maxima_the_first_has_the_gradient():
    y, cache = MaxPool2D(2).forward(np.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(MaxPool2D(2).backward(np.ones_like(y), cache)[0, ..., 0], [[1, 0], [0, 0]])


def test_running_statistics_of_a_single_value():
    """One value has no unbiased variance: it counts as 0, not as 0/0."""
    layer = BatchNorm(2)
    y, _ = layer.forward(np.array([[3.0, -1.0]]))
    assert not y.any()
    np.testing.assert_allclose(layer.state["mean"], [0.3, -0.1])
    np.testing.assert_allclose(layer.state["var"], [0.9, 0.9])
