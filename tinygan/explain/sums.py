"""Entries of gradients spelled out as sums.

A gradient is by definition dx[j] = Σᵢ dy[i]·∂y[i]/∂x[j]. That is the same for each layer and penalty, and with a
parameter in the place of x, so one function spells out an entry of any of them.
"""

from typing import NamedTuple

import numpy as np

from ..gradcheck.differences import difference
from .numbers import number, place, product_sum

SHOWN = 9           # terms of a sum that are easy to follow
ROUNDING = 1e-9     # what is smaller is 0


class Line(NamedTuple):
    """One quantity spelled out: its formula, the formula with numbers, the result; sign: "=" or "←"."""

    quantity: str
    formula: str
    numbers: str
    result: float
    sign: str = "="


class Part(NamedTuple):
    """A step of an example: a title, arrays by name, which of them have the shape of a parameter, lines below them."""

    title: str
    arrays: dict
    parameters: tuple = ()
    lines: tuple = ()


def jacobian(function, array):
    """∂function()/∂array, as a matrix (outputs, elements), by differences of the function. The array is moved in place.

    Steps are powers of 2, so where the function is linear in the array and numbers are small integers it is exact.
    """
    flat, columns = array.reshape(-1), []
    for j, value in enumerate(flat.copy()):
        def moved(h):
            flat[j] = value + h
            try:
                return function()
            finally:
                flat[j] = value
        columns.append(difference(moved).value)
    return np.stack(columns, axis=1)


def gradient_as_sum(report, name, gradient, J, cotangents):
    """The Line of one entry of the gradient d`name`; all entries are compared with their sums in the report.

    cotangents: mapping name of an output -> (name of its cotangent, array); J: `jacobian`, with a row for each element
    of these arrays, in this order.
    """
    flat = np.concatenate([array.reshape(-1) for _, array in cotangents.values()])
    report.add(f"d{name}, as sums", gradient, (flat @ J).reshape(gradient.shape), 1e-8, {}, words=("the code's", "Σ"))
    j = telling(J, gradient)
    at, rows = place(np.unravel_index(j, gradient.shape)), _nonzero(J[:, j])
    labels = [f"{d}{place(index)}" for d, array in cotangents.values() for index in np.ndindex(array.shape)]
    formula = " + ".join(f"Σ {d}·∂{y}/∂{name}{at}" for y, (d, _) in cotangents.items())
    over = ", ".join(labels[i] for i in rows) if len(rows) <= SHOWN else f"{len(rows)} elements"
    return Line(f"d{name}{at}", f"{formula}, over {over}", product_sum(flat[rows], J[rows, j]),
                float(gradient.reshape(-1)[j]))


def output_as_sum(x, y, J, constant):
    """The Line of one entry of a y that is affine in x: its row of J times x, and what x does not reach.

    constant: the name of that.
    """
    i = telling(J.T, y)
    at, columns, rest = place(np.unravel_index(i, y.shape)), _nonzero(J[i]), y.reshape(-1)[i] - J[i] @ x.reshape(-1)
    numbers, some = product_sum(x.reshape(-1)[columns], J[i, columns]), bool(abs(rest) > ROUNDING)
    return Line(f"y{at}", f"Σ x·∂y{at}/∂x" + f" + {constant}" * some,
                numbers + f" + {number(rest, True)}" * some, float(y.reshape(-1)[i]))


def inner_product(name, left, right):
    """The Line of a quantity that is ⟨dy, ty⟩."""
    rows = _nonzero(right.reshape(-1))
    return Line(name, "⟨dy, ty⟩", product_sum(left.reshape(-1)[rows], right.reshape(-1)[rows]),
                float((left * right).sum()))


def telling(J, results):
    """The column of J with most terms that are not 0, up to SHOWN of them, and if possible with a result that is not 0.

    results: the array whose elements, in order, are the sums that belong to the columns.
    """
    counts = (abs(J) > ROUNDING).sum(0) + 0.5 * (abs(results.reshape(-1)) > ROUNDING)
    return int(np.where(counts <= SHOWN + 0.5, counts, -counts).argmax())


def _nonzero(vector):
    return np.flatnonzero(abs(vector) > ROUNDING)
