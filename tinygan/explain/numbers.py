"""Numbers and arrays as short text."""

import numpy as np


def number(value, brackets=False):
    """At most four decimals, no trailing zeros; small numbers in exponential form; brackets: around negative ones."""
    value = float(value)
    if abs(value) < 1e-9:       # rounding
        return "0"
    short = f"{value:.1e}".replace(".0e", "e") if abs(value) < 1e-3 else f"{value:.4f}".rstrip("0").rstrip(".")
    return f"({short})" if brackets and value < 0 else short


def single(array, index):
    """The element of an array, broadcast to the index, or the number that it is."""
    array = np.asarray(array)
    return array[tuple(i if n > 1 else 0 for i, n in zip(index, array.shape))] if array.ndim else array


def place(index):
    """An index as text: [0,1,2]."""
    return f"[{','.join(map(str, index))}]" if len(index) else ""


def product_sum(left, right):
    """Σ leftᵢ·rightᵢ as text."""
    return " + ".join(f"{number(a, True)}·{number(b, True)}" for a, b in zip(left, right)) or "0"


def block(name, array, parameter=False):
    """An array as lines: its name and shape, then its matrices, side by side, each with its index if there are more.

    Of four axes the matrices are in those of the pixels: the first two of a parameter, else the middle two.
    """
    array = np.asarray(array)
    rows, columns = ((0, 1) if parameter else (1, 2)) if array.ndim == 4 else (array.ndim - 2, array.ndim - 1)
    if array.ndim < 2:
        return [f"{name} {array.shape}" if array.ndim else name, *_matrix(array.reshape(1, -1))]
    others, parts = [axis for axis in range(array.ndim) if axis not in (rows, columns)], []
    for index in np.ndindex(*(array.shape[axis] for axis in others)):
        at = [":"] * array.ndim
        for axis, i in zip(others, index):
            at[axis] = i
        matrix = array[tuple(slice(None) if i == ":" else i for i in at)]
        parts.append(([] if len(parts) == 0 and array.size == matrix.size else [f"  {name}{place(at)}"])
                     + _matrix(matrix))
    return [f"{name} {array.shape}", *beside(parts, 2)]


def _matrix(array):
    cells = [[number(value) for value in row] for row in array]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells]


def beside(blocks, gap):
    """Blocks of lines side by side."""
    height, widths = max(map(len, blocks)), [max(map(len, block)) for block in blocks]
    full = [[line.ljust(width) for line in block] + [" " * width] * (height - len(block))
            for block, width in zip(blocks, widths)]
    return [(" " * gap).join(lines).rstrip() for lines in zip(*full)]


def arranged(blocks, width, gap=4):
    """Blocks side by side, in as few bands as fit the width; an empty line between bands."""
    bands, room = [[]], width
    for block in blocks:
        needed = max(map(len, block)) + gap
        if bands[-1] and needed > room + gap:
            bands.append([])
            room = width
        bands[-1].append(block)
        room -= needed
    return [line for i, band in enumerate(bands) for line in [""] * (i > 0) + beside(band, gap)]
