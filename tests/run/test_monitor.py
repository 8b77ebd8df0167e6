"""The monitor: numbers that are not finite stop a run and keep its weights; collapse and a winning D warn once."""

import csv

import numpy as np
import pytest

from tinygan import GAN, cli, models, run
from tinygan.run.monitor import Diverged, Monitor


@pytest.fixture
def monitor():
    lines = []
    monitor = Monitor(GAN(*models.points(rng=0, width=0.05), rng=0), lines.append)
    monitor.lines = lines
    return monitor


FINE = {"d_loss": 1.0, "g_loss": 1.0, "d_real": 0.5, "d_fake": 0.5}


def test_the_last_good_weights_come_back(monitor):
    G, D = monitor.gan.G, monitor.gan.D
    G.theta[...] = 1
    monitor.check(1, FINE)
    G.theta[...], D.params["2.W"][3, 2] = 2, np.nan
    with pytest.raises(Diverged, match=r"step 2: a weight is not finite; first in D's 2.W, of layer Dense\(6, 6\)"):
        monitor.check(2, FINE)
    assert (G.theta == 1).all() and np.isfinite(D.theta).all()
    with pytest.raises(Diverged, match="step 3: g_loss is nan; first in the loss; .*lower --lr"):
        monitor.check(3, {**FINE, "g_loss": float("nan")})


def test_a_discriminator_that_has_won_is_mentioned_once(monitor):
    for step in range(300):
        monitor.check(step, {**FINE, "d_real": 0.999, "d_fake": 0.001})
    assert len(monitor.lines) == 1 and "the discriminator has won" in monitor.lines[0]


def test_no_alarm_for_a_fair_game(monitor):
    for step in range(300):
        monitor.check(step, {**FINE, "d_real": 0.9, "d_fake": 0.1})
    real = np.random.default_rng(0).standard_normal((64, 2))
    monitor.check_samples(1, 0.5 * real, real)
    assert not monitor.lines


def test_collapse_is_mentioned_once(monitor):
    real = np.random.default_rng(0).standard_normal((64, 2))
    monitor.check_samples(99, 0.01 * real + 3, real)
    assert not monitor.lines              # at first all samples of a sound G may be alike
    for step in range(100, 104):
        monitor.check_samples(step, 0.01 * real + 3, real)
    assert len(monitor.lines) == 1 and "step 100: " in monitor.lines[0] and "mode collapse" in monitor.lines[0]


@pytest.mark.parametrize("share, alarms", [(0.049, 1), (0.051, 0)])
def test_collapse_is_a_spread_below_a_twentieth(monitor, share, alarms):
    real = np.random.default_rng(0).standard_normal((64, 2))
    monitor.check_samples(100, share * real, real)
    assert len(monitor.lines) == alarms


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning",
                            "ignore:divide:RuntimeWarning")
def test_a_run_that_diverges(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = cli.main(["train", "--model", "mlp", "--width", "0.1", "--loss", "wasserstein", "--lr", "1e30", "--steps",
                     "200", "--out", "r", "--quiet"])
    err = capsys.readouterr().err
    assert code == 3 and "tinygan: error: step " in err and "the last finite weights were kept" in err
    assert "Traceback" not in err and err.count("\n") == 1
    assert np.isfinite(run.sample("r", 4)).all()
    with np.load(tmp_path / "r/weights.npz") as file:
        assert all(np.isfinite(file[name]).all() for name in file.files)
    assert len(list(csv.reader((tmp_path / "r/log.csv").read_text().splitlines()))) > 1


def test_the_average_comes_back_too():
    gan = GAN(*models.points(rng=0, width=0.05), rng=0, average=0.5)
    monitor = Monitor(gan, print)
    gan.G.theta[...] = np.nan
    gan.average.update(gan.G)
    assert np.isnan(gan.sample(4)).all()
    with pytest.raises(Diverged):
        monitor.check(1, FINE)
    assert np.isfinite(gan.sample(4)).all()
