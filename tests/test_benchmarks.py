"""The benchmarks run, and prove what they claim before they time it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from kernels import emulator

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


def test_the_best_recipe_is_the_command_on_the_page(tmp_path, monkeypatch):
    import re
    import shlex
    from tinygan import cli, run
    readme = re.sub(r" \\\n +", " ", (FOLDER / "README.md").read_text(encoding="utf-8"))
    command = next(line for line in readme.splitlines() if line.startswith("    tinygan train --plain --width"))
    monkeypatch.chdir(tmp_path)
    cli.main([*shlex.split(command)[1:], "--steps", "1", "--out", "r", "--quiet", "--no-report"])
    found, best = run.read_config(tmp_path / "r/config.json")[0], _load("learning").DIGITS["best"]
    assert {name: found[name] for name in best} == best


def test_growth_measures_and_fits():
    growth = _load("growth")
    assert abs(growth.exponent([1, 2, 4, 8], [3, 12, 48, 192]) - 2) < 1e-12
    if Path("/proc/self/status").exists():
        row = growth.point("numpy", 2, 0.05, 28, seconds=0)
        assert row["median_s"] > 0 and row["memory_mib"] >= 0


@pytest.mark.parametrize("row, width", [("mlp", 0.2), ("dcgan", 0.25), ("dcgan_small_r1r2", 0.1),
                                        ("dcgan48_half", 0.05), ("dcgan128_quarter", 0.05)])
def test_both_sides_compute_the_same_step(row, width):
    pytest.importorskip("torch")
    side_by_side = _load("vs_pytorch")
    found = side_by_side.validate(row, batch=4, width=width)
    assert found["loss_float64"] < 1e-12 and found["weights_float64"] < 1e-6


def test_a_step_that_differs_is_not_timed(monkeypatch):
    pytest.importorskip("torch")
    side_by_side = _load("vs_pytorch")
    inner = side_by_side.gan
    monkeypatch.setattr(side_by_side, "gan", lambda *args: _slower(inner(*args)))
    with pytest.raises(SystemExit, match="do not compute the same step"):
        side_by_side.validate("mlp", batch=4)


def test_a_row_that_fails_is_recorded_and_passed_over(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    side_by_side, out, validate = _load("vs_pytorch"), tmp_path / "out.json", []
    monkeypatch.setattr(side_by_side, "validate", lambda model, device: validate.append(model) or (
        {"loss_float64": 0.0, "weights_float64": 0.0} if len(validate) > 1 else sys.exit("they differ")))
    monkeypatch.setattr(side_by_side, "_measure", lambda model, batch, args, graph: side_by_side.compare(
        model, batch, args.rounds, in_a_row=1))
    monkeypatch.setattr(sys, "argv", ["vs_pytorch.py", "--models", "mlp", "--batches", "2", "3", "--rounds", "1",
                                      "--json", str(out)])
    with pytest.raises(SystemExit) as end:
        side_by_side.main()
    found = json.loads(out.read_text())
    assert end.value.code == 1 and found["failed"][0] == {"model": "mlp", "batch": 2, "graph": False,
                                                          "error": "SystemExit: they differ"}
    (row,) = found["steps"]
    assert row["batch"] == 3 and 0 < row["host_s"]["tinygan"] and "failed: they differ" in capsys.readouterr().out


def test_a_point_that_fails_is_recorded_and_passed_over(tmp_path, monkeypatch):
    growth = _load("growth")
    monkeypatch.setattr(growth, "SERIES", {"batch": [dict(batch=b, width=0.02, side=28) for b in (1, 0, 2)]})
    monkeypatch.setattr(sys, "argv", ["growth.py", "--seconds", "0", "--out", str(tmp_path / "g")])
    with pytest.raises(SystemExit) as end:
        growth.main()
    found = json.loads((tmp_path / "g.json").read_text())
    assert end.value.code == 1 and found["failed"][0]["batch"] == 0 and found["failed"][0]["error"]
    assert [row["batch"] for row in found["series"]["batch"]] == [1, 2] and (tmp_path / "g.png").exists()


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
def test_first_checks_of_a_gpu_on_the_emulated_one(tmp_path):
    """Each check writes its line; one that fails is recorded, and the others run."""
    emulator.folder()       # so that each kernel is compiled once for all the processes
    smoke, out = FOLDER / "gpu_smoke.py", tmp_path / "smoke.jsonl"
    done = subprocess.run([sys.executable, smoke, out, "emulated", "products", "convolutions", "reference", "steps",
                           "nothing"], capture_output=True, text=True, cwd=FOLDER.parent,
                          env=os.environ | {"PYTHONPATH": str(FOLDER.parent)})
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["check"], row["ok"]) for row in rows] == [("products", True), ("convolutions", True),
                                                           ("reference", True), ("steps", True),
                                                           ("nothing", False)], rows
    assert done.returncode == 1 and "nothing" in rows[-1]["error"]


@pytest.mark.skipif(os.name == "nt" or not shutil.which("timeout"), reason="a script for Linux")
def test_the_script_archives_each_part_and_goes_on_after_a_failure(tmp_path):
    """With a stand-in for Python that has a GPU and fails in one part."""
    python, out = tmp_path / "python", tmp_path / "out"
    python.write_text('#!/bin/sh\n'
                      'case "$*" in *info) echo "backend    cupy: usable";;\n'
                      '*growth*) echo half; exit 3;; *) echo "$*";; esac')
    python.chmod(0o755)
    done = subprocess.run(["bash", FOLDER / "gpu.sh", f"{out}/", "smoke", "growth", "versus-tf32", "nothing"],
                          cwd=FOLDER.parent, env=os.environ | {"PYTHON": str(python)}, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert (out / "failed.txt").read_text() == "growth failed\nnothing failed\n"
    with tarfile.open(f"{out}.tar.gz") as archive:
        names = set(archive.getnames())
        assert "--tf32" in archive.extractfile("out/versus-tf32.txt").read().decode()
        assert archive.extractfile("out/growth.txt").read() == b"half\n"
    assert names >= {"out/info.txt", "out/smoke.txt", "out/growth.txt", "out/failed.txt", "out/nothing.txt"}


def _slower(gan):
    gan.d_opt.lr *= 0.999
    return gan
