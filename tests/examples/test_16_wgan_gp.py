"""WGAN-GP on a line: duality, and the slope and the bias of the best penalised critic, against direct minimisation."""

import numpy as np
import pytest


@pytest.fixture
def wgan(chapter):
    return chapter("16_wgan_gp").names


def test_sorting_and_distribution_functions_agree(wgan):
    step = wgan["t"][1] - wgan["t"][0]
    assert abs(wgan["flow"]).sum() * step == pytest.approx(wgan["distance"], abs=step)


def test_duality(wgan):
    """No 1-Lipschitz function on a grid exceeds W₁, and f′ = sign(Q − P) reaches it."""
    x, y, t = wgan["x"][:, 0], wgan["y"][:, 0], wgan["t"]
    gain = lambda slopes: np.diff([np.interp(a, t, np.cumsum(slopes) * (t[1] - t[0])).mean() for a in (y, x)])[0]
    rng = np.random.default_rng(0)
    assert gain(np.sign(wgan["flow"])) == pytest.approx(wgan["distance"], abs=0.02)
    assert max(gain(rng.uniform(-1, 1, len(t))) for _ in range(20)) < wgan["distance"]


def test_the_density_between_pairs(wgan):
    """ρ has integral 1, and agrees with points drawn as the penalty draws them."""
    t, step, rng = wgan["t"], wgan["t"][1] - wgan["t"][0], np.random.default_rng(0)
    assert wgan["rho"].sum() * step == pytest.approx(1, abs=0.02)
    n = 200_000
    x, y, eps = rng.choice(wgan["x"][:, 0], n), rng.choice(wgan["y"][:, 0], n), rng.random(n)
    between = eps * x + (1 - eps) * y
    for low, high in ((-2, -1), (0, 1), (1.5, 2.5)):
        inside = (t >= low) & (t < high)
        assert wgan["rho"][inside].sum() * step == pytest.approx(np.mean((between >= low) & (between < high)), abs=0.01)


@pytest.mark.parametrize("lam", [1.0, 10.0])
def test_the_best_slope(wgan, lam):
    """Point by point the slope minimises −s(Q − P) + λρ(|s| − 1)², found here on a grid."""
    slopes, estimate = wgan["in_theory"](lam)
    s = np.linspace(-6, 6, 12_001)
    for k in (150, 280, 350, 480):
        flow, rho = wgan["flow"][k], wgan["rho"][k]
        assert s[(-s * flow + lam * rho * (abs(s) - 1)**2).argmin()] == pytest.approx(slopes[k], abs=0.002)
    assert estimate > wgan["distance"]


def test_a_trained_critic_of_two_points(wgan):
    """d = 2, λ = 10: slope 1 + d/2λ. From the start at the best slope, the gradient is 0."""
    D = wgan["two_points"].copy()
    D.params["0.W"] = 1.1
    wgan["train"](D, np.array([[2.0]]), np.array([[0.0]]), 1, lam=10.0)
    assert D.params["0.W"].item() == pytest.approx(1.1, abs=1e-6)
