"""Data from this machine and from the network: every way there, and every way in which it can go wrong."""

import gzip
import hashlib
import http.server
import threading
from functools import partial

import numpy as np
import pytest
from PIL import Image

from tinygan import cli, data, run
from tinygan.data import sets
from tinygan.errors import ConfigError, DataError, MissingError
from write_idx import write_idx

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 28, 28)).astype(np.uint8)
LABELS = np.arange(30).astype(np.uint8) % 10


@pytest.fixture
def home(tmp_path, monkeypatch):
    """No system folder, an empty cache, nothing given."""
    monkeypatch.setattr(sets, "SYSTEM", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TINYGAN_DATA", raising=False)
    return tmp_path


@pytest.fixture
def mirrors(home, monkeypatch):
    """Two local HTTP servers; each serves a folder of its own and notes what it was asked for."""
    asked, servers, addresses = [], [], []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)
    for name in ("one", "two"):
        (home / name).mkdir()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(home / name)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        addresses.append(f"http://127.0.0.1:{server.server_port}")
    files = {sets.TRAIN[0]: gzip.compress(_idx(home, PIXELS)), sets.TRAIN[1]: gzip.compress(_idx(home, LABELS))}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setitem(sets.SETS, "mnist", sets.Source(tuple(addresses), sums))
    yield home, files, asked
    for server in servers:
        server.shutdown()
        server.server_close()


def _idx(home, array):
    write_idx(home / "tmp-idx", array)
    return (home / "tmp-idx").read_bytes()


def test_it_is_fetched_once_checked_and_kept(mirrors):
    home, files, asked = mirrors
    for name, content in files.items():
        (home / "one" / name).write_bytes(content)
    images, labels = data.load("mnist")
    assert images.shape == (30, 28, 28, 1) and labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(images, data.scale(PIXELS))
    assert len(asked) == 2
    data.load("mnist")
    assert len(asked) == 2
    assert sorted(p.name for p in (home / "cache/tinygan/mnist").iterdir()) == sorted(files)


@pytest.mark.parametrize("first", ["absent", "wrong", "cut"])
def test_the_next_mirror_is_tried(mirrors, first):
    home, files, asked = mirrors
    for name, content in files.items():
        (home / "two" / name).write_bytes(content)
        if first != "absent":
            (home / "one" / name).write_bytes(b"an error page" if first == "wrong" else content[:-9])
    assert len(data.load("mnist")[0]) == 30 and len(set(asked)) == 2


def test_offline_it_says_what_to_do_and_leaves_nothing(mirrors, capsys):
    home, _, _ = mirrors
    assert cli.main(["train", "--data", "mnist", "--out", str(home / "run")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--data mnist5k" in err and str(home / "cache") in err and "404" in err
    assert not (home / "run").exists() and not list((home / "cache/tinygan/mnist").iterdir())


def test_half_a_set_is_fetched_again(mirrors):
    home, files, _ = mirrors
    (home / "one" / sets.TRAIN[0]).write_bytes(files[sets.TRAIN[0]])        # images, but no labels there yet
    with pytest.raises(MissingError, match="labels"):
        data.load("mnist")
    (home / "one" / sets.TRAIN[1]).write_bytes(files[sets.TRAIN[1]])
    assert data.load("mnist")[1].tolist() == LABELS.tolist()


def test_a_user_without_a_home(home, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")
    monkeypatch.setattr(sets.Path, "home", nobody)
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(MissingError, match="a user without a home; set XDG_CACHE_HOME"):
        data.load("kmnist")
    (home / "given/kmnist").mkdir(parents=True)
    write_idx(home / "given/kmnist/train-images-idx3-ubyte", PIXELS)
    monkeypatch.setenv("TINYGAN_DATA", str(home / "given"))
    assert len(data.load("kmnist")[0]) == 30


def test_what_was_trained_on_is_no_test(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", PIXELS)
    with pytest.raises(MissingError, match="a file like t10k-images-idx3-ubyte"):
        data.load(f"idx:{tmp_path}", held_out=True)
    write_idx(tmp_path / "my-images-idx3-ubyte", PIXELS[:7])
    assert len(data.load(f"idx:{tmp_path}", held_out=True)[0]) == 7


def test_names_mean_the_same_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert data.located("idx:a/b") == f"idx:{tmp_path / 'a/b'}" and data.located("x.npy") == str(tmp_path / "x.npy")
    assert data.located("images:~/p") == f"images:{tmp_path / 'me/p'}" and data.located("mnist5k") == "mnist5k"
    _pictures(tmp_path / "me/p")
    assert data.load("images:~/p")[0].shape == (3, 28, 28, 1)


def test_pictures_stand_upright_and_folders_are_none(tmp_path):
    pixels = np.zeros((20, 10, 3), np.uint8)
    pixels[:10] = 255                                       # above white, below black, as the camera held it
    exif = Image.Exif()
    exif[0x0112] = 3                                        # and it was held upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    (tmp_path / "thumbs.png").mkdir()
    images, _ = data.load(f"images:{tmp_path}")
    assert len(images) == 1 and images[0, 2].max() < -0.9 and images[0, -3].min() > 0.9
    for i, exif in enumerate((b"Exif\0\0II*\0", b"Exif\0\0garbage")):      # which nobody can read
        Image.fromarray(pixels).save(tmp_path / f"b{i}.png", exif=exif)
    images, _ = data.load(f"images:{tmp_path}")
    assert len(images) == 3 and (images[1:, 2] > 0.9).all()


def test_arrays_that_are_densely_packed(tmp_path):
    x = np.zeros((400, 64, 64), np.uint8)
    x[:, 20:30] = 255
    np.savez_compressed(tmp_path / "x.npz", images=x)
    assert x.nbytes > 200 * (tmp_path / "x.npz").stat().st_size
    assert data.load(tmp_path / "x.npz")[0].shape == (400, 64, 64, 1)


def test_where_it_is_looked_for_and_in_which_order(home, monkeypatch):
    def put(root, value):
        (root / "kmnist").mkdir(parents=True)
        write_idx(root / "kmnist" / "train-images-idx3-ubyte", np.full((3, 28, 28), value, np.uint8))
    first = lambda: round((float(data.load("kmnist")[0][0, 0, 0, 0]) + 1) * 127.5)
    put(home / "cache/tinygan", 3)
    assert first() == 3
    put(home / "system", 2)
    assert first() == 2
    put(home / "given", 1)
    monkeypatch.setenv("TINYGAN_DATA", str(home / "given"))
    assert first() == 1


def test_the_published_sums():
    """64 hexadecimal digits for each of four files, and MNIST's are those of its 10,000 test images everywhere."""
    for source in sets.SETS.values():
        assert len(source.sha256) == 4 and all(len(s) == 64 and int(s, 16) for s in source.sha256.values())
        assert source.mirrors and all(mirror.startswith("http") for mirror in source.mirrors)
    assert sets.SETS["mnist"].sha256["t10k-images-idx3-ubyte.gz"].startswith("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee7")


def _pictures(folder, n=3, size=(40, 50), mode="RGB", suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        shape = size if mode == "L" else (*size, len(mode))
        pixels = np.random.default_rng(i).integers(0, 256, shape).astype(np.uint8)
        Image.fromarray(pixels, mode=None).save(folder / f"{i:02}{suffix}")


def test_pictures_of_any_size_and_colour(tmp_path):
    _pictures(tmp_path / "p")
    _pictures(tmp_path / "p", 2, (28, 28), "L", ".JPG")
    (tmp_path / "p/notes.txt").write_text("passed over")
    images, labels = data.load(f"images:{tmp_path / 'p'}")
    assert images.shape == (5, 28, 28, 1) and labels is None and abs(images).max() <= 1
    colour, _ = data.load(f"images:{tmp_path / 'p'}", size=16, colour=True)
    assert colour.shape == (5, 16, 16, 3)
    plain = np.zeros((20, 60, 3), np.uint8)
    plain[:, 20:40] = 255, 0, 0                          # the middle square is all red
    (tmp_path / "q").mkdir()
    Image.fromarray(plain).save(tmp_path / "q/a.png")
    red, _ = data.load(f"images:{tmp_path / 'q'}", size=8, colour=True)
    np.testing.assert_array_equal(red[0], np.broadcast_to(np.float32([1, -1, -1]), (8, 8, 3)))


def test_pictures_of_sixteen_bits_and_with_holes(tmp_path):
    ramp = np.linspace(0, 65535, 28 * 28).reshape(28, 28)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "a.png")
    shape = np.zeros((28, 28, 4), np.uint8)
    shape[10:20, 10:20] = 0, 0, 0, 255                  # a black square, and nothing around it
    Image.fromarray(shape).save(tmp_path / "b.png")
    images, _ = data.load(f"images:{tmp_path}")
    np.testing.assert_allclose(images[0, ..., 0], ramp / 32767.5 - 1, atol=0.01)
    assert images[1, 0, 0] == 1 and images[1, 15, 15] == -1


def test_subfolders_are_labels(tmp_path):
    _pictures(tmp_path / "cats", 2)
    _pictures(tmp_path / "dogs", 3)
    (tmp_path / "empty").mkdir()
    images, labels = data.load(f"images:{tmp_path}")
    assert labels.tolist() == [0, 0, 1, 1, 1] and len(images) == 5


def test_pictures_that_are_none(tmp_path):
    with pytest.raises(MissingError, match="not there"):
        data.load(f"images:{tmp_path / 'no'}")
    with pytest.raises(MissingError, match="got none"):
        data.load(f"images:{tmp_path}")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DataError, match="broken.png"):
        data.load(f"images:{tmp_path}")


def test_arrays(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    np.savez_compressed(tmp_path / "b.npz", x=data.scale(PIXELS), y=LABELS)
    np.savez(tmp_path / "c.npz", anything=PIXELS[..., None].repeat(3, -1))
    a, none = data.load(tmp_path / "a.npy")
    b, labels = data.load(str(tmp_path / "b.npz"))
    np.testing.assert_array_equal(a, b)
    assert none is None and labels.tolist() == LABELS.tolist() and labels.dtype == np.int64
    assert data.load(tmp_path / "c.npz")[0].shape == (30, 28, 28, 3)


@pytest.mark.parametrize("arrays, words", [
    (dict(images=np.zeros((2, 28, 28), np.int32)), "float32"), (dict(images=np.full((2, 4, 4), np.nan)), "finite"),
    (dict(images=np.full((2, 4, 4), 200.0)), "x/127.5"), (dict(images=np.zeros(5, np.float32)), "shape"),
    (dict(images=np.zeros((0, 4, 4), np.float32)), "empty"),
    (dict(images=np.zeros((0, 4, 4), np.uint8)), "at least one"),
    (dict(a=PIXELS, b=PIXELS), "'images' or 'x'"),
    (dict(x=PIXELS, y=LABELS[:3]), "labels"), (dict(x=PIXELS, y=LABELS / 2), "labels"), ({}, "'images' or 'x'")])
def test_arrays_that_do_not_fit(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=words):
        data.load(tmp_path / "a.npz")


def test_other_names_and_files(tmp_path):
    with pytest.raises(ConfigError, match="fashion-mnist, kmnist"):
        data.load("imagenet")
    with pytest.raises(MissingError):
        data.load(tmp_path / "none.npy")
    np.save(tmp_path / "o.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(DataError, match="pickle"):
        data.load(tmp_path / "o.npy")


def test_it_trains_on_ones_own_pictures(tmp_path):
    _pictures(tmp_path / "p", 8)
    folder = run.train(tmp_path / "r", quiet=True, data=f"images:{tmp_path / 'p'}", colour=True, image_size=16, steps=2,
                       batch=4, width=0.1)
    assert run.sample(folder, 3, 0).shape == (3, 16, 16, 3)
