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

quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
arrays = hnp.arrays(st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]),
                    hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))


@quick
@given(array=arrays, name=st.sampled_from(["a", "a.gz"]))
def test_round_trip(tmp_path, array, name):
    path = tmp_path / name
    idx.write(path, array)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (name == "a.gz")
    back = idx.read(path)
    assert back.dtype == array.dtype and back.shape == array.shape and back.tobytes() == array.tobytes()
    (tmp_path / "other-name").write_bytes(path.read_bytes())     # the content tells, not the name
    assert idx.read(tmp_path / "other-name").tobytes() == array.tobytes()


def test_the_format_byte_by_byte(tmp_path):
    (tmp_path / "x").write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x01, 0x02, 0xFF, 0xFE]))
    np.testing.assert_array_equal(idx.read(tmp_path / "x"), np.array([[258, -2]], np.int16))


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_every_truncation_and_every_extra_byte_is_refused(tmp_path, name):
    path = tmp_path / name
    idx.write(path, np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(DataError) as caught:
            idx.read(path)
        assert name in str(caught.value) and "expected" in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(whole + b"\0" if name == "a" else gzip.compress(gzip.decompress(whole) + b"\0"))
    with pytest.raises(DataError, match="got more"):
        idx.read(path)


@settings(quick, max_examples=300)
@given(content=st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda b: b"\0\0\x08" + b),
                         st.binary(max_size=60).map(gzip.compress)))
def test_any_bytes_give_an_array_or_the_error(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    try:
        assert isinstance(idx.read(path), np.ndarray)
    except DataError as error:
        assert str(path) in str(error)


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path):
    huge = bytes([0, 0, 8, 3]) + (0xFFFFFFFF).to_bytes(4, "big") * 2 + b"\0\0\0\1"
    for name, content in [("raw", huge), ("bomb.gz", gzip.compress(huge + bytes(10**6)))]:
        (tmp_path / name).write_bytes(content)
        tracemalloc.start()
        with pytest.raises(DataError, match="bytes of values"):
            idx.read(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * 10**6


def test_folders(tmp_path):
    images, labels = np.arange(24, dtype=np.uint8).reshape(6, 2, 2), np.arange(6, dtype=np.uint8)
    idx.write(tmp_path / "t10k-images-idx3-ubyte", images[:2])
    x, y = data.load(f"idx:{tmp_path}")
    assert x.shape == (2, 2, 2, 1) and y is None
    idx.write(tmp_path / "train-images.idx3-ubyte.gz", images)
    idx.write(tmp_path / "train-labels.idx1-ubyte", labels)
    x, y = data.load(f"idx:{tmp_path}")
    assert x.shape == (6, 2, 2, 1) and x.dtype == np.float32 and y.tolist() == list(range(6))
    np.testing.assert_allclose(x, images[..., None] / 127.5 - 1, rtol=1e-6)
    idx.write(tmp_path / "train-labels.idx1-ubyte", labels[:5])
    with pytest.raises(DataError, match="expected 6 labels"):
        data.load(f"idx:{tmp_path}")


def test_what_is_missing(tmp_path):
    with pytest.raises(MissingError, match="which is not there"):
        data.load(f"idx:{tmp_path}/none")
    with pytest.raises(MissingError, match="got an empty folder"):
        data.load(f"idx:{tmp_path}")
    with pytest.raises(MissingError, match="got none"):
        idx.read(tmp_path / "x")
    with pytest.raises(DataError, match="got a folder"):
        idx.read(tmp_path)
    with pytest.raises(DataError, match="got complex128"):
        idx.write(tmp_path / "x", np.zeros(2, complex))
    assert not list(tmp_path.iterdir())
