"""The formulas of docstrings, read as they stand there and filled with numbers.

    assignments(doc, wanted)     [("d_real", "=", "−σ(−r)/N"), …]: the formulas of these quantities, in the text's order
    tree = parse("−σ(−r)/N", names)
    value(tree, values)          the number, or the array, that it gives
    text(tree, values, index)    the same with numbers in the place of names: "−σ(−2)/2"
    filled(report, …)            the Line of each formula; the report compares them with what the code computes

The grammar is what the docstrings use: + − · / and products without a sign, powers ² and ᵗ, √, parentheses,
brackets such as [r < 1] (1 where true, else 0), the functions a (softplus), σ and max, and, in front of a factor,
log and mean.
"""

import re
from dataclasses import replace

import numpy as np

from ..gradcheck import Report
from ..ops.pointwise import sigmoid, softplus
from .numbers import number, place, single
from .sums import Line

_CALLS = {"a": softplus, "σ": sigmoid, "max": np.maximum}
_PREFIXES = {"mean": np.mean, "meanₙ": np.mean, "log": np.log, "√": np.sqrt}
_POWERS = {"²": "2", "ᵗ": "t"}
EXACT = 1e-12       # two ways to compute the same
_INFIX = {"+": np.add, "−": np.subtract, "·": np.multiply, "/": np.divide, "<": np.less, ">": np.greater}


def assignments(doc, wanted):
    """(name, sign, formula) of each `name = formula` or `name ← formula` in a text, if the name is wanted.

    They are in indented lines, or in paragraphs of which each line begins with one. Two or more spaces end a formula;
    of `u = ∂φ/∂v = 2v` the last part counts.
    """
    found = []
    for line in _formula_lines(doc):
        for part in re.split(r"\s{2,}", line.strip()):
            stated = re.fullmatch(r"([^=←]+?)\s*([=←])\s*([^←]+)", part.rstrip(",."))
            if stated and stated[1] in wanted:
                found.append((*stated.group(1, 2), re.sub(r", and .*", "", stated[3]).split(" = ")[-1]))
    return found


def _formula_lines(doc):
    for paragraph in doc.split("\n\n"):
        lines = paragraph.splitlines()
        alone = all(re.match(r"\s*\S+ +[=←] ", line) for line in lines)
        yield from (line for line in lines if alone or line.startswith("    "))


def parse(formula, names):
    """The tree of a formula in these names; ValueError for what is not in the grammar."""
    words = sorted([*names, *_CALLS, *_PREFIXES], key=len, reverse=True)
    token = re.compile("|".join([r"\d+(?:\.\d+)?|½", *map(re.escape, words), r"[-+−·/()\[\]<>,²ᵗ]"]))
    tokens, rest = token.findall(formula), token.sub("", formula)
    if rest.strip():
        raise ValueError(f"expected a formula in {', '.join(names)}, got {formula!r}: what is {rest.strip()!r}?")
    return _Parser(tokens, set(names)).whole()


class _Parser:
    def __init__(self, tokens, names):
        self.tokens, self.names = [*tokens, ""], names

    def take(self, *wanted):
        """The next token, if it is one of these."""
        return self.tokens.pop(0) if self.tokens[0] in wanted else None

    def need(self, *wanted):
        """The next token, which must be one of these."""
        if self.tokens[0] not in wanted:
            raise ValueError(f"expected one of {' '.join(wanted)} in a formula, got {self.tokens[0] or 'its end'!r}")
        return self.tokens.pop(0)

    def whole(self):
        tree = self.sum()
        self.need("")
        return tree

    def sum(self):
        left = self.product()
        while sign := self.take("+", "−", "<", ">"):
            left = (sign, left, self.product())
        return left

    def product(self):
        if self.take("−"):
            return ("negative", self.product())
        left = self.power()
        while (sign := self.take("·", "/")) or self.tokens[0] not in ("", ")", "]", ",", "+", "−", "<", ">"):
            left = (sign or "·", left, self.power())
        return left

    def power(self):
        if prefix := self.take(*_PREFIXES):
            return ("prefix", prefix, self.power())
        base = self.atom()
        while power := self.take(*_POWERS):
            base = ("power", base, _POWERS[power])
        return base

    def atom(self):
        if name := self.take(*self.names):
            return ("name", name)
        if function := self.take(*_CALLS):
            self.need("(")
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            self.need(")")
            return ("call", function, *arguments)
        if bracket := self.take("(", "["):
            inside = self.sum()
            self.need({"(": ")", "[": "]"}[bracket])
            return ("group", bracket, inside)
        if not re.match(r"\d|½", self.tokens[0]):
            raise ValueError(f"expected a number or a name in a formula, got {self.tokens[0] or 'its end'!r}")
        return ("number", self.tokens.pop(0))


def value(tree, values):
    """The value of a formula; values: mapping name -> number or array."""
    kind, *parts = tree
    if kind == "number":
        return 0.5 if parts[0] == "½" else float(parts[0])
    if kind == "name":
        return values[parts[0]]
    if kind == "negative":
        return -value(parts[0], values)
    if kind == "power":
        return value(parts[0], values) ** (values["t"] if parts[1] == "t" else 2)
    if kind == "group":
        return value(parts[1], values) * 1.0
    if kind == "prefix":
        return _PREFIXES[parts[0]](value(parts[1], values))
    if kind == "call":
        return _CALLS[parts[0]](*(np.asarray(value(part, values), "float64") for part in parts[1:]))
    return _INFIX[kind](value(parts[0], values), value(parts[1], values))


def text(tree, values, index=()):
    """The formula with numbers: of arrays the element at this index, of a mean the sum of all of its terms."""
    kind, *parts = tree
    inside = lambda part: text(part, values, index)
    if kind == "number":
        return parts[0]
    if kind == "name":
        return number(single(values[parts[0]], index), brackets=True)
    if kind == "negative":
        if parts[0][0] == "name":
            return number(-single(value(parts[0], values), index), brackets=True)
        return f"−{inside(parts[0])}"
    if kind == "power":
        power = number(values["t"]) if parts[1] == "t" else "2"
        return inside(parts[0]) + power.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    if kind == "group":
        return f"[{inside(parts[1])}]" if parts[0] == "[" else f"({inside(parts[1])})"
    if kind == "prefix" and parts[0].startswith("mean"):
        terms = np.asarray(value(parts[1], values)).reshape(-1)
        return f"({' + '.join(number(term, brackets=True) for term in terms)})/{len(terms)}"
    if kind == "prefix":
        return f"{parts[0]}{' ' * (parts[0] == 'log')}{inside(parts[1])}"
    if kind == "call":
        arguments = [re.sub(r"^\((-[^()]*)\)$", r"\1", inside(part)) for part in parts[1:]]
        return f"{parts[0]}({', '.join(arguments)})"
    space = "" if kind in "·/" else " "
    return f"{inside(parts[0])}{space}{kind}{space}{inside(parts[1])}"


def filled(report, stated, values, found, prefix=""):
    """A Line for each formula of a quantity in `found`, what the code computed, and of numbers on the way to them.

    stated: as from `assignments`; values: mapping name -> number or array, to which each result is added. The report
    compares results with `found`, under the quantity `prefix` + name.
    """
    for name, sign, formula in stated:
        tree = parse(formula, values)
        array = np.asarray(found.get(name, value(tree, values)))
        result = np.broadcast_to(value(tree, values), array.shape) * 1.0
        if name in found:
            report.add(f"{prefix}{name}, by its formula", array, result, EXACT, {},
                       words=("the code's", "the formula's"))
        if name in found or not array.ndim:
            index = np.unravel_index(abs(array).argmax(), array.shape) if array.ndim else ()
            yield Line(name + place(index), formula, text(tree, values, index), float(array[index]), sign)
        values[name] = result


def renamed(report, names):
    """The report with other names of quantities; names: mapping old -> new, of what stands before a comma."""
    new, other = Report(report.name), lambda quantity: re.sub(
        r"^[^,]*", lambda match: names.get(match[0], match[0]), quantity)
    for quantity, error in report.items():
        new.note(other(quantity), error)
    new.failures = [replace(failure, quantity=other(failure.quantity), text=failure.text.replace(
        failure.quantity, other(failure.quantity), 1)) for failure in report.failures]
    return new
