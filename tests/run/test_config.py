"""Options: each is written once, and checked in the same way from Python, config.json and the command line."""

import json
import re
from dataclasses import fields

import pytest

from tinygan import cli, run
from tinygan.errors import ConfigError
from tinygan.run.config import STABLE
from tinygan.run import Config, checkpoint

OPTIONS = [f for f in fields(Config) if f.metadata]


def test_config_from_python_is_checked():
    for options, words in [({"model": "mlp", "bogus": 1}, "unknown option 'bogus'"), ({"k": True}, "k to be an int"),
                           ({"augment": 3}, "augment to be text, got 3"), ({"spectral": "no"}, "to be true or false"),
                           ({"model": "mlp", "gamma": 1.0}, "add --penalty r1"), ({"steps": 0}, "steps"),
                           ({"seed": -1}, "seed"), ({"width": float("inf")}, "width"), ({"batch": 2.5}, "batch")]:
        with pytest.raises(ConfigError, match=words):
            run.train(quiet=True, **options)


def test_none_is_the_default():
    assert Config(**{f.name: None for f in fields(Config)}) == Config()


def _resolved(**options):
    config = Config(**options)
    return config, config.resolve((28, 28, 1)).epochs


def test_the_settings_of_a_model():
    config, epochs = _resolved()
    assert epochs == STABLE["epochs"] and {name: getattr(config, name) for name in STABLE} == STABLE | {"epochs": None}
    plain, epochs = _resolved(plain=True)
    assert (plain.loss, plain.penalty, plain.gamma, plain.batch, plain.m, plain.g_lr, plain.beta1, plain.beta2,
            plain.schedule, plain.average, plain.dropout, epochs) == (
        "non_saturating", None, None, 32, 1, 1e-3, 0.5, 0.999, "constant", 0.0, None, 20)
    mlp, _ = _resolved(model="mlp")
    assert (mlp.loss, mlp.penalty, mlp.batch, mlp.m, mlp.beta2) == ("non_saturating", None, 128, 1, 0.999)


def test_what_is_given_comes_before_the_settings_of_a_model():
    given = dict(loss="hinge", batch=16, m=1, g_lr=1e-4, beta1=0.9, average=0.0, dropout=0.2, schedule="step")
    config, _ = _resolved(**given)
    assert {name: getattr(config, name) for name in given} == given and config.penalty == "r1+r2"
    assert _resolved(penalty="wgan_gp")[0].gamma is None and _resolved(gamma=2.0)[0].gamma == 2.0


def test_a_run_from_before_there_were_settings_of_a_model_is_plain(tmp_path):
    folder = run.train(tmp_path / "run", quiet=True, model="mlp", width=0.05, batch=50, steps=1)
    arrays, meta = checkpoint.load_state(folder / "checkpoint.npz", print)
    options = json.loads((folder / "config.json").read_text())
    del options["plain"], meta["config"]["plain"]
    (folder / "config.json").write_text(json.dumps(options | {"model": None, "penalty": None, "batch": None}))
    checkpoint.save_state(folder / "checkpoint.npz", arrays, meta)
    config = run.from_options(run.read_config(folder / "config.json")[0])
    config.resolve((28, 28, 1))
    assert (config.model, config.penalty, config.batch) == ("dcgan_small", None, 32)
    assert run.resume(folder, quiet=True).config.plain


def test_each_field_is_an_option_with_help(capsys):
    assert {f.name for f in fields(Config)} - {f.name for f in OPTIONS} == {"classes"}
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    text = capsys.readouterr().out
    for f in OPTIONS:
        assert len(re.findall(rf"^  --{f.name.replace('_', '-')}[ ,]", text, re.M)) == 1, f.name
        assert " ".join(f.metadata["help"].split()) in " ".join(text.split()), f.name
        if f.metadata["choices"]:
            assert ", ".join(f.metadata["choices"]) in text
        if f.type in (int, float) and f.default is not None:
            assert f"(default {f.default:g})" in text


@pytest.mark.parametrize("f", [f for f in OPTIONS if f.type in (int, float)], ids=lambda f: f.name)
def test_bounds(f):
    least, above, below = (f.metadata[name] for name in ("least", "above", "below"))
    inside = {int: 1, float: 0.5}[f.type]
    assert getattr(Config(**{f.name: inside}), f.name) == inside
    for wrong, sign in ((least - 1, "≥"), (above, ">"), (below, "<")):
        if abs(wrong) < float("inf"):
            with pytest.raises(ConfigError, match=f"expected {f.name} to be a.* {sign} "):
                Config(**{f.name: int(wrong) if f.type is int else wrong})
    for wrong in (True, "1", [1], float("nan")):
        with pytest.raises(ConfigError, match=f"expected {f.name} to be a"):
            Config(**{f.name: wrong})


@pytest.mark.parametrize("f", [f for f in OPTIONS if f.metadata["choices"]], ids=lambda f: f.name)
def test_choices(f):
    for name in f.metadata["choices"]:
        assert getattr(Config(**{f.name: name.replace("_", "-")}), f.name) == name
    with pytest.raises(ConfigError, match=f"unknown {f.name} 'other'; choose one of: {f.metadata['choices'][0]}"):
        Config(**{f.name: "other"})
