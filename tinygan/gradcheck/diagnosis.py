"""Why a gradient is wrong: the common mistakes, each recognised by what it does to the numbers.

`of` compares the array by hand, a, with the numerical one, n, under one hypothesis after another:

    a = c·n                     a constant factor: −1, 2, the number of samples or of averaged elements, or its inverse
    a = n in another order      axes exchanged, reversed or shifted

    a = c·n in each channel     a factor of the channel or row, such as 1/s

and `missing` looks at the error, n − a:

    α + β·x in each channel or row      x also acts through a mean, a variance or a norm
    a matrix of rank one                W also acts through a singular value

The hypotheses that need another call of the map (what was in grads before is lost; another batch came in between; a
weight is reversed; each element is taken by itself; the part of ty is missing) are those of `compare.Gradient`, which
can make it. A cause is named only where all elements that were compared fit it.
"""

from itertools import combinations, permutations
from math import prod

import numpy as np   # host arrays: a report's numbers

CLOSE = 1e-6        # of the largest numerical element: far above the error of differences, far below any coincidence


def close(a, n):
    """Whether two arrays are the same but for rounding and the error of differences."""
    scale = abs(n).max(initial=0.0)
    return bool(scale > 0 and abs(a - n).max() <= CLOSE * scale)


def apart(a, n):
    """Whether two arrays of numbers differ by more than rounding."""
    return bool(np.isfinite(a).all() and abs(a - n).max(initial=0.0) > CLOSE * abs(n).max(initial=0.0))


def of(a, n, flat, counts):
    """The cause in one line, or "" without evidence.

    a: by hand, the whole array; n: the numerical values at the places `flat` of it; counts: mapping number -> what it
    counts, e.g. {4: "N, the batch size"}. All are host arrays.
    """
    here = a.reshape(-1)[flat]
    if close(here, n):      # off by so little that the hypotheses cannot be told apart
        return ""
    return factor(here, n, counts) or order(a, n, flat) or factors(a, n, flat)


def factor(a, n, counts):
    """a = c·n."""
    if not abs(n).max(initial=0.0) > 0 or not np.isfinite(a).all():
        return ""
    c = float(a @ n) / float(n @ n)
    if c == 0 or not close(a / c, n):
        return "by hand all elements are 0" if not a.any() else ""
    is_ = lambda value: abs(c / value - 1) <= CLOSE
    found = ["by hand is -1 times the numerical value everywhere: wrong sign"] if is_(-1) else []
    found += ["by hand is 2 times the numerical value everywhere: a factor 2 too much"] if is_(2) else []
    found += ["by hand is 1/2 of the numerical value everywhere: a factor 2 is missing"] if is_(0.5) else []
    for count, what in counts.items():
        if count > 1 and is_(count):
            found.append(f"by hand is {count} times the numerical value everywhere ({count} = {what}): summed instead "
                         f"of averaged")
        if count > 1 and is_(1 / count):
            found.append(f"by hand is 1/{count} of the numerical value everywhere ({count} = {what}): averaged instead "
                         f"of summed")
    if not found and np.count_nonzero(n) >= 3:      # any two numbers have a ratio
        return f"by hand is {c:.6g} times the numerical value everywhere: a constant factor"
    return "; or ".join(found)


def factors(a, n, flat):
    """a = c·n with a number c in each channel or each row."""
    here = a.reshape(-1)[flat]
    for words, group in (("channel (all axes but the last)", flat % a.shape[-1]),
                         ("row (the last axis)", flat // a.shape[-1])) if a.ndim > 1 else ():
        group = np.unique(group, return_inverse=True)[1]
        sums = lambda v: np.bincount(group, v)
        if not (sums(n != 0) >= 3).all() or not np.isfinite(here).all():   # two elements may have a ratio by chance
            continue
        c = sums(here * n) / sums(n * n)
        if c.all() and abs(c - 1).max() > 0.01 and close(here / c[group], n):     # nearly 1: s with another ε
            return (f"by hand is the numerical value times one number in each {words}: a factor such as 1/s is missing "
                    f"or is one too many")
    return ""


def order(a, n, flat):
    """a holds the elements of n in another order."""
    places = np.unravel_index(flat, a.shape)
    fits = lambda view: close(view[places], n)
    axes = range(a.ndim)
    for turn in permutations(axes):
        if turn == tuple(axes):
            continue
        turned = a.transpose(turn)
        if turned.shape == a.shape and fits(turned):
            return "by hand is the transpose of the right array" if a.ndim == 2 else (
                f"by hand has its axes exchanged: by_hand.transpose{turn} is right")
        if turned.shape != a.shape and fits(turned.reshape(a.shape)):
            return f"by hand has its axes exchanged: by_hand.transpose{turn}.reshape{a.shape} is right"
        # A reshape to the transposed shape, where a transposition was meant.
        shape = tuple(a.shape[k] for k in np.argsort(turn))
        if shape != a.shape and fits(a.reshape(shape).transpose(turn)):
            return f"by hand was reshaped to {a.shape} where its axes had to be exchanged (transpose)"
    for k in range(1, a.ndim + 1):
        for chosen in combinations(axes, k):
            if prod(a.shape[i] for i in chosen) > 1 and fits(np.flip(a, chosen)):
                return f"by hand is reversed along {_axes(chosen)}"
    for axis in axes:
        for shift in (1, -1):
            if a.shape[axis] > 1 and fits(np.roll(a, shift, axis)):
                return f"by hand is shifted by one place along {_axes([axis])}: off by one in an index or a padding"
    if flat.size == a.size > 1 and close(np.sort(a, axis=None), np.sort(n)):
        return "by hand has the right elements in the wrong order"
    return ""


def turns(ndim):
    """Functions that reorder an array of so many axes, ≥ 2, each with its words."""
    if ndim < 2:
        return
    for turn in permutations(range(ndim)):
        if turn != tuple(range(ndim)):
            yield lambda W, turn=turn: W.transpose(turn), "transposed" if ndim == 2 else f"transposed to axes {turn}"
    for k in range(1, ndim + 1):
        for chosen in combinations(range(ndim), k):
            places = tuple(slice(None, None, -1 if axis in chosen else 1) for axis in range(ndim))
            yield lambda W, places=places: W[places], f"in reversed order along {_axes(chosen)}"


def missing(a, n, name, value, *others):
    """The cause from the error of the array a by hand, n numerically, of the argument `name` at its value.

    others: values of a weight at which its singular vectors may have been computed.
    """
    rest = n - a
    small = lambda array: abs(array).max() <= CLOSE * abs(rest).max()
    if name == "x":
        for words, columns in (("channel (all axes but the last)", lambda v: v.reshape(-1, v.shape[-1])),
                               ("row (the last axis)", lambda v: v.reshape(-1, v.shape[-1]).T)):
            r, v = columns(rest), columns(value)
            r, v = r - r.mean(0), v - v.mean(0)
            if len(r) >= 3 and small(r):
                return (f"the error is one number in each {words}: the path through the mean is missing, or has a "
                        f"wrong sign or factor")
            if len(r) >= 4 and v.any() and small(r - v * ((v * r).sum(0) / np.maximum((v * v).sum(0), 1e-300))):
                return (f"the error is α + β·x, with two numbers α and β in each {words}: the path through a variance "
                        f"or a norm is missing, or has a wrong sign or factor")
    elif a.ndim >= 2:
        matrix = lambda v: v.reshape(-1, v.shape[-1])
        sizes = np.linalg.svd(matrix(rest), compute_uv=False)
        for W in (value, *others) if len(sizes) > 1 and small(sizes[1:]) else ():
            v, _, u = np.linalg.svd(matrix(W), full_matrices=False)
            if abs(v[:, 0] @ matrix(rest) @ u[0]) >= 0.99 * sizes[0]:    # unlike what a forgotten sample leaves
                return (f"the error is a matrix of rank one, along the first singular vectors of {name}: the path "
                        f"through its largest singular value is missing, or has a wrong sign or factor")
    return ""


def _axes(chosen):
    return f"axis {chosen[0]}" if len(chosen) == 1 else f"the axes {', '.join(map(str, chosen))}"
