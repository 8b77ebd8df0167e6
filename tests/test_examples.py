"""The examples show what theory says: forces; and they leave their pictures."""

import importlib.util
from pathlib import Path

import numpy as np


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


objectives, ring = (load(name) for name in ("12_objectives", "14_ring"))


# 02: forces on a fake sample's logit f beside a real one's r = 1, as its docstring writes them.

def test_forces_are_those_of_the_table():
    f = np.array([-6.0, -1.5, -0.5, 0.0, 2.0])
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    table = {"minimax": (sigmoid(f), sigmoid(f)), "non_saturating": (1 - sigmoid(f), sigmoid(f)),
             "least_squares": (1 - f, f), "hinge": (1 + 0 * f, f > -1), "wasserstein": (1 + 0 * f, 1 + 0 * f),
             "relativistic": (sigmoid(1 - f), sigmoid(f - 1))}
    assert list(table) == objectives.NAMES
    for name, expected in table.items():
        np.testing.assert_allclose(objectives.forces(name, f), expected, rtol=1e-12, err_msg=name)


# 04: what it does at each look; the learning itself is measured in benchmarks/learning.py.

def test_the_ring_is_looked_at(tmp_path):
    found = ring.figure(tmp_path / "ring.png", looks=(1, 3))
    assert list(found) == list(ring.CASES) and all("modes" in figures for figures in found.values())
    mixture, seen = ring.play((2, 3), loss="relativistic", penalty="r1+r2", gamma=0.1)
    assert [step for step, _, _ in seen] == [2, 3] and len(mixture.means) == 8
    assert all(samples.shape == (2500, 2) and logits.shape == (120, 120) for _, samples, logits in seen)
    assert (seen[0][2] != seen[1][2]).any()


def test_pictures(tmp_path):
    objectives.figure(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 20_000
