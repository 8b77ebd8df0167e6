"""What all tests share: the backends that are present, and hypothesis without a clock."""

import gc
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
for name in ("TINYGAN_KERNELS", "TINYGAN_TF32", "TINYGAN_DATA"):
    os.environ.pop(name, None)      # what a user has set for runs is not for tests
sys.path.insert(0, str(Path(__file__).parent))

import hypothesis   # noqa: E402
import numpy as np   # noqa: E402
import pytest   # noqa: E402

import strict   # noqa: E402
from tinygan import backend, data   # noqa: E402

backend.register("strict", strict)

# No deadline: machines are noisy. Derandomised: a red run is red again for whoever looks into it.
hypothesis.settings.register_profile("tinygan", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("tinygan")


@pytest.fixture(scope="module", autouse=True)
def garbage():
    """What is there before a module of tests stays: to look through it again at each collection, as in each capture of
    a step, takes longer than many a test."""
    gc.collect()
    gc.freeze()


def _backends():
    reason = backend.why_not("cupy")
    gpu = [pytest.mark.gpu] + ([pytest.mark.skip(reason=reason)] if reason else [])
    return ["numpy", "strict", pytest.param("cupy", marks=gpu)]


@pytest.fixture(params=_backends())
def xb(request):
    """The name of each backend: NumPy, the stand-in for CuPy, and CuPy where there is a GPU."""
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def each_tenth_digit():
    images, labels = data.load("mnist5k")
    return images[::10].copy(), labels[::10].copy()


@pytest.fixture
def few_digits(each_tenth_digit, monkeypatch):
    """Of the bundled digits there is only each tenth: 500, 50 of each class."""
    monkeypatch.setattr(data, "mnist5k", lambda: tuple(array.copy() for array in each_tenth_digit))


@pytest.fixture
def no_curves(monkeypatch):
    """losses.png of a run holds its log as JSON, and a picture of points has their bytes as its pixels.

    Drawing either takes longer than a short run; test_plots looks at them.
    """
    from tinygan.run import plots

    def curves(log, path):
        with plots.atomic(path, "w") as file:
            json.dump(log, file)

    def scatter(points, real=None):
        both = np.concatenate([points] if real is None else [points, real])
        return np.ascontiguousarray(both, "float32").view("uint8")
    monkeypatch.setattr(plots, "curves", curves)
    monkeypatch.setattr(plots, "scatter", scatter)


@pytest.fixture
def no_figures(no_curves, monkeypatch):
    """Nor does a run's page have its figure of layers: test_report and test_inspect look at it."""
    from matplotlib.figure import Figure
    from tinygan import inspect
    monkeypatch.setattr(inspect, "figure", lambda records: Figure(figsize=(1, 1)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
