"""Each function for NumPy against its formula in ops: in one part and in several, below a block and beyond."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinygan import kernels
from tinygan.kernels import cpu, direct, threads, transforms
from tinygan.kernels.threads import own_threads, parallel
from tinygan.ops import adam, conv, norm, pointwise, products
from tinygan.ops.windows import geometry

SHAPES = [(1, 1), (3, 5), (7, 3, 2, 4), (16, 4, 4, 6), (300, 130)]


@pytest.fixture(params=["one part", "parts"])
def parts(request, monkeypatch):
    """Small blocks; without and with threads of our own (where NumPy's BLAS lets us)."""
    monkeypatch.setattr(threads, "BLOCK", 64)
    monkeypatch.setattr(cpu, "BLOCK", 64)
    monkeypatch.setattr(direct, "BLOCK", 64)
    if request.param == "one part":
        yield
        return
    with own_threads():
        yield


def _draw(rng, *shapes):
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


def _same(module, name, *args, rtol=2e-6, scale=1e-3):
    ours = getattr(direct if module is conv else cpu, name)(*args)
    formula = getattr(module, name).formula(*args)
    for a, b in zip(ours, formula) if isinstance(formula, tuple) else [(ours, formula)]:
        assert a.shape == b.shape and a.dtype == b.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(scale, np.abs(b).max()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.5])
def test_leaky_relu_at_and_around_its_kink(shape, slope, rng, parts):
    x, t = _draw(rng, shape, shape)
    x.flat[:: 3] = 0
    _same(pointwise, "leaky_relu", x, slope)
    _same(pointwise, "leaky_relu_d1", t, x, slope)
    _same(pointwise, "leaky_relu_d1", t.T, x.T, slope)      # not contiguous


@pytest.mark.parametrize("shape", SHAPES)
def test_products(shape, rng, parts):
    a, b, bias = _draw(rng, (shape[0], shape[-1]), (shape[-1], 6), shape[-1:])
    y, other = _draw(rng, shape, shape)
    _same(products, "matmul", a, b, rtol=1e-5)
    _same(products, "matmul", a.T, a, rtol=1e-5)
    _same(products, "multiply", y, other)
    _same(products, "sum_rows", y, rtol=1e-5)
    before = y.copy()
    for z in (y, y[:, ::-1]):
        np.testing.assert_array_equal(cpu.add_bias(z, bias), products.add_bias.formula(z, bias))
    np.testing.assert_array_equal(y, before)        # the argument is left alone


@pytest.mark.parametrize("shape", [(2, 1), (3, 5), (7, 3, 2, 4), (300, 130)])
def test_batch_normalisation(shape, rng, parts):
    x, t = _draw(rng, shape, shape)
    x = 3 * x + 5
    gamma, beta = _draw(rng, shape[-1:], shape[-1:])
    mean, var = norm.moments.formula(x)
    _same(norm, "moments", x, rtol=1e-5)
    s = (var + 1e-5)**0.5
    _same(norm, "normalize", x, mean, s, gamma, beta, rtol=1e-5)
    _, xhat = norm.normalize.formula(x, mean, s, gamma, beta)
    scale = max(1, np.abs(gamma / s).max())         # with two samples P cancels
    _same(norm, "project", t, xhat, s, rtol=1e-5, scale=scale)
    _same(norm, "normalize_backward", t, xhat, s, gamma, rtol=1e-5, scale=scale)


def test_adam_over_steps(rng, parts):
    theta, g = _draw(rng, (1000,), (1000,))
    ours, theirs = ([theta.copy(), np.zeros_like(theta), np.zeros_like(theta)] for _ in range(2))
    for t in range(1, 30):
        for rule, (w, m, v) in ((cpu.adam, ours), (adam.adam.formula, theirs)):
            rule(w, g * np.float32(t % 5 - 2), m, v, 1e-2, 1 - 0.5**t, 1 - 0.999**t, 0.5, 0.999, 1e-8)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", ["conv", "conv_input", "conv_weight"])
def test_convolution_of_few_channels(rule, rng, parts):
    g = geometry((9, 8), (5, 3), (2, 1), "same")
    x, W, dy = _draw(rng, (5, 9, 8, 2), (5, 3, 2, 3), (5, *g.out, 3))
    _same(conv, rule, *{"conv": (x, W), "conv_input": (dy, W), "conv_weight": (x, dy)}[rule], g, rtol=1e-5)


def test_parts_are_worth_a_thread(monkeypatch):
    monkeypatch.setattr(threads, "threads", lambda: 4)
    monkeypatch.setattr(threads, "WORTH", 100)
    work = 10
    assert [threads.parts_of(n, work) for n in (0, 1, 19, 20, 39, 40, 1000)] == [1, 1, 1, 2, 3, 4, 4]
    assert threads.parts_of(3, 1e99) == 3


@pytest.mark.skipif(threads.threads() < 2, reason="one thread here")
def test_parts_cover_everything_once_and_errors_come_through():
    seen = []
    with own_threads():
        parallel(lambda part: seen.append(part), 11)
        inside = []
        parallel(lambda part: parallel(inside.append, 4), 2)     # a part does not split again
        with pytest.raises(ZeroDivisionError):
            parallel(lambda part: 1 / (part.start == 0), 10)
        parallel(lambda part: None, 10)                                  # and all goes on
    assert sorted(i for part in seen for i in range(part.start, part.stop)) == list(range(11)) and len(seen) > 1
    assert inside == [slice(0, 4)] * 2


def test_blas_gets_its_threads_back():
    get = threads.openblas("get_num_threads")
    if get:
        before = get()
        with own_threads(), own_threads():
            assert get() == 1
        assert get() == before


def test_blas_gets_its_threads_back_from_many():
    get = threads.openblas("get_num_threads")
    if get:
        before, x = get(), np.ones((4, 6, 6, 8), np.float32)
        g, W = geometry((6, 6), (3, 3), (1, 1), "same"), np.ones((3, 3, 8, 8), np.float32)
        for _ in range(10):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda i: conv.conv(x, W, g), range(16)))
        assert get() == before


def test_buffers_grow():
    from tinygan.kernels.workspace import scratch
    a, b = scratch("test", (2, 3)), scratch("test", (3, 2))
    assert np.shares_memory(a, b) and scratch("test", (100,)).shape == (100,)
    assert not np.shares_memory(scratch("test", (2,)), scratch("other", (2,)))


def test_a_game_learns_alike_by_functions_and_by_formulas():
    """Thirty steps of a DCGAN wide enough for transforms.py: the losses differ by the growth of rounding errors."""
    from tinygan import GAN, models, optim
    x = np.random.default_rng(0).uniform(-1, 1, (16, 28, 28, 1)).astype("float32")
    curves, used = {}, []
    inner = transforms._run
    for mode in ("fast", "reference"):
        before = kernels.use(mode)
        transforms._run = lambda *a, **k: used.append(mode) or inner(*a, **k)
        try:
            gan = GAN(*models.dcgan(rng=0, width=0.5), g_opt=optim.Adam(2e-4), d_opt=optim.Adam(2e-4), rng=1)
            curves[mode] = [[float(v) for v in gan.step(x).values()] for _ in range(30)]
        finally:
            kernels.use(before)
            transforms._run = inner
    fast, reference = (np.array(curves[mode]) for mode in ("fast", "reference"))
    assert set(used) == {"fast"}
    np.testing.assert_allclose(fast[:3], reference[:3], rtol=1e-3)
    np.testing.assert_allclose(fast, reference, rtol=0.05, atol=0.02)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_begins_anew():
    """Forked while another thread computes, and inside `own_threads`: nothing waits, and BLAS has its threads."""
    script = """if True:
        import os, sys, threading, warnings
        import numpy as np
        from tinygan.kernels import threads
        from tinygan.kernels.threads import own_threads, parallel
        warnings.simplefilter("ignore")
        get, end = threads.openblas("get_num_threads"), []
        before = get and get()

        def work():
            while not end:
                with own_threads():
                    parallel(lambda part: sum(range(3000)), 8)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        for i in range(100):
            child = os.fork()
            if not child:
                ok = threads._inside == 0 and (not get or get() == before)
                with own_threads():
                    parallel(lambda part: None, 8)
                os._exit(0 if ok and not threads._inside else 1)
            assert os.waitpid(child, 0)[1] == 0
        end.append(1)
        thread.join()
        with own_threads():
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0
        assert threads._inside == 0
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_an_interrupt_leaves_nothing_locked():
    if threads.threads() > 1:
        threads._busy.acquire()        # as Ctrl-C between two lines of `parallel` would leave it
        with own_threads():
            assert threads.splits()
        assert not threads._busy.locked()
