"""The command tinygan, also python -m tinygan."""

import sys


def main():
    """Entry point: imports and runs the command line; returns the exit code."""
    try:
        from .cli import main as command_line      # here, so that Ctrl-C while NumPy is imported is caught too
        return command_line()
    except KeyboardInterrupt:
        print("tinygan: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
