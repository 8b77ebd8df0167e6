"""An explanation: what it holds, and how it is printed."""

import textwrap
from dataclasses import dataclass

import numpy as np

from ..gradcheck import Report
from ..gradcheck.report import finite
from .numbers import arranged, block, number
from .passages import PARENT, where
from .topics import KINDS, Topic, topics

WIDTH = 116
HIDDEN = ("unchanged", ", again", ", no grads")     # quantities of gradcheck that are shown only if they are wrong


@dataclass
class Explanation:
    """All there is to say about a topic; `str` is text of at most 120 columns, `to_dict` plain values for JSON.

    example: what the worked example runs, in words; parts: of it (`sums.Part`); report: a gradcheck.Report of the
    gradient check and of all comparisons; passages: docstrings; code: (names, file, lines) of functions;
    chapters: (number, title, file); sources: publications.
    """

    topic: Topic
    example: str
    parts: list
    report: Report
    passages: list
    code: list
    chapters: list
    sources: list

    @property
    def place(self):
        """The file and the first and last line of the thing itself."""
        return where(self.topic.thing)

    @property
    def ok(self):
        """Whether the gradient check passes, and all sums and formulas agree with the code."""
        return self.report.ok

    def to_dict(self):
        """Plain Python values; arrays as nested lists; numbers that are not finite as None."""
        return {
            "name": self.topic.name, "kind": self.topic.kind, "summary": self.topic.summary, "ok": self.ok,
            "file": self.place[0], "lines": list(self.place[1]),
            "derivation": [text._asdict() for text in self.passages],
            "example": {"of": self.example, "parts": [
                {"title": part.title, "arrays": {name: _nested(array) for name, array in part.arrays.items()},
                 "lines": [line._asdict() | {"result": finite(line.result)} for line in part.lines]}
                for part in self.parts]},
            "check": self.report.to_dict(),
            "code": [{"names": names, "file": file, "lines": lines} for names, file, lines in self.code],
            "chapters": [{"number": n, "title": title, "file": file} for n, title, file in self.chapters],
            "sources": self.sources}

    def __str__(self):
        lines = [f"{self.topic.name} ({self.topic.kind}): {_at(*self.place)}"]
        for text in self.passages:
            of = f"{text.of}, " if text.of else ""
            lines += ["", f"DERIVATION: {of}{_at(text.file, text.lines)}", "", *text.text.split("\n")]
        lines += ["", f"WORKED EXAMPLE: {self.example}"]
        for part in self.parts:
            blocks = [block(name, array, name in part.parameters) for name, array in part.arrays.items()]
            lines += ["", *_wrapped(part.title, "")] + ([""] + arranged(blocks, WIDTH) if blocks else [])
            lines += [""] * bool(part.lines) + [text for line in part.lines for text in _spelled(line)]
        lines += ["", *self._check(), "", "CODE", *(f"  {names}: {_at(file, at)}" for names, file, at in self.code)]
        missing = "none names it" if (PARENT / "examples").is_dir() else "see examples/ in the source of tinygan"
        lines += ["", "CHAPTERS OF THE COURSE" + ("" if self.chapters else f": {missing}")]
        lines += [text for n, title, file in self.chapters for text in (f"  {n:>2}. {title}", f"      {file}")]
        lines += ["", "SOURCE: " + ("; ".join(self.sources) or "none named; derived above")]
        return "\n".join(line.rstrip() for line in lines)

    def _check(self):
        if not self.ok:
            return ["CHECK: WRONG", *str(self.report).split("\n")]
        first, second, compared = [], [], 0.0
        for name, error in self.report.items():
            if name.endswith(HIDDEN):
                continue
            if ", " in name:        # what the examples compare: "dx, as sums", "m, by its formula"
                compared = max(compared, error)
            else:
                (second if name.startswith("second ") else first).append(
                    f"{name.removeprefix('second ')} {f'{error:.0e}' if error else 0}")
        title = "GRADIENT CHECK: ok; largest relative errors against five-point differences (tolerance 1e-8)"
        lines = [title] * bool(first)
        for title, errors in ("first order", first), ("second order", second):
            text = ", ".join(error.replace(" ", "\u00a0") for error in errors)     # an item stays in one line
            lines += [line.replace("\u00a0", " ") for line in textwrap.wrap(
                text, WIDTH, initial_indent=f"  {title:<14}", subsequent_indent=" " * 16)]
        return [*lines, f"SUMS AND FORMULAS ABOVE: ok; they agree with the code to {max(compared, 1e-16):.0e}"]


def _at(file, lines):
    return f"{file}:{lines[0]}-{lines[1]}" if lines[1] else file


def _wrapped(text, indent):
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _spelled(line):
    """quantity = formula, below it the formula with numbers, and the result."""
    indent = " " * (len(line.quantity) + 2)
    numbers = f"= {line.numbers} = {number(line.result)}"
    if line.numbers == number(line.result):
        numbers = f"= {line.numbers}"
    whole = f"  {line.quantity} {line.sign} {line.formula}"
    if len(whole) + len(numbers) + 1 <= 100:
        return [f"{whole} {numbers}"]
    return [*textwrap.wrap(whole, WIDTH, subsequent_indent=indent + "    "),
            *textwrap.wrap(numbers, WIDTH, initial_indent=indent + " ", subsequent_indent=indent + "   ")]


def _nested(array):
    return [_nested(one) for one in array] if np.ndim(array) else finite(float(array))


def catalogue():
    """All topics: a mapping kind -> list of (name, summary)."""
    return {kind: [(topic.name, topic.summary) for topic in topics() if topic.kind == kind] for kind in KINDS}


def listed():
    """All topics as text: by kind, a line each."""
    lines = ["tinygan explain NAME explains one of these (upper or lower case; r1+r2: both):"]
    for kind, found in catalogue().items():
        lines += ["", KINDS[kind], *(_short(f"  {name:<22}{summary}") for name, summary in found)]
    return "\n".join(lines)


def _short(line):
    return line if len(line) <= WIDTH else line[:WIDTH - 2].rsplit(" ", 1)[0] + " …"
