"""The options of `tinygan train`, generated from the fields of Config."""

import argparse
from dataclasses import fields

from .config import Config


def add_options(add):
    """Add an option for each field of Config, which checks the values.  add: a parser's add_argument."""
    for f in fields(Config):
        if not f.metadata:
            continue
        name, m = "--" + f.name.replace("_", "-"), f.metadata
        if f.type is bool:
            add(name, action=argparse.BooleanOptionalAction, help=m["help"])
            continue
        text, default = m["help"], f" {f.default}".removesuffix(".0")
        if f.default is None:
            default = m["unset"] and f": {m['unset']}"
        for more in (", ".join(m["choices"] or ()), default and f"(default{default})"):
            text += ("\n" if len(text.split("\n")[-1] + more) > 80 else " ") + more if more else ""
        if f.name == "g_lr":
            add("--lr", type=_reader(f), metavar="X", help="learning rate of both networks: --g-lr and --d-lr at once")
        add(name, type=_reader(f), metavar=m["metavar"] or {int: "N", float: "X", str: "NAME"}[f.type], help=text)


def _reader(f):
    """text -> value of a field of Config; "none" is None, its default, unless it could be a name."""
    kind = f.type if f.type in (int, float) else str

    def read(text):
        return None if text == "none" and (kind is not str or f.default is None) else kind(text)
    read.__name__ = {int: "integer", float: "number", str: "text"}[kind]    # as in "invalid integer value"
    return read
