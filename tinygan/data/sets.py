"""MNIST and similar data sets by name: found on this machine, or downloaded once, verified and cached.

    mnist          70,000 handwritten digits        LeCun, Cortes & Burges 1998; CC BY-SA 3.0
    fashion-mnist  70,000 pictures of clothes       Xiao, Rasul & Vollgraf 2017; MIT
    kmnist         70,000 cursive Japanese letters  Clanuwat et al. 2018; CC BY-SA 4.0

Each is four gzipped IDX files, searched for in a subfolder of the set's name in the folder of the environment variable
TINYGAN_DATA, in the system's /usr/share/datasets, and in the cache ($XDG_CACHE_HOME/tinygan or ~/.cache/tinygan).
Missing files are downloaded from the mirrors in turn, verified by SHA-256, and stored in the cache.
"""

import hashlib
import os
import secrets
import sys
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ..errors import DataError, MissingError, choose
from .idx import load_folder

TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
SYSTEM = Path("/usr/share/datasets")


class Source(NamedTuple):
    """The mirrors of a data set, addresses of folders with its files, and the SHA-256 of each file."""
    mirrors: tuple
    sha256: dict


SETS = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
        {TRAIN[0]: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
         TRAIN[1]: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
         TEST[0]: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
         TEST[1]: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"}),
    "fashion-mnist": Source(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
         "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"),
        {TRAIN[0]: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
         TRAIN[1]: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
         TEST[0]: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
         TEST[1]: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}),
    "kmnist": Source(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist",),
        {TRAIN[0]: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
         TRAIN[1]: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
         TEST[0]: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
         TEST[1]: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"}),
}


def load(name, held_out=False):
    """The 60,000 training images (N, 28, 28, 1) float32 in [−1, 1] and labels (N,) int64 of a set by name.

    held_out: the 10,000 test images. Downloads them if this machine has none. Raises MissingError, with what to do, if
    that fails; DataError if local files are damaged.
    """
    choose("data set", name, SETS)
    files = TEST if held_out else TRAIN
    for folder in places(name):
        if folder.is_dir() and any(path.name.startswith(files[0][:10]) for path in folder.iterdir()):
            return load_folder(folder, held_out)
    return load_folder(fetch(name, files), held_out)


def places(name):
    """The folders where a data set may be, in the order of the search."""
    if os.environ.get("TINYGAN_DATA"):
        yield Path(os.environ["TINYGAN_DATA"]) / name
    yield SYSTEM / name
    yield cache() / name


def cache():
    """The folder of downloaded files; MissingError if there is no home folder to put it in."""
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "tinygan"
    except RuntimeError:
        raise MissingError("expected a folder for the cache of data sets, got a user without a home; set "
                           "XDG_CACHE_HOME, or put the files into a folder and set TINYGAN_DATA to it") from None


def fetch(name, files=TRAIN):
    """Download the files of a data set into the cache, each complete and verified; returns the folder."""
    source, folder = choose("data set", name, SETS), cache() / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in reversed(files):        # labels first, so that a folder with images is complete
        if not (folder / file).exists():
            _fetch(name, file, source, folder)
    return folder


def _fetch(name, file, source, folder):
    troubles = []
    for mirror in source.mirrors:
        temporary = folder / f".{file}.{secrets.token_hex(4)}.tmp"
        try:
            found = _download(f"{mirror}/{file}", temporary)
            if found != source.sha256[file]:
                raise DataError(f"SHA-256 {found[:12]}… instead of {source.sha256[file][:12]}…")
            os.replace(temporary, folder / file)
            return
        except (OSError, ValueError, DataError) as error:      # URLError and timeouts are OSErrors
            troubles.append(f"{mirror.split('/')[2]}: {' '.join(str(error).split())[:80]}")
        finally:
            temporary.unlink(missing_ok=True)
    raise MissingError(f"expected to download {file} of {name}, got {'; '.join(troubles)}; when online, try again, or "
                       f"put the files into {folder}, or use the bundled digits: --data mnist5k")


def _download(url, path, timeout=20):
    """Download the address to a file, with a progress bar on stderr; returns its SHA-256."""
    digest, done = hashlib.sha256(), 0
    with urllib.request.urlopen(url, timeout=timeout) as answer, open(path, "wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        with tqdm(total=size or None, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[1], file=sys.stderr,
                  disable=not sys.stderr.isatty()) as bar:
            while chunk := answer.read(1 << 16):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                bar.update(len(chunk))
            if done < size:
                raise OSError(f"the connection ended after {done} of {size} bytes")
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
