"""The command line, called in this process."""

from tinygan import cli


def tinygan(*args):
    """Exit code of the command line."""
    try:
        return cli.main([str(a) for a in args])
    except SystemExit as end:   # argparse
        return end.code
