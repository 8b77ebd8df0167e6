"""IDX: whole files give their array, everything else one clear error."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygan import data
from tinygan.data import idx
from tinygan.errors import DataError, MissingError
from write_idx import write_idx

quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
arrays = hnp.arrays(st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]),
                    hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
# Headers that look right, with lengths of every kind: the way to a reader's weak places.
lengths = st.lists(st.sampled_from([0, 1, 2, 3, 2**16, 2**31, 2**32 - 1]), min_size=1, max_size=5)
header = lambda code, axes: bytes([0, 0, code, len(axes)]) + b"".join(n.to_bytes(4, "big") for n in axes)
headers = st.builds(lambda code, axes, rest: header(code, axes) + rest, st.integers(7, 15), lengths,
                    st.binary(max_size=40))
contents = st.one_of(st.binary(max_size=60), headers)


@quick
@given(array=arrays, name=st.sampled_from(["a", "a.gz"]))
def test_round_trip(tmp_path, array, name):
    path = tmp_path / name
    write_idx(path, array)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (name == "a.gz")
    back = idx.read(path)
    assert back.dtype == array.dtype and back.shape == array.shape and back.tobytes() == array.tobytes()
    assert back.dtype.isnative and back.flags.writeable
    write_idx(path, array.astype(array.dtype.newbyteorder()))     # bytes swapped in memory: the same file
    assert idx.read(path).tobytes() == array.tobytes()
    (tmp_path / "other-name").write_bytes(path.read_bytes())     # the content tells, not the name
    assert idx.read(tmp_path / "other-name").tobytes() == array.tobytes()


def test_the_format_byte_by_byte(tmp_path):
    (tmp_path / "x").write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x01, 0x02, 0xFF, 0xFE]))
    np.testing.assert_array_equal(idx.read(tmp_path / "x"), np.array([[258, -2]], np.int16))


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_every_truncation_and_every_extra_byte_is_refused(tmp_path, name):
    path = tmp_path / name
    write_idx(path, np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(DataError) as caught:
            idx.read(path)
        assert name in str(caught.value) and "expected" in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(whole + b"\0" if name == "a" else gzip.compress(gzip.decompress(whole) + b"\0"))
    with pytest.raises(DataError, match="got more"):
        idx.read(path)


def test_every_flipped_bit_of_a_gzip_file_is_harmless_or_refused(tmp_path):
    path, array = tmp_path / "a.gz", np.arange(24, dtype=np.int16).reshape(2, 12)
    write_idx(path, array)
    whole, refused = path.read_bytes(), 0
    for k in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[k // 8] ^= 1 << k % 8
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(idx.read(path), array)   # a bit of the date, say
        except DataError:
            refused += 1
    assert refused > 0.7 * 8 * len(whole)


@settings(quick, max_examples=1500)
@given(content=st.one_of(contents, contents.map(gzip.compress)))
def test_any_bytes_give_an_array_or_the_error(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    try:
        assert isinstance(idx.read(path), np.ndarray)
    except DataError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("axes", [(0,), (0, 3), (0, 2**32 - 1, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 0)])
def test_axes_of_length_0_are_refused(tmp_path, axes):
    (tmp_path / "x").write_bytes(header(8, axes))
    with pytest.raises(DataError, match="axes of length 1 or more"):
        idx.read(tmp_path / "x")


def test_axes_beyond_numpy_are_refused(tmp_path):
    for n in (32, 33, 255):
        (tmp_path / "x").write_bytes(header(8, [1] * n) + b"a")
        if n == 32:
            assert idx.read(tmp_path / "x").shape == (1,) * 32
        else:
            with pytest.raises(DataError, match=f"at most 32 axes .* got {n}"):
                idx.read(tmp_path / "x")


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path):
    huge = bytes([0, 0, 8, 3]) + (0xFFFFFFFF).to_bytes(4, "big") * 2 + b"\0\0\0\1"
    # The lie keeps within what so large a file could hold, and is found out only by reading.
    lie = gzip.compress(b"\0\0\x08\1" + (90 * 10**6).to_bytes(4, "big") + np.random.default_rng(0).bytes(10**5))
    more = gzip.compress(header(8, [10**6]) + bytes(10**3))      # 1,000 zeros in some 40 bytes, said to be 10⁶
    for name, content, words in [
            ("raw", huge, "a file that holds at most"), ("bomb.gz", gzip.compress(huge + bytes(10**6)), "at most"),
            ("more.gz", more, "a file that holds at most"), ("lie.gz", lie, "only 100000")]:
        (tmp_path / name).write_bytes(content)
        tracemalloc.start()
        with pytest.raises(DataError, match=f"bytes of values.*{words}"):
            idx.read(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * 10**6


def test_folders(tmp_path):
    images, labels = np.arange(24, dtype=np.uint8).reshape(6, 2, 2), np.arange(6, dtype=np.uint8)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", images[:2])
    x, y = data.load(f"idx:{tmp_path}")
    assert x.shape == (2, 2, 2, 1) and y is None
    write_idx(tmp_path / "train-images.idx3-ubyte.gz", images)
    write_idx(tmp_path / "train-labels.idx1-ubyte", labels)
    x, y = data.load(f"idx:{tmp_path}")
    assert x.shape == (6, 2, 2, 1) and x.dtype == np.float32 and y.tolist() == list(range(6))
    np.testing.assert_allclose(x, images[..., None] / 127.5 - 1, rtol=1e-6)
    assert data.load(f"idx:{tmp_path}", held_out=True)[0].shape == (2, 2, 2, 1)
    write_idx(tmp_path / "train-labels.idx1-ubyte", labels[:5])
    with pytest.raises(DataError, match="expected 6 labels"):
        data.load(f"idx:{tmp_path}")


@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte", "train-labels-idx1-ubyte.gz",
                                  "train-labels.idx1-ubyte.gz"])
def test_labels_are_found_in_either_spelling(tmp_path, name):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 2, 2), np.uint8))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([7, 7, 7], np.uint8))   # of the other set
    assert idx.load_folder(tmp_path)[1] is None
    write_idx(tmp_path / name, np.array([3, 1, 2], np.uint8))
    labels = idx.load_folder(tmp_path)[1]
    assert labels.dtype == np.int64 and labels.tolist() == [3, 1, 2]


def test_folders_with_what_does_not_belong(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    write_idx(tmp_path / ".train-images-idx3-ubyte.0a1b.tmp", np.zeros((3, 2, 2), np.uint8))   # an interrupted write
    with pytest.raises(MissingError, match="got an empty folder"):
        idx.load_folder(tmp_path)
    for wrong in (np.zeros(3, np.uint8), np.zeros((3, 2, 2), np.int32)):
        write_idx(path, wrong)
        with pytest.raises(DataError, match=f"in {path}: expected images as uint8"):
            idx.load_folder(tmp_path)
    write_idx(path, np.zeros((3, 2, 2), np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([0.5, 1, 2], np.float32))
    with pytest.raises(DataError, match="as whole numbers, got float32"):
        idx.load_folder(tmp_path)


def test_what_is_missing(tmp_path):
    with pytest.raises(MissingError, match="which is not there"):
        data.load(f"idx:{tmp_path}/none")
    with pytest.raises(MissingError, match="got an empty folder"):
        data.load(f"idx:{tmp_path}")
    with pytest.raises(MissingError, match="got none"):
        idx.read(tmp_path / "x")
    with pytest.raises(DataError, match="got a folder"):
        idx.read(tmp_path)
    with pytest.raises(MissingError, match="expected a readable IDX file"):
        idx.read(tmp_path / ("x" * 5000))
    assert not list(tmp_path.iterdir())
