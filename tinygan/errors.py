"""Errors at the border: one line that says what was expected, what came, and what to do.

Every class derives from `TinyganError`, which the command line prints without a traceback and turns
into exit code 2, and from the built-in exception that a caller would expect.
"""


class TinyganError(Exception):
    """Anything that the caller can mend."""


class ShapeError(TinyganError, ValueError):
    """An array has the wrong shape, or is empty."""


class DtypeError(TinyganError, TypeError):
    """An array has the wrong dtype; nothing is cast in silence."""


class BackendError(TinyganError, RuntimeError):
    """An array module is unknown, not usable here, or mixed with another."""


class DataError(TinyganError, ValueError):
    """Data is damaged, holds NaN, or does not fit what was asked for."""


class ConfigError(TinyganError, ValueError):
    """An option, a name or a number is not one that exists or makes sense."""


class MissingError(TinyganError, FileNotFoundError):
    """A file or folder is not there."""

    __str__ = Exception.__str__   # OSError would print its arguments as a tuple


def check_all(*checks):
    """Raise ConfigError("expected …") with the text of the first pair (condition, text) whose condition is false."""
    for right, text in checks:
        if not right:
            raise ConfigError(f"expected {text}")


def choose(kind, name, options):
    """Return options[name]; raise ConfigError that lists what there is.

    kind: what is being chosen, for the message; options: a mapping of str to anything.
    """
    try:
        return options[name]
    except (KeyError, TypeError):
        raise ConfigError(f"unknown {kind} {name!r}; choose one of: {', '.join(options)}") from None
