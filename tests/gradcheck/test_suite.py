"""The library under its own check: no right layer, loss or network raises an alarm."""

import pytest

from tinygan import Sequential, gradcheck, models

from .helpers import CASES, IDS, x_of


@pytest.mark.parametrize("layer, shape, train", CASES, ids=IDS)
def test_no_alarm_over_seeds(layer, shape, train):
    for seed in range(5):
        report = gradcheck.check_layer(layer, x_of(shape, seed), rng=seed, train=train)
        assert report.raise_if_wrong().worst <= 1e-8 and report["adjoint"] <= 1e-12


@pytest.mark.parametrize("name, options", [("mlp", {}), ("dcgan", {"width": 0.05})])
def test_networks_end_to_end(name, options):
    for seed in range(2):
        net = Sequential([*models.get(name).build(rng=seed, **options)])
        report = gradcheck.check_layer(net, x_of((3, 100), seed), rng=seed, directions=1, limit=0).raise_if_wrong()
        assert {f"d{name}" for name in net.params} | {f"second d{name}" for name in net.params} <= set(report)


def test_one_wrong_layer_in_a_network_is_found():
    G, D = models.mlp(rng=0, width=0.05)
    wrong = D.layers[1]
    original = type(wrong).wgrad
    type(wrong).wgrad = lambda self, x, dy, ctx: x.T @ dy * (1.001 if self.n_in == 784 else 1)
    try:
        report = gradcheck.check_backward(Sequential([G, D]), x_of((3, 100)), limit=0)
    finally:
        type(wrong).wgrad = original
    assert {str(text).split("[")[0] for text in report.failures} == {"d1.1.W"}
