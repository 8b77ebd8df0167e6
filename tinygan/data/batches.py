"""Endless iterators of minibatches whose state can be saved and restored."""

import numpy as np

from ..errors import ConfigError, DataError
from ..ops.init import generator
from .images import check


class Batches:
    """Minibatches of a data set, in a new random order each epoch.

    samples  (N, …) float32 or float64, on the host; it is not copied
    batch    samples in a minibatch; the last, incomplete one of an epoch is left out
    rng      seed or NumPy generator of the order; to restore a `state`, the generator must not be shared, since the
             state does not hold what others draw from it
    labels   (N,) integers; with them next(batches) gives a pair (samples, labels)

    next(batches) gives (batch, …). steps_per_epoch: minibatches in an epoch; epoch: the current one, from 0. Raises
    ShapeError, DtypeError, DataError or ConfigError for data that is empty, not float or not finite, or a batch size
    that does not fit.
    """

    def __init__(self, samples, batch, rng=None, labels=None):
        self.samples, self.batch, self.rng, self.labels = check(samples), _positive(batch), generator(rng), labels
        if labels is not None:
            self.labels = np.asarray(labels)
            if self.labels.shape != (len(samples),):
                raise DataError(f"expected a label for each of {len(samples)} samples, got {self.labels.shape}")
        if batch > len(samples):
            raise DataError(f"expected a batch of at most {len(samples)}, the size of the data, got {batch}; "
                            f"use a smaller batch")
        self.steps_per_epoch = len(samples) // batch
        self.epoch, self._begin = -1, None
        self._shuffle()

    def _shuffle(self):
        self._begin = self.rng.bit_generator.state   # reproduces the order
        self._order = self.rng.permutation(len(self.samples))
        self.epoch, self._step = self.epoch + 1, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self._step == self.steps_per_epoch:
            self._shuffle()
        start = self._step * self.batch
        self._step += 1
        chosen = self._order[start:start + self.batch]
        return self.samples[chosen] if self.labels is None else (self.samples[chosen], self.labels[chosen])

    def state(self):
        """The state of the iteration, as numbers and dicts (for JSON, with NumPy's default generator)."""
        return {"rng": self._begin, "epoch": self.epoch, "step": self._step, **self._fit()}

    def set_state(self, state):
        """Restore a `state` of an iterator over as many samples with the same batch size; otherwise DataError."""
        expected, epoch, step = self._fit(), _number(state, "epoch"), _number(state, "step")
        got = {name: _number(state, name) for name in expected}
        if got != expected or step > self.steps_per_epoch:
            raise DataError(f"expected a state of {expected} with a step of at most {self.steps_per_epoch}, got {got} "
                            f"with step {step}; give the data and batch size that it was saved with")
        _restore(self.rng, state)
        self.epoch = epoch - 1
        self._shuffle()
        self._step = step

    def _fit(self):
        return {"samples": len(self.samples), "batch": self.batch}


class Stream:
    """Endless minibatches (batch, 2) drawn from a Mixture: no epochs (steps_per_epoch is None)."""

    steps_per_epoch = None

    def __init__(self, mixture, batch, rng=None):
        self.mixture, self.batch, self.rng = mixture, _positive(batch), generator(rng)

    def __iter__(self):
        return self

    def __next__(self):
        return self.mixture.sample(self.batch, self.rng)[0]

    def state(self):
        """The state of the generator, for JSON."""
        return {"rng": self.rng.bit_generator.state}

    def set_state(self, state):
        """Restore a `state`; DataError if it is not one."""
        _restore(self.rng, state)


def _positive(batch):
    if not (isinstance(batch, (int, np.integer)) and batch >= 1):
        raise ConfigError(f"expected a batch of at least 1 sample, got {batch!r}; give a whole number")
    return int(batch)


def _number(state, name):
    value = state.get(name) if isinstance(state, dict) else None
    if not isinstance(value, int) or value < 0:
        raise DataError(f"expected {name!r} as a number ≥ 0 in a saved state of the batches, got {value!r}; "
                        f"is it damaged? start a new run")
    return value


def _restore(rng, state):
    """Set a generator to state["rng"]; DataError, and no change, if that is not a state of it."""
    try:
        rng.bit_generator.state = state["rng"]   # NumPy validates all of it first
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DataError(f"expected a saved state of a {type(rng.bit_generator).__name__} generator, got another or a "
                        f"damaged one; start a new run") from None
