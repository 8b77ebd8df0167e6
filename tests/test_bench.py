"""Timing: figures that hang together. No test here depends on how fast anything is."""

import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
import pytest

from tinygan import bench, cli
from tinygan.errors import ConfigError
from tinygan.kernels.threads import core


@pytest.fixture(scope="module")
def results():
    return bench.measure("points", (1, 3), seconds=1e-4, layers=False)


def test_rows_and_hardware(results):
    assert [(row["what"], row["batch"]) for row in results["rows"]] == [("training step, points", 1),
                                                                        ("training step, points", 3)]
    for row in results["rows"]:
        assert 0 < row["q25_s"] <= row["median_s"] <= row["q75_s"] and 0 < row["host_s"] <= row["q75_s"]
    assert {"cpu", "cores", "threads", "numpy", "python"} <= set(results["hardware"])
    json.dumps(results)


def test_what_fails_is_recorded_and_passed_over(tmp_path, monkeypatch, capsys):
    game, written = bench.game, []

    def small_only(model, batch, name, **options):
        written.append((tmp_path / "bench.json").exists() and json.loads((tmp_path / "bench.json").read_text())["rows"])
        if batch == 2:
            raise MemoryError("out of memory")
        return game(model, batch, name, **options)
    monkeypatch.setattr(bench, "game", small_only)
    command = ["bench", "--model", "points", "--batches", "1,2,3", "--seconds", "1e-4", "--no-layers"]
    assert cli.main([*command, "--out", str(tmp_path)]) == 1
    saved = json.loads((tmp_path / "bench.json").read_text())
    assert {row["batch"] for row in saved["rows"]} == {1, 3} and saved["failed"][0]["batch"] == 2
    assert written[0] is False and len(written[-1]) >= 1        # on disk after each row
    assert "batch 2, numpy: MemoryError: out of memory" in capsys.readouterr().out


@pytest.mark.skipif(not core() or platform.machine() not in ("x86_64", "AMD64"), reason="no OpenBLAS for x86 here")
def test_says_which_kernels_the_products_run_on():
    told = subprocess.run([sys.executable, "-c", "from tinygan import bench; print(bench.blas())"],
                          env=os.environ | {"OPENBLAS_CORETYPE": "Nehalem"}, capture_output=True, text=True).stdout
    assert "kernels for Nehalem as OPENBLAS_CORETYPE says" in told and core() in bench.blas()


def test_a_layer_takes_all_of_its_pass():
    for build, shape in bench.LAYERS.values():
        dx, grads = bench._layer(build, shape, 2, "numpy")()
        assert dx.shape == (2, *shape) and abs(dx).max() > 0
        assert list(grads) == [f"0.{name}" for name in build().params] and all(abs(g).max() > 0 for g in grads.values())


def test_the_table_says_where_the_two_cross():
    times = {("numpy", 1): 1.0, ("numpy", 8): 8.0, ("cupy", 1): 2.0, ("cupy", 8): 2.0}
    rows = [{"what": "a", "batch": b, "backend": n, "median_s": t, "q25_s": t, "q75_s": t}
            for (n, b), t in times.items()]
    text = bench.table({"rows": rows})
    assert "the GPU is faster from batch 8" in text and "0.50" in text and "4.00" in text
    assert bench.as_csv({"rows": rows}).splitlines()[0] == "what,batch,backend,median_s,q25_s,q75_s"
    never = [dict(row, median_s=9.0) if row["backend"] == "cupy" else row for row in rows]
    assert "the CPU is faster at every batch size" in bench.table({"rows": never})


def test_the_profile_counts_the_products_of_the_dcgan():
    """By hand, a sample's multiplications in one step: G forward twice, backward once; D forward three times, …"""
    found = bench.profile("dcgan_small", batch=2, steps=1)
    c = {1: 64, 2: 32, 3: 16}                                     # channels at a quarter of the width
    g = [(100 * 49 * c[1], False), (49 * 25 * c[1] * c[2], True), (49 * 25 * c[2] * c[3], True),
         (196 * 25 * c[3], True)]
    d = [(196 * 25 * c[3], False), (49 * 25 * c[3] * c[2], True), (49 * c[2], True)]
    forward = lambda net: sum(n for n, _ in net)
    inputs = lambda net: sum(n for n, needed in net if needed)    # the first layer's input needs no gradient …
    macs = 2 * forward(g) + forward(g) + inputs(g)
    macs += 3 * forward(d) + 2 * (forward(d) + inputs(d)) + forward(d)      # … but in G's step D's does
    assert found["flop"] == bench.flop(*bench.game("dcgan_small", 2)) == 2 * 2 * macs
    assert 0 < found["bound_s"] and sum(row["seconds"] for row in found["rows"]) > 0
    ways = {(row["layer"].split()[0], row["map"]): row["way"] for row in found["rows"]}
    assert ways["D.0", "map"] == "direct" and ways["G.0", "map"] is None and ways["G.1", "forward"] is None
    assert all((row["way"] is None) == (not row["others_s"]) for row in found["rows"])
    assert {way for row in found["rows"] for way in row["others_s"]} == {"direct", "frequencies", "tiles"}
    assert all(row["way"] not in row["others_s"] for row in found["rows"])
    text = bench.profile_table(found)
    assert "GFLOP/s of a large product" in text and "others, ms" in text and max(map(len, text.split("\n"))) <= 150


def test_the_profile_names_the_way_of_either_mode():
    from tinygan import kernels
    before = kernels.use("frequencies")
    rows = bench.profile("dcgan_small", batch=2, steps=1)["rows"]
    assert kernels.use(before) == "frequencies"
    assert {row["way"] for row in rows if "Conv" in row["layer"] and row["way"]} == {"frequencies"}


def test_the_command_leaves_its_files(tmp_path, capsys):
    out = tmp_path / "b"
    assert cli.main(["bench", "--model", "points", "--batches", "1,2", "--seconds", "1e-4", "--no-layers",
                     "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["bench.csv", "bench.json", "bench.png"]
    saved = json.loads((out / "bench.json").read_text())
    assert len(saved["rows"]) == 2 and (out / "bench.png").read_bytes()[:4] == b"\x89PNG"
    assert "no gpu" in capsys.readouterr().out or "gpu" in saved["hardware"]
    with pytest.raises(ConfigError, match="at least 1"):
        bench.measure("points", ())
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "--batches", "0"])
    assert stop.value.code == 2


def test_median_of_a_clock():
    ticks = iter(np.arange(100))
    assert bench.clock(lambda: next(ticks), "numpy", 0, 5)[0] >= 0 and next(ticks) == 6    # one to warm up


def test_a_timer_of_ones_own():
    """Each reading is a second after the one before: a call ends at the first after its start, its device next."""
    ticks = iter(range(100))
    assert bench.clock(lambda: None, "numpy", 0, 3, lambda: next(ticks)) == (2, 2, 2, 1)
    found = bench.profile("points", 2, 1, time.process_time)
    assert 0 < found["step_s"] and all(row["seconds"] >= 0 for row in found["rows"])
