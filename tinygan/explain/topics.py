"""What can be explained: the names come from the library itself."""

import inspect
import re
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from .. import gan, layers, losses, optim, penalties
from ..errors import ConfigError
from .passages import derivations, plain

KINDS = {"operation": "operations", "layer": "layers", "loss": "losses", "penalty": "gradient penalties",
         "optimiser": "optimisers", "game": "the game"}


class Topic(NamedTuple):
    """Something with a name; kind: a key of KINDS; thing: the class, function or module in which it is."""

    name: str
    kind: str
    thing: object

    @property
    def summary(self):
        """One line: the first of its docstring; of a penalty its row in the table of `penalties`."""
        doc = inspect.getdoc(self.thing) or ""
        row = re.search(rf"^ +{re.escape(self.name)} +(.*)$", inspect.getdoc(penalties) or "", re.MULTILINE)
        text = doc.split("\n")[0]
        if self.kind == "penalty" and row:
            text = re.sub(r"(\S) {2,}(?=[A-Z])", r"\1; ", row[1])
        return " ".join(text.split())


@cache
def topics():
    """A list of all topics: public layers, objectives and cross-entropies, penalties, optimisers, the operations whose
    module a layer's docstring names as its derivation, and one step of the game."""
    public = [getattr(layers, name) for name in layers.__all__ if inspect.isclass(getattr(layers, name))]
    operations = dict.fromkeys(module for layer in public for module in derivations(layer))
    functions = [getattr(losses, name) for name in losses.__all__]
    weighted = [name for name, function in vars(penalties).items() if inspect.isfunction(function)
                and not name.startswith("_") and {"D", "cache", "lam"} <= {*inspect.signature(function).parameters}]
    return [*(Topic(module.__name__.rpartition(".")[2], "operation", module) for module in operations),
            Topic("step", "game", gan),
            *(Topic(layer.__name__, "layer", layer) for layer in public),
            *(Topic(name, "loss", type(losses.get(name))) for name in losses.names),
            *(Topic(function.__name__, "loss", function) for function in functions
              if inspect.isfunction(function) and function.__module__ == "tinygan.ops.losses"),
            *(Topic(name, "penalty", getattr(penalties, name, penalties.Penalty))
              for name in [*penalties.names, *weighted]),
            *(Topic(cls.__name__, "optimiser", cls) for cls in vars(optim).values() if inspect.isclass(cls)
              and issubclass(cls, optim.Optimizer) and cls is not optim.Optimizer)]


def find(name):
    """The topic of this name, without regard to case and separators; "r1+r2" is a penalty of several names.

    Raises ConfigError that lists near matches for any other name.
    """
    known = {plain(topic.name): topic for topic in topics()}
    parts = [known.get(plain(part)) for part in name.split("+")]
    if len(parts) == 1 and parts[0]:
        return parts[0]
    if all(part is not None and part.kind == "penalty" and part.name in penalties.names for part in parts):
        return Topic("+".join(part.name for part in parts), "penalty", penalties.Penalty)
    near = [known[one].name for one in known if plain(name) and plain(name) in one]
    near = list(dict.fromkeys([*near, *(known[one].name for one in get_close_matches(plain(name), known, 6, 0.5))]))[:6]
    raise ConfigError(f"unknown name {name!r}{', near: ' * bool(near)}{', '.join(near)}; list all names with: "
                      f"tinygan explain")
