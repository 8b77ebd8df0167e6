"""A training run and its folder: everything that the command line does with runs, from Python.

    from tinygan import run
    folder = run.train(model="mlp", steps=2000, out="my-run")
    images = run.sample(folder, 64)
    metrics, reference = run.evaluate(folder)
"""

from .config import Config, from_options
from .results import evaluate, load, read_config, restore, sample
from .training import Run, launch, resume, train

__all__ = ["Config", "Run", "evaluate", "from_options", "launch", "load", "read_config", "restore", "resume", "sample",
           "train"]
