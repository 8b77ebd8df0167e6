"""Options: each is written once, and checked in the same way from Python, config.json and the command line."""

import re
from dataclasses import fields

import pytest

from tinygan import cli, run
from tinygan.errors import ConfigError
from tinygan.run import Config

OPTIONS = [f for f in fields(Config) if f.metadata]


def test_config_from_python_is_checked():
    for options, words in [({"model": "mlp", "bogus": 1}, "unknown option 'bogus'"), ({"k": True}, "k to be an int"),
                           ({"augment": 3}, "augment to be text, got 3"), ({"spectral": "no"}, "to be true or false"),
                           ({"gamma": 1.0}, "add --penalty r1"), ({"steps": 0}, "steps"),
                           ({"seed": -1}, "seed"), ({"width": float("inf")}, "width"), ({"batch": 2.5}, "batch")]:
        with pytest.raises(ConfigError, match=words):
            run.train(quiet=True, **options)


def test_none_is_the_default():
    assert Config(**{f.name: None for f in fields(Config)}) == Config()


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
