"""The ring: what is trained and looked at, the divergence of packs, and G alone. Learning: benchmarks/learning.py."""

import itertools

import numpy as np
import pytest


@pytest.fixture
def fourteen(chapter):
    return chapter("14_ring").names


@pytest.mark.parametrize("k, m", [(7, 1), (3, 1), (1, 1), (6, 2), (2, 3)])
def test_the_divergence_of_packs(fourteen, k, m):
    """By enumeration of all packs of modes."""
    K = 8
    packs = list(itertools.product(range(K), repeat=m))
    p = np.full(len(packs), K**-m, dtype=float)
    q = np.array([k**-float(m) if max(pack) < k else 0.0 for pack in packs])
    kl = lambda a, b: (a[a > 0] * np.log(a[a > 0] / b[a > 0])).sum()
    expected = (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2
    assert fourteen["jsd"](k, m) == pytest.approx(expected, rel=1e-12)


def test_the_divergence_grows_with_the_pack(fourteen):
    values = [fourteen["jsd"](7, m) for m in (1, 2, 4, 16, 400)]
    assert values == sorted(values) and values[-1] == pytest.approx(np.log(2))


@pytest.mark.parametrize("name", ["plain", "packs of 4", "pairs, R1 + R2"])
def test_what_a_game_returns(fourteen, name):
    options = fourteen["CASES"][name]
    seen, gan = fourteen["play"]((2, 3), **options)
    assert [step for step, _, _ in seen] == [2, 3] and gan.steps == 3
    assert all(samples.shape == (2500, 2) and logits.shape == (60, 60) for _, samples, logits in seen)
    assert (seen[0][2] != seen[1][2]).any()
    assert repr(gan.loss) == ("Relativistic" if "pairs" in name else "NonSaturating")
    assert (gan.penalty is None) == ("R1" not in name)


def test_all_games_start_from_the_same_generator(fourteen):
    thetas = [fourteen["game"](0, **options)[0].G.theta for options in fourteen["CASES"].values()]
    assert all((theta == thetas[0]).all() for theta in thetas)
