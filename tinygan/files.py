"""Files that are whole or not there: written to a temporary name beside their place, flushed, renamed."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path, mode="wb"):
    """Open a temporary file for writing; on leaving, it takes the place of `path`, or, after an error, is removed.

        with atomic("weights.npz") as file:
            np.savez(file, theta=theta)

    Whoever reads `path` sees the old content or the new one, never half of it. The temporary file lies in the
    same folder, since a rename is atomic only within a file system. Text is UTF-8.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, mode, **({} if "b" in mode else {"encoding": "utf-8", "newline": ""})) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
