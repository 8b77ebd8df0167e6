"""Objectives: closed forms, stability, and gradients for both players."""

import types

import numpy as np
import pytest

from tinygan import backend, gradcheck, losses
from tinygan.errors import BackendError, ConfigError, DtypeError, ShapeError

column = lambda *values, dtype=np.float64: np.array(values, dtype).reshape(-1, 1)


@pytest.mark.parametrize("name", losses.names)
@pytest.mark.parametrize("scale", [0.5, 5.0])
def test_gradients(name, scale):
    loss, (r, f) = losses.get(name), scale * np.random.default_rng(0).standard_normal((2, 7, 1))
    assert gradcheck.check_loss(loss.d_loss, r, f).raise_if_wrong().worst <= 1e-8
    assert gradcheck.check_loss(lambda f: loss.g_loss(f, r), f).raise_if_wrong().worst <= 1e-8


@pytest.mark.parametrize("name", losses.names)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_backend_and_shape_are_kept(name, dtype, xb):
    r, f = (backend.to(a.astype(dtype), xb) for a in np.random.default_rng(0).standard_normal((2, 7, 1)))
    loss = losses.get(name)
    for value in [*loss.d_loss(r, f), *loss.g_loss(f, r)]:
        assert value.dtype == dtype and value.shape in ((), (7, 1)) and backend.name_of(value) == xb


def test_closed_forms():
    log2, zero = np.log(2), column(0, 0)
    sigma = lambda l: 1 / (1 + np.exp(-l))
    for name in ("minimax", "non_saturating"):
        np.testing.assert_allclose(losses.get(name).d_loss(zero, zero)[0], 2 * log2)   # D = ½ everywhere
    f = column(-1.5, 0.3)
    loss, d = losses.get("minimax").g_loss(f)
    np.testing.assert_allclose(loss, np.log(1 - sigma(f)).mean())
    np.testing.assert_allclose(d, -sigma(f) / 2)
    loss, d = losses.get("non_saturating").g_loss(f)
    np.testing.assert_allclose(loss, -np.log(sigma(f)).mean())
    np.testing.assert_allclose(d, (sigma(f) - 1) / 2)
    np.testing.assert_allclose(losses.get("least_squares").d_loss(column(1.0), column(0.0))[0], 0)
    np.testing.assert_allclose(losses.get("hinge").d_loss(column(0.5, 3), column(-3, 0.5))[0], 0.25 + 0.75)
    assert not losses.get("hinge").d_loss(column(1.5), column(-1.5))[1].any()   # beyond the margin
    np.testing.assert_allclose(losses.get("wasserstein").d_loss(column(3, 1), column(1, 0))[0], -1.5)
    np.testing.assert_allclose(losses.get("relativistic").d_loss(zero, zero)[0], log2)
    fooled = losses.get("minimax").g_loss(column(-20.0))[1], losses.get("non_saturating").g_loss(column(-20.0))[1]
    assert abs(fooled[0]) < 1e-8 and abs(fooled[1] + 1) < 1e-8   # why the second one exists


def test_the_optimal_discriminators_and_their_divergences(rng):
    """Two points with p = (3, 1)/4 and q = (1, 3)/4, as batches of four: no other logits give a smaller loss."""
    p, q = np.array([0.75, 0.25]), np.array([0.25, 0.75])
    real, fake = [0, 0, 0, 1], [0, 1, 1, 1]
    entropy = lambda *d: -sum((x * np.log(x)).sum() for x in d)
    jsd = lambda p, q: entropy((p + q) / 2) - entropy(p, q) / 2
    pairs = np.outer(p, q).reshape(-1)
    swapped, half = np.outer(q, p).reshape(-1), p / (p + q)
    for name, best, least in [("minimax", np.log(p / q), 2 * np.log(2) - 2 * jsd(p, q)),
                              ("least_squares", half, 0.25 - ((p - q)**2 / (p + q)).sum() / 8),
                              ("hinge", np.sign(p - q), 2 - abs(p - q).sum())]:
        at = lambda l: float(losses.get(name).d_loss(column(*l[real]), column(*l[fake]))[0])
        np.testing.assert_allclose(at(best), least, rtol=1e-12, err_msg=name)
        assert all(at(best + 0.1 * rng.standard_normal(2)) > least for _ in range(20)), name
    i, j = np.divmod(np.arange(16), 4)      # all pairs of a real and a fake sample
    at = lambda l: float(losses.get("relativistic").d_loss(column(*l[real][i]), column(*l[fake][j]))[0])
    np.testing.assert_allclose(at(np.log(p / q)), np.log(2) - jsd(pairs, swapped), rtol=1e-12)
    assert all(at(np.log(p / q) + 0.1 * rng.standard_normal(2)) > at(np.log(p / q)) for _ in range(20))
    slope_one = column(*np.array([1.0, 0.0])[real]), column(*np.array([1.0, 0.0])[fake])      # the points are 0 and 1
    np.testing.assert_allclose(losses.get("wasserstein").d_loss(*slope_one)[0], -0.5)         # half the mass moves by 1


def test_label_smoothing():
    r, f = column(0.2, 2.0), column(-0.5, 1.0)
    plain, smooth = losses.get("non_saturating").d_loss(r, f), losses.get("non_saturating", smoothing=0.1).d_loss(r, f)
    np.testing.assert_allclose(smooth[1], plain[1] + 0.1 / 2)   # ∂/∂r: σ(r) − 0.9 instead of σ(r) − 1
    assert (smooth[2] == plain[2]).all()                       # one-sided
    best = column(np.log(9.0))                                 # D = 0.9 is now the best answer
    np.testing.assert_allclose(losses.get("minimax", 0.1).d_loss(best, f)[1], 0, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bce_where_d_is_most_wrong(dtype):
    p = column(0, 1, dtype=dtype)
    loss, dp = losses.bce(p, 1 - p)
    assert np.isfinite(loss) and np.isfinite(dp).all() and loss > 10
    assert dp[0, 0] < -1e5 and dp[1, 0] > 1e5                  # not killed, and of the right sign
    loss, dp = losses.bce(p, p)
    assert loss == 0 and (abs(dp) <= 1).all()
    assert dp.dtype == loss.dtype == dtype
    ordered = losses.bce(column(0, 1e-20, 1e-8, 0.1, 0.5, dtype=dtype), 1.0)[1]
    assert (np.diff(ordered[:, 0]) >= 0).all()                 # the steeper the more wrong


def test_bce_is_smooth_through_epsilon():
    eps = np.finfo(float).eps
    for p in (0.5 * eps, eps, 2 * eps):
        h = eps / 100
        numerical = (losses.bce(column(p + h), 1.0)[0] - losses.bce(column(p - h), 1.0)[0]) / (2 * h)
        np.testing.assert_allclose(losses.bce(column(p), 1.0)[1][0, 0], numerical, rtol=0.02)


def test_bce_inside_is_the_formula():
    p, t = column(0.1, 0.5, 0.99), column(1.0, 0.3, 0.0)
    loss, dp = losses.bce(p, t)
    np.testing.assert_allclose(loss, -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), rtol=1e-14)
    np.testing.assert_allclose(dp, (p - t) / (p * (1 - p)) / 3, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
def test_logits_of_ten_thousand(dtype, target):
    loss, d = losses.bce_with_logits(column(1e4, -1e4, dtype=dtype), target)
    assert loss.dtype == d.dtype == dtype
    np.testing.assert_allclose(loss, ((1 - target) * 1e4 + target * 1e4) / 2, rtol=1e-6)
    np.testing.assert_array_equal(d[:, 0], np.array([(1 - target) / 2, -target / 2], dtype))
    assert all(np.isfinite(v).all() for name in losses.names
               for v in losses.get(name).d_loss(column(1e4, -1e4, dtype=dtype), column(-1e4, 1e4, dtype=dtype)))


def test_small_probabilities_keep_their_digits():
    np.testing.assert_allclose(losses.bce_with_logits(column(-50.0), 0.0)[1][0, 0], np.exp(-50.0), rtol=1e-12)


def test_targets():
    l = column(0.5, -1, dtype=np.float32)
    assert losses.bce_with_logits(l, np.ones((2, 1)))[1].dtype == np.float32        # a float64 target
    assert losses.bce_with_logits(l, np.float64(1))[1].dtype == np.float32
    with pytest.raises(ShapeError, match=r"target of the shape of logits, \(2, 1\), got \(2,\)"):
        losses.bce_with_logits(l, np.ones(2))     # would broadcast to (2, 2)
    with pytest.raises(BackendError, match="got list"):
        losses.bce(column(0.5), [1.0])
    with pytest.raises(DtypeError, match="got int64"):
        losses.bce(np.ones((2, 1), int), 1.0)
    with pytest.raises(ShapeError, match="empty"):
        losses.bce(np.ones((0, 1)), 1.0)


def test_bad_choices():
    with pytest.raises(ConfigError, match="unknown loss 'wgan'; choose one of: minimax, non_saturating"):
        losses.get("wgan")
    with pytest.raises(ConfigError, match="got 1.5"):
        losses.get("minimax", smoothing=1.5)
    with pytest.raises(ConfigError, match="needs a cross-entropy loss"):
        losses.get("hinge", smoothing=0.1)
    with pytest.raises(ShapeError, match="batches of the same size"):
        losses.get("relativistic").d_loss(column(1), column(1, 2))
    with pytest.raises(ConfigError, match="expected real logits too"):
        losses.get("relativistic").g_loss(column(1))
    assert losses.get("non-saturating").smoothing == 0
    with pytest.raises(ConfigError, match=r"got the class Hinge; write Hinge\(\)"):
        losses.get(losses.Hinge)
    with pytest.raises(ConfigError, match="the name of a loss beside smoothing, got Hinge"):
        losses.get(losses.Hinge(), smoothing=0.1)
    own = types.SimpleNamespace(d_loss=None, g_loss=None)
    assert losses.get(own) is own


@pytest.mark.parametrize("name", losses.names)
def test_logits_at_the_border(name):
    loss, good = losses.get(name), np.ones((3, 1), np.float32)
    for bad, error in ((good.astype(int), DtypeError), (good.astype("float16"), DtypeError), (good[:0], ShapeError),
                       ([[1.0]] * 3, BackendError), (good.astype("float64"), DtypeError)):
        with pytest.raises(error):
            loss.d_loss(good, bad)
        if error is not DtypeError or bad.dtype != np.float64:
            with pytest.raises(error):
                loss.g_loss(bad, bad)


# That loss and gradient agree says nothing of whether it is this loss: here are the formulas, written once more.
a = lambda logits: np.logaddexp(0, logits).mean()
FORMULAS = {
    "minimax": (lambda r, f: a(-r) + a(f), lambda r, f: -a(f)),
    "non_saturating": (lambda r, f: a(-r) + a(f), lambda r, f: a(-f)),
    "least_squares": (lambda r, f: ((r - 1)**2).mean() / 2 + (f**2).mean() / 2, lambda r, f: ((f - 1)**2).mean() / 2),
    "hinge": (lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(), lambda r, f: -f.mean()),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (lambda r, f: a(f - r), lambda r, f: a(r - f)),
    "relativistic_average": (lambda r, f: a(f.mean() - r) + a(f - r.mean()),
                             lambda r, f: a(r - f.mean()) + a(r.mean() - f)),
}


@pytest.mark.parametrize("name", losses.names)
def test_the_formulas(name):
    loss, (r, f) = losses.get(name), np.random.default_rng(0).standard_normal((2, 5, 1))
    np.testing.assert_allclose(loss.d_loss(r, f)[0], FORMULAS[name][0](r, f), rtol=1e-13)
    np.testing.assert_allclose(loss.g_loss(f, r)[0], FORMULAS[name][1](r, f), rtol=1e-13)
    if name != "relativistic":      # which goes in pairs
        gradcheck.check_loss(loss.d_loss, r, f[:3]).raise_if_wrong()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_tangent_at_a_pole(dtype):
    eps = np.finfo(dtype).eps
    loss, dp = losses.bce(np.zeros((1, 1), dtype), 1.0)
    assert dp[0, 0] == -1 / eps and float(loss) == pytest.approx(1 - np.log(eps), rel=1e-6)


def test_small_losses_are_not_rounded_away():
    loss, d = losses.bce_with_logits(np.full((1, 1), -40.0), 0.0)
    assert float(loss) == pytest.approx(np.exp(-40), rel=1e-12) and d[0, 0] == pytest.approx(np.exp(-40), rel=1e-12)


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 2, 1)])
def test_means_are_over_all_elements(shape, rng):
    """For logits of any shape, such as one for each patch: loss and gradient agree, and equal those of a flat array."""
    p, real, fake = rng.uniform(0.01, 0.99, shape), *rng.standard_normal((2, *shape))
    gradcheck.check_loss(lambda p: losses.bce(p, 0.9), p).raise_if_wrong()
    gradcheck.check_loss(lambda l: losses.bce_with_logits(l, 0.9), real).raise_if_wrong()
    for name in losses.names:
        loss = losses.get(name)
        gradcheck.check_loss(loss.d_loss, real, fake).raise_if_wrong()
        for ours, flat in zip(loss.d_loss(real, fake), loss.d_loss(real.ravel(), fake.ravel())):
            np.testing.assert_allclose(ours.ravel(), flat.ravel(), rtol=1e-12)
        for ours, flat in zip(loss.g_loss(fake, real), loss.g_loss(fake.ravel(), real.ravel())):
            np.testing.assert_allclose(ours.ravel(), flat.ravel(), rtol=1e-12)
