"""The benchmarks run, and prove what they claim before they time it."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))     # as when one of them is run: they import each other


def _load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_mixtures(name):
    figures = _load("learning").mixture(name, 0, steps=20)
    assert set(figures) >= {"modes", "high_quality", "reverse_kl"} and np.isfinite(figures["energy"])


def test_stacked_digits():
    from tinygan import data
    figures = _load("learning").stacked(data.load("mnist5k")[0][:200], 0, steps=2, batch=8, width=0.1, samples=100)
    assert 1 <= figures["modes"] <= 100


def test_options_of_the_digits_are_those_of_a_run():
    from tinygan.run import from_options
    from tinygan.models import get
    for options in _load("learning").DIGITS.values():
        assert from_options(options).resolve((28, 28, 1)).build is get(options["model"]).build


def test_the_best_recipe_is_the_command_in_the_readme(tmp_path, monkeypatch):
    import re
    import shlex
    from tinygan import cli, run
    readme = re.sub(r" \\\n +", " ", (FOLDER.parent / "README.md").read_text(encoding="utf-8"))
    command = next(line for line in readme.splitlines() if line.startswith("    tinygan train --width"))
    monkeypatch.chdir(tmp_path)
    cli.main([*shlex.split(command)[1:], "--steps", "1", "--out", "r", "--quiet", "--no-report"])
    found, best = run.read_config(tmp_path / "r/config.json")[0], _load("learning").DIGITS["best"]
    assert {name: found[name] for name in best} == best


def test_growth_measures_and_fits():
    growth = _load("growth")
    assert abs(growth.exponent([1, 2, 4, 8], [3, 12, 48, 192]) - 2) < 1e-12
    if Path("/proc/self/status").exists():
        row = growth.point("numpy", 2, 0.05, 28)
        assert row["median_s"] > 0 and row["memory_mib"] >= 0


@pytest.mark.parametrize("model", ["mlp", "dcgan"])
def test_both_sides_compute_the_same_step(model):
    pytest.importorskip("torch")
    side_by_side = _load("vs_pytorch")
    found = side_by_side.validate(model, batch=4)
    assert found["loss_float64"] < 1e-12 and found["weights_float64"] < 1e-6


def test_a_step_that_differs_is_not_timed(monkeypatch):
    pytest.importorskip("torch")
    side_by_side = _load("vs_pytorch")
    inner = side_by_side.gan
    monkeypatch.setattr(side_by_side, "gan", lambda G, D: _slower(inner(G, D)))
    with pytest.raises(SystemExit, match="do not compute the same step"):
        side_by_side.validate("mlp", batch=4)


def _slower(gan):
    gan.d_opt.lr *= 0.999
    return gan
