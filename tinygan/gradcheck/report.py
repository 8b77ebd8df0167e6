"""The result of a gradient check: the largest error of each quantity, and each failure with its cause."""

import math
from dataclasses import dataclass, field

import numpy as np

from .. import backend
from ..errors import TinyganError

# An array is right if  max|by hand − numerical| / max(|by hand|, |numerical|, FLOOR) ≤ TOLERANCE.
#
# Why max over max and not element by element: the error of a difference does not depend on the element that it
# estimates. It is about 10⁻¹³|f| (see differences.py) for large and for small elements alike, so an element that is
# tiny, or 0, has no digits to compare. (Small elements are checked too, against that error itself: see compare.py.)
# Why 10⁻⁸: it lies between the two. Right gradients reach 10⁻⁹ to 10⁻¹³, wrong ones are rarely below 10⁻⁴: a factor
# 1.001, an ε left out (10⁻⁵), a float32 inside (10⁻⁷). At its best step a rule with the errors Chᵖ + u/h reaches u to
# the power p/(p+1): a forward difference 10⁻⁸, a central one 2·10⁻¹¹, five points 2·10⁻¹³, the largest margin.
# Why the floor: where a whole gradient is below 10⁻³, the absolute error of the differences decides, not the ratio.
FLOOR = 1e-3
TOLERANCE = 1e-8

LINES = 30      # of a printed failing report


class GradientError(TinyganError, AssertionError):
    """A derivative written by hand disagrees with the numerical one."""


@dataclass
class Failure:
    """One wrong quantity.

    quantity: "dx", "dW", "second dx", …; text: one line with the place, both numbers and the error; cause: one line, or
    "" where the check has no evidence of one; index: a tuple, or None where the quantity is wrong as a whole;
    by_hand, numerical, error, tolerance: floats, or None where there are none; inputs: mapping name -> array.
    """

    quantity: str
    text: str
    cause: str = ""
    index: tuple | None = None
    by_hand: float | None = None
    numerical: float | None = None
    error: float | None = None
    tolerance: float | None = None
    inputs: dict = field(default_factory=dict, repr=False)

    def __str__(self):
        return self.text + (f"\n  cause: {self.cause}" if self.cause else "")

    def details(self):
        """The text, and the arrays that led to the failure."""
        return "\n".join([str(self), *describe(self.inputs)])

    def to_dict(self):
        """All but text and inputs, for JSON. Numbers that are not finite, which JSON lacks, are None."""
        return {"quantity": self.quantity, "index": None if self.index is None else [int(i) for i in self.index],
                "by_hand": finite(self.by_hand), "numerical": finite(self.numerical),
                "relative_error": finite(self.error), "tolerance": finite(self.tolerance), "cause": self.cause}


class Report(dict):
    """Mapping quantity -> largest relative error: "dx", "dW", "ty", "adjoint", "second dx", …

    name: what was checked; ok: whether every error is within its tolerance; worst: the largest error;
    failures: a list of `Failure`; warnings: lines on what is not wrong but probably not meant; skipped: maps that do
    not exist. str(report) has at most 30 lines if it failed; see `details` and `to_dict`.
    """

    def __init__(self, name):
        super().__init__()
        self.name, self.failures, self.warnings, self.skipped = name, [], [], []

    @property
    def ok(self):
        return not self.failures

    @property
    def worst(self):
        return max(self.values(), default=0.0)

    def raise_if_wrong(self):
        """Raise GradientError with the text of this report, or return self."""
        if self.failures:
            raise GradientError(str(self))
        return self

    def to_dict(self):
        """Plain Python values: name, ok, worst, errors (per quantity), failures, warnings, skipped.

        json.dumps takes it as it is: numbers that are not finite (the error of a wrong shape) are None.
        """
        return {"name": self.name, "ok": self.ok, "worst": finite(self.worst),
                "errors": {quantity: finite(error) for quantity, error in self.items()},
                "failures": [failure.to_dict() for failure in self.failures],
                "warnings": list(self.warnings), "skipped": list(self.skipped)}

    # Text.

    def __str__(self):
        if self.ok:
            return "\n".join([f"{self.name}: ok", *self._table(), *self._notes()])
        wrong = {failure.quantity for failure in self.failures}
        right = [quantity for quantity in self if quantity not in wrong]
        end = self._notes()[:6]
        numbers = [failure for failure in self.failures if not failure.quantity.endswith("in float32")]
        if any(failure.quantity.startswith("second") and not failure.cause for failure in numbers) and not all(
                failure.quantity.startswith("second") for failure in numbers):
            end.append("jvp_backward often calls backward: correct the first-order maps, then check again")
        if right:
            names = [quantity for quantity in right if ", " not in quantity]
            text = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            end.append(f"right: {text}; errors up to {max(self[quantity] for quantity in right):.1e}")
        end.append("report.details() gives every failure, with the arrays that led to it")
        lines, shown = [f"{self.name}: WRONG, {len(wrong)} of {len(self)} quantities"], 0
        for failure in sorted(self.failures, key=lambda failure: not failure.cause):    # known causes first
            text = str(failure).split("\n")
            if len(lines) + len(text) + len(end) + 1 > LINES:
                lines.append(f"… and {len(self.failures) - shown} failures more")
                break
            lines, shown = lines + text, shown + 1
        return "\n".join(lines + end)

    def details(self):
        """Everything: each quantity's error, each failure, and the arrays that led to it (a text)."""
        lines = [f"{self.name}: {'ok' if self.ok else 'WRONG'}", *self._table(), *self._notes()]
        for failure, after in zip(self.failures, [*self.failures[1:], None]):
            lines.append(str(failure))
            if after is None or after.inputs is not failure.inputs:     # those of one check have the same arrays
                lines += describe(failure.inputs)
        return "\n".join(lines)

    def _table(self):
        return [f"  {quantity:<22} {error:.1e}" for quantity, error in self.items()]

    def _notes(self):
        return [*(f"  {map_} is not defined; not checked" for map_ in self.skipped),
                *(f"  warning: {text}" for text in self.warnings)]

    # Filling it.

    def note(self, quantity, error):
        """Keep the largest error of each quantity."""
        self[quantity] = max(float(error), self.get(quantity, 0.0))

    def add(self, quantity, by_hand, numerical, tolerance, inputs, index=None, cause="", words=None):
        """Compare two arrays. index: that of two numbers, if they are; cause: why, if they differ; words: for both."""
        got, expected = (getattr(v, "shape", type(v).__name__) for v in (by_hand, numerical))
        if got != expected or isinstance(got, str):
            self.add_shape(quantity, "", expected, by_hand)
            return
        scale = max(float(abs(by_hand).max()), float(abs(numerical).max()), FLOOR)
        gaps = abs(by_hand - numerical)
        error = float(gaps.max()) / scale
        self.note(quantity, error)
        if not error <= tolerance:   # not: NaN is wrong too
            at = np.unravel_index(int(gaps.argmax()), gaps.shape) if index is None else index
            a, b = (float(v[at] if index is None else v) for v in (by_hand, numerical))
            self.differ(quantity, at, a, b, error, tolerance, inputs, cause, words)

    def differ(self, quantity, index, by_hand, numerical, error, tolerance, inputs, cause="", words=None):
        """Record two numbers that differ by more than the tolerance."""
        a, b = words or ("by hand", "by differences")
        place = f"[{', '.join(map(str, index))}]" if len(index) else ""
        self.note(quantity, error)
        self.failures.append(Failure(
            quantity, f"{quantity}{place}: {a} {by_hand:.12g}, {b} {numerical:.12g}, relative error {error:.2e} > "
            f"{tolerance:.0e}", cause, tuple(map(int, index)), by_hand, numerical, error, tolerance, inputs))

    def add_shape(self, quantity, of, expected, found, cause=""):
        """Wrong already in its shape."""
        got = getattr(found, "shape", type(found).__name__)
        self.fail(quantity, f"{quantity}: expected the shape {of}{expected}, got {got}", cause)

    def fail(self, quantity, text, cause="", **numbers):
        """Record what no relative error can tell."""
        self[quantity] = float("inf")
        self.failures.append(Failure(quantity, text, cause, **numbers))

    def merge(self, part):
        """Take over what another report found."""
        for quantity, error in part.items():
            self.note(quantity, error)
        self.failures += part.failures
        self.warnings += [text for text in part.warnings if text not in self.warnings]


def describe(arrays):
    """Lines that show arrays, long ones with their ends only. arrays: mapping name -> array."""
    with np.printoptions(threshold=60, precision=8, linewidth=110):
        return [line for name, array in arrays.items()
                for line in [f"  {name} {array.shape} =",
                             *(f"    {row}" for row in str(backend.asnumpy(array)).split("\n"))]]


def finite(number):
    """A plain float; None for None, NaN and ±inf."""
    return None if number is None or not math.isfinite(number) else float(number)
