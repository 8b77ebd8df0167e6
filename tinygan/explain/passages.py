"""What is written beside the code: derivations, their files and lines, sources, and the chapters of the course."""

import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

PARENT = Path(__file__).resolve().parents[2]      # of the package
MAPS = ("forward", "backward", "jvp", "jvp_backward", "map", "adjoint", "wgrad", "f", "d1", "d2", "d_loss", "g_loss",
        "step", "update", "direction", "d_step", "g_step")


class Passage(NamedTuple):
    """A docstring: whose it is, its file and lines (of the whole object), and its text."""

    of: str
    file: str
    lines: tuple
    text: str


@cache
def where(thing):
    """The file of a class, function or module, as from the folder that holds the package, and its first, last line."""
    thing = inspect.unwrap(thing)
    try:
        path, (lines, first) = Path(inspect.getsourcefile(thing)).resolve(), inspect.getsourcelines(thing)
    except (OSError, TypeError):        # made in an interactive session
        return f"{getattr(thing, '__module__', thing.__name__)}, without a file", (0, 0)
    file = path.relative_to(PARENT) if path.is_relative_to(PARENT) else path
    return file.as_posix(), (max(first, 1), max(first, 1) + len(lines) - 1)


def passage(thing, kept=None, others=()):
    """The docstring of a class, function or module; kept, others: as for `about`."""
    doc = inspect.getdoc(thing) or ""
    file, lines = where(thing)
    if inspect.ismodule(thing):
        lines = (1, 1 + doc.count("\n"))
    return Passage("" if inspect.ismodule(thing) else thing.__name__, file, lines, about(doc, kept, others))


def about(doc, kept, others):
    """A text without what it says of others alone, and without examples (>>>).

    Left out are indented lines that begin with the name of another (and lines below that are indented deeper), and
    paragraphs that name others but none of those kept.
    """
    word = lambda name: rf"(?<!\w){re.escape(name)}(?!\w)"
    paragraphs = []
    for paragraph in doc.split("\n\n"):
        named = [name for name in others if re.search(word(name), paragraph)]
        if paragraph.lstrip().startswith(">>>"):
            continue
        if named and not paragraph.startswith("    ") and not any(re.search(word(name), paragraph) for name in kept):
            continue
        lines, skipped = [], None
        for line in paragraph.split("\n"):
            indent = len(line) - len(line.lstrip())
            if skipped is not None and indent > skipped:
                continue
            skipped = indent if indent >= 4 and line.split()[0] in others else None
            if skipped is None:
                lines.append(line)
        paragraphs.append("\n".join(lines))
    return "\n\n".join(text for text in paragraphs if text.strip())


def derivations(thing):
    """Modules whose docstrings a docstring names: "derivation in `ops/norm.py`"."""
    return [import_module("tinygan." + path.replace("/", "."))
            for path in re.findall(r"derivation\s+in\s+`([\w/]+)\.py`", inspect.getdoc(thing) or "")]


def family(cls):
    """The base classes that define maps for this class, nearest first."""
    return [base for base in cls.__mro__[1:] if base.__module__.startswith("tinygan.") and base.__bases__ != (object,)
            and not base.__name__.startswith("_") and any(name in vars(base) for name in MAPS)]


def code(thing):
    """(names, file, lines) of what computes: the maps of a class, where it or its bases define them, or functions."""
    if inspect.ismodule(thing):
        return [one for name, value in vars(thing).items() if not name.startswith("_")
                and getattr(value, "__module__", "") == thing.__name__ for one in code(value)]
    if not inspect.isclass(thing):
        return [(thing.__name__, *where(thing))]
    owners = {}
    for name in MAPS:
        owner = next((base for base in thing.__mro__ if name in vars(base)), None)
        function = owner and vars(owner)[name]
        if inspect.isfunction(function) and (owner is thing or "NotImplementedError" not in function.__code__.co_names):
            owners.setdefault(owner, []).append(name)
    found = []
    for owner, names in owners.items():
        lines = [where(vars(owner)[name])[1] for name in names]
        found.append((", ".join(names), where(owner)[0], (min(a for a, _ in lines), max(b for _, b in lines))))
    return found


def sources(texts):
    """The publications that texts cite by author and year, each once: "Mao et al. 2017, eq. 9"."""
    author = r"[A-ZŁ][\w’'-]+(?: et al\.|(?:, [A-Z][\w-]+)* & [A-Z][\w-]+)?"
    place = r"(?:eqs?\.|sections?|Algorithms?|Alg\.|Theorem)\s[\d.]+(?: and (?:section |eq\. )?\d+)?"
    cited = rf"({author}\s(?:19|20)\d\d)((?: \(\w+\))?(?:, {place})?)"
    found, digits = {}, lambda place: set(re.findall(r"\d+", place))
    for publication, where in re.findall(cited, " ".join(" ".join(texts).split())):
        places = found.setdefault(publication, [])
        if not any(digits(where) <= digits(other) and where[:3] in (other[:3], "") for other in places):
            places.append(where.rstrip("."))
    return [publication + "".join(places) for publication, places in found.items()]


def chapters(names, folder=None):
    """The chapters that have one of these names in their file's name, or more than once in their text: at most two.

    Those named after it come first, the others in the order of the course. A list of (number, title, file); it is empty
    where the course does not lie beside the package.
    """
    found = []
    for stem, script in _scripts(PARENT / "examples" if folder is None else folder):
        heading = re.match(r"# %% \[markdown\]\n# # (\d+)\. (.*)", script)
        count = sum(len(re.findall(rf"(?<!\w){re.escape(name)}(?!\w)", script)) for name in names)
        titled = any(plain(name) in plain(stem) for name in names)
        if heading and (count or titled):
            found.append((not titled, count < 2, int(heading[1]), heading[2], f"examples/{stem}.md"))
    found = [one for one in sorted(found) if one[:2] != (True, True)] or sorted(found)
    return [one[2:] for one in found[:2]]


@cache
def _scripts(folder):
    return [(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("[0-9][0-9]_*.py"))
            if path.with_suffix(".md").exists()]


def plain(name):
    """A name without its case and without separators."""
    return re.sub(r"[\W_]", "", name.lower())
