"""What a gradient check found: the largest relative error of each quantity, and what to do with it."""

import numpy as np

from . import backend
from .errors import TinyganError

FLOOR = 1e-3    # gradients below this are compared in absolute terms


class GradientError(TinyganError, AssertionError):
    """A derivative written by hand disagrees with the numerical one."""


class Report(dict):
    """Mapping quantity -> largest relative error: "dx", "dW", "ty", "adjoint", "second dx", …

    name: what was checked; ok: whether every error is within its tolerance; worst: the largest error;
    failures: one text each with the index, both numbers and the inputs; skipped: maps that do not exist.
    """

    def __init__(self, name):
        super().__init__()
        self.name, self.failures, self.skipped = name, [], []

    @property
    def ok(self):
        return not self.failures

    @property
    def worst(self):
        return max(self.values(), default=0.0)

    def raise_if_wrong(self):
        """Raise GradientError with all failures, or return self."""
        if self.failures:
            raise GradientError(f"{self.name}: {len(self.failures)} of {len(self)} quantities are wrong\n"
                                + "\n".join(self.failures))
        return self

    def __str__(self):
        lines = [f"{self.name}: {'ok' if self.ok else 'WRONG'}"]
        lines += [f"  {quantity:<22} {error:.1e}" for quantity, error in self.items()]
        lines += [f"  {map_} is not defined; not checked" for map_ in self.skipped]
        return "\n".join(lines + self.failures)

    def add(self, quantity, by_hand, numerical, tolerance, inputs, index=None):
        """Compare two arrays. inputs: mapping name -> array, for the text; index: that of two numbers, if they are."""
        got, expected = (getattr(v, "shape", type(v).__name__) for v in (by_hand, numerical))
        if got != expected or isinstance(got, str):
            self.add_shape(quantity, "", expected, got)
            return
        scale = max(float(abs(by_hand).max()), float(abs(numerical).max()), FLOOR)
        gaps = abs(by_hand - numerical)
        error = float(gaps.max()) / scale
        self[quantity] = max(error, self.get(quantity, 0.0))
        if not error <= tolerance:   # not: NaN is wrong too
            at = np.unravel_index(int(gaps.argmax()), gaps.shape) if index is None else index
            a, b = (float(v[at] if index is None else v) for v in (by_hand, numerical))
            where = f"[{', '.join(map(str, at))}]" if len(at) else ""
            self.failures.append(f"{quantity}{where}: by hand {a:.17g}, by differences {b:.17g}, relative error "
                                 f"{error:.2e} > {tolerance:.0e}\n" + _describe(inputs))

    def add_shape(self, quantity, of, expected, got):
        """Wrong already in its shape."""
        self.fail(quantity, f"{quantity}: expected the shape {of}{expected}, got {got}")

    def fail(self, quantity, text):
        """Wrong, by more than any number says."""
        self[quantity] = float("inf")
        self.failures.append(text)

    def merge(self, part):
        """Take over what another report found."""
        for quantity, error in part.items():
            self[quantity] = max(error, self.get(quantity, 0.0))
        self.failures += part.failures


def _describe(inputs):
    with np.printoptions(threshold=60, precision=8, linewidth=110):
        return "\n".join(f"  {name} {array.shape} =\n    " + str(backend.asnumpy(array)).replace("\n", "\n    ")
                         for name, array in inputs.items())
