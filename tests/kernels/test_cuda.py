"""The functions for a GPU against their formulas in ops: by g++ in the place of the device; on CuPy if it is there."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import emulator
from kernels.emulator import DEVICES, here
from tinygan import backend, kernels
from tinygan.errors import ShapeError
from tinygan.kernels import cublas, cuda, transforms
from tinygan.kernels.workspace import reusing
from tinygan.ops import adam, conv, losses, norm, pointwise, products, random
from tinygan.ops.windows import geometry, windows

SHAPES = [(1, 1), (3, 5), (7, 3, 2, 4), (300, 130), (1025, 3)]   # rows within a block, in blocks, in blocks of blocks


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def _draw(rng, *shapes):
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


def _there(value, device):
    return backend.to(value, device) if isinstance(value, np.ndarray) else value


def _same(device, module, name, *args, rtol=2e-6, scale=1e-3, functions=cuda):
    """The function for the device gives what the formula gives in float64."""
    ours = getattr(functions, name)(*[_there(a, device) for a in args])
    formula = getattr(module, name).formula(*[a.astype("float64") if isinstance(a, np.ndarray) and a.dtype.kind == "f"
                                              else a for a in args])
    for a, b in zip(ours, formula) if isinstance(formula, tuple) else [(ours, formula)]:
        a = backend.asnumpy(a)
        assert a.shape == np.shape(b) and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(scale, np.abs(b).max()))


@pytest.mark.parametrize("shape", SHAPES)
def test_pointwise(device, shape, rng):
    x, t = _draw(rng, shape, shape)
    x.flat[:: 3] = 0
    for slope in (0.0, 0.2, 1.5):
        _same(device, pointwise, "leaky_relu", x, slope)
        _same(device, pointwise, "leaky_relu_d1", t, x, slope)
    _same(device, pointwise, "leaky_relu", x.T, 0.2)        # not dense
    _same(device, pointwise, "sigmoid", 30 * x)
    b, before = x[(0,) * (t.ndim - 1)].copy(), _there(t, device)
    np.testing.assert_array_equal(backend.asnumpy(cuda.add_bias(before, _there(b, device))), t + b)
    np.testing.assert_array_equal(backend.asnumpy(before), t)       # the argument is left alone
    _same(device, products, "add_bias", t.T, np.ones(len(t), "float32"))


@pytest.mark.parametrize("target", [0.0, 0.9, 1])
def test_cross_entropy(device, target, rng):
    logits, = _draw(rng, (37, 1))
    logits[:2] = [[88.0], [-120.0]]
    _same(device, losses, "bce_with_logits", logits, target)


@pytest.mark.parametrize("n", [1, 2, 7, 70_001])
@pytest.mark.parametrize("rate", [1e-9, 7e-6, 0.3, 0.9])
def test_masks_have_the_same_bits_everywhere(device, n, rate, rng):
    (x,), key = _draw(rng, (n, 1)), random.Source(rng).key(np.empty(0))
    for ours, theirs in zip(cuda.dropout(_there(key, device), _there(x, device), rate),
                            random.dropout.formula(key, x, rate)):
        np.testing.assert_array_equal(backend.asnumpy(ours), theirs)


@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (5, 3, 1), (1, 3, 4), (7, 1, 2), (20, 30, 10)])
def test_products_read_matrices_as_they_lie(device, m, k, n, rng):
    a, b, at, bt = _draw(rng, (m, k), (k, n), (k, m), (n, k))
    for x, y in ((a, b), (at.T, b), (a, bt.T), (at.T, bt.T), (np.repeat(a, 2, 0)[::2], b)):
        result = backend.asnumpy(cuda.matmul(_view(x, device), _view(y, device)))
        np.testing.assert_allclose(result, x.astype("float64") @ y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (5, 3, 1), (1, 3, 4), (7, 1, 2), (20, 30, 10), (3, 0, 2)])
def test_rows_of_products_write_where_they_are_told(device, m, k, n, rng):
    """Matrices that lie across each other, transposed ones, one for all, and columns of a larger result."""
    a, b, one = _draw(rng, (4, m, k), (4, k, n), (m, k))
    for x, y in ((a, b), (one, b), (a.transpose(1, 0, 2).copy().transpose(1, 0, 2), b),
                 (a, b.transpose(0, 2, 1).copy().transpose(0, 2, 1)),
                 (np.repeat(a, 2, 1)[:, ::2], np.repeat(b, 2, 2)[:, :, ::2])):
        bases = [_base(array, device) for array in (x, y)]
        whole = _there(np.full((m, 4, n + 2), 7, "float32"), device)
        cublas.batched(*bases, whole[:, :, 1:-1].transpose(1, 0, 2))
        found = backend.asnumpy(whole)
        np.testing.assert_allclose(found[:, :, 1:-1].transpose(1, 0, 2), x.astype("float64") @ y, rtol=1e-5, atol=1e-5)
        assert (found[:, :, [0, -1]] == 7).all()


def _base(x, device):
    """x on the device with the strides that it has on the host."""
    base = x
    while base.base is not None:
        base = base.base
    start = (x.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // 4
    there = _there(base.reshape(-1), device)[start:]
    return backend.get(device).lib.stride_tricks.as_strided(there, x.shape, x.strides)


def _view(x, device):
    """x on the device, as it lies on the host."""
    if x.flags.c_contiguous:
        return _there(x, device)
    return _there(x.T, device).T if x.T.flags.c_contiguous else _there(np.repeat(x, 2, 0), device)[::2]


@pytest.mark.parametrize("shape", [*SHAPES, (2, 3), (1000, 1)])
def test_batch_norm_op_by_op(device, shape, rng):
    c = shape[-1]
    x, t, gamma, beta = _draw(rng, shape, shape, (c,), (c,))
    x += 100        # a mean far from zero: squares about zero would lose it
    axes = tuple(range(x.ndim - 1))
    _same(device, norm, "moments", x, rtol=2e-5)
    ours, theirs = _there(t.reshape(-1, c)[0].copy(), device), t.reshape(-1, c)[0].astype("float64")
    cuda.update_running(ours, _there(gamma, device), 0.9, 1.25)
    norm.update_running.formula(theirs, gamma.astype("float64"), 0.9, 1.25)
    np.testing.assert_allclose(backend.asnumpy(ours), theirs, rtol=1e-6, atol=1e-6)
    mean, s = x.mean(axes), (x.astype("float64").var(axes) + 1e-5).astype("float32")**0.5
    _same(device, norm, "normalize", x, mean, s, gamma, beta, rtol=1e-5, scale=1)
    xhat = norm.normalize.formula(x, mean, s, gamma, beta)[1]
    _same(device, products, "sum_rows", t, rtol=1e-5)
    scale = np.abs(gamma / s).max()
    _same(device, norm, "project", t, xhat, s, rtol=1e-5, scale=np.abs(1 / s).max())
    _same(device, norm, "normalize_backward", t, xhat, s, gamma, rtol=1e-5, scale=scale)


def test_adam_over_steps(device, rng):
    theta, g = _draw(rng, (1000,), (1000,))
    ours = [_there(a, device) for a in (theta.copy(), np.zeros_like(theta), np.zeros_like(theta))]
    theirs = [a.astype("float64") for a in (theta, np.zeros_like(theta), np.zeros_like(theta))]
    for t in range(1, 30):
        now, rates = g * np.float32(t % 5 - 2), (1e-2, 1 - 0.5**t, 1 - 0.999**t)
        cuda.adam(ours[0], _there(now, device), *ours[1:], *_there(np.array(rates, "float32"), device), 0.5, 0.999,
                  1e-8)
        adam.adam.formula(theirs[0], now.astype("float64"), *theirs[1:], *rates, 0.5, 0.999, 1e-8)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(backend.asnumpy(a), b, rtol=1e-5, atol=1e-6)


@here
@settings(max_examples=20)      # each with a kernel of its own to compile
@given(st.data())
def test_convolutions_of_any_geometry(data):
    pick = lambda low, high: data.draw(st.integers(low, high))
    padding = data.draw(st.sampled_from(["same", "valid", ((0, 1), (2, 0)), ((1, 1), (1, 1))]))
    kernel, stride = (pick(1, 3), pick(1, 3)), (pick(1, 2), pick(1, 3))
    try:
        g = geometry((pick(1, 6), pick(1, 6)), kernel, stride, padding)
    except ShapeError:
        return
    n, c, o = pick(1, 3), data.draw(st.sampled_from([1, 3, 4, 8])), pick(1, 5)
    _convolutions("emulated", g, n, c, o, np.random.default_rng(0))


@pytest.mark.parametrize("size, kernel, stride, c, o", [
    ((7, 7), (5, 5), (1, 1), 8, 4), ((14, 14), (5, 5), (2, 2), 4, 3), ((28, 28), (5, 5), (2, 2), 1, 2),
    ((9, 8), (5, 3), (2, 1), 2, 3), ((4, 4), (1, 1), (1, 1), 3, 2), ((4, 4), (1, 1), (2, 2), 4, 2)])
def test_convolutions(device, size, kernel, stride, c, o, rng):
    _convolutions(device, geometry(size, kernel, stride, "same"), 5, c, o, rng)


def _convolutions(device, g, n, c, o, rng):
    x, W, dy = _draw(rng, (n, *g.size, c), (*g.kernel, c, o), (n, *g.out, o))
    for name, args in (("conv", (x, W)), ("conv_input", (dy, W)), ("conv_weight", (x, dy))):
        for functions in (cuda, transforms):
            _same(device, conv, name, *args, g, rtol=1e-5, scale=1, functions=functions)


def test_four_numbers_at_a_time_where_they_are_aligned(device, rng, monkeypatch):
    """A device refuses to read four numbers across their boundary, and then all else."""
    g, chosen, constants = geometry((4, 4), (3, 3), (1, 1), "same"), [], cuda.geometry
    monkeypatch.setattr(cuda, "geometry", lambda *args: chosen.append(args[-1]) or constants(*args))
    x, = _draw(rng, (2, 4, 4, 4))
    shifted = _there(np.append(x[:1, :1, 0, 0], x), device)[1:].reshape(x.shape)
    for there in (_there(x, device), shifted):
        np.testing.assert_array_equal(backend.asnumpy(cuda._windows(there, g)), windows(x, g).reshape(32, -1))
    assert chosen == [True, False]


def test_windows_are_laid_out_once_while_an_array_is_reused(device, rng, monkeypatch):
    g, made = geometry((6, 6), (3, 3), (1, 1), "same"), []
    x, W, dy = (_there(a, device) for a in _draw(rng, (2, 6, 6, 4), (3, 3, 4, 3), (2, 6, 6, 3)))
    whole = cuda._windows
    monkeypatch.setattr(cuda, "_windows", lambda *args: made.append(1) or whole(*args))
    apart = cuda.conv(x, W, g), cuda.conv_weight(x, dy, g)
    with reusing(x):
        together = cuda.conv(x, W, g), cuda.conv_weight(x, dy, g)
    assert len(made) == 3
    for a, b in zip(apart, together):
        np.testing.assert_array_equal(backend.asnumpy(a), backend.asnumpy(b))


def test_the_functions_for_a_device_are_chosen(device, rng, monkeypatch):
    """float32 on a device: the kernels. float64, or use("reference"): the formulas."""
    x = _there(_draw(rng, (3, 4))[0], device)
    monkeypatch.setattr(cuda, "_launch", lambda name, *args, **options: pytest.fail(name))
    for forbidden in (x, x.astype("float64")):
        if forbidden.dtype == np.float32:
            with pytest.raises(pytest.fail.Exception, match="leaky_relu"):
                pointwise.leaky_relu(forbidden, 0.2)
            before = kernels.use("reference")
            try:
                pointwise.leaky_relu(forbidden, 0.2)
            finally:
                kernels.use(before)
        pointwise.leaky_relu(x.astype("float64"), 0.2)


def test_tf32_is_asked_for(device, rng):
    """Off unless asked for; on a GPU it then shows, and stays within ten bits."""
    a, b = _draw(rng, (512, 512), (512, 512))
    assert kernels.tf32(True) is False
    try:
        rounded = backend.asnumpy(products.matmul(_there(a, device), _there(b, device)))
    finally:
        assert kernels.tf32(False) is True
    exact = backend.asnumpy(products.matmul(_there(a, device), _there(b, device)))
    assert np.abs(exact - a.astype("float64") @ b).max() < 1e-3
    assert np.abs(rounded - exact).max() < 0.3 and (device == "emulated" or np.abs(rounded - exact).max() > 1e-3)


def test_too_many_numbers_for_one_kernel(device):
    with pytest.raises(ShapeError, match="smaller batch"):
        cuda._launch("sigmoid", 2**31, backend.get(device).zeros(1, dtype="float32"))


def test_sources_are_ascii():
    """CuPy writes them to a file in the encoding of the locale."""
    paths = sorted(cuda._here.glob("*.cu"))
    assert len(paths) == 2 and all(path.read_bytes().isascii() for path in paths)


@here
def test_a_slightly_wrong_kernel_is_seen(rng, monkeypatch):
    """0.1% off in one place of each kernel's source."""
    read = Path.read_text
    wrong = {"sigmoid": ("1.0f : e) / (1 + e);\n}\n\n// Cross", "1.001f : e) / (1 + e);\n}\n\n// Cross"),
             "leaky_relu": ("x[i] > 0 ? x[i] : slope", "x[i] > 0 ? x[i] * 1.001f : slope")}
    for name, (right, false) in wrong.items():
        monkeypatch.setattr(cuda, "_kernel", lambda xp, kernel, file, constants: emulator.RawModule(
            read(cuda._here / file).replace(right, false)).get_function(kernel))
        assert right in read(cuda._here / "device.cu")
        with pytest.raises(AssertionError):
            _same("emulated", pointwise, name, *_draw(rng, (5, 3)), *([0.2] if name == "leaky_relu" else []))
