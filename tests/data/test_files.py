"""Files are written whole or not at all; whatever is in an .npz file is read or refused with a clear error."""

import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinygan.data import files
from tinygan.data.files import atomic
from tinygan.errors import DataError


def test_atomic_replaces_or_leaves(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path, "w") as file:
        file.write("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(RuntimeError), atomic(path, "w") as file:
        file.write("two")
        raise RuntimeError
    assert path.read_text() == "one" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_takes_nobody_s_place(tmp_path, monkeypatch, links):
    path = tmp_path / "a.txt"
    if not links:
        monkeypatch.delattr(os, "link", raising=False)
    with atomic(path, "w", new=True) as file:
        file.write("one")
    with pytest.raises(FileExistsError), atomic(path, "w", new=True) as file:
        file.write("two")
    with atomic(path, "w", previous=tmp_path / "b.txt") as file:
        file.write("three")
    assert path.read_text() == "three" and (tmp_path / "b.txt").read_text() == "one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def _zip(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def _npy(header, data=b""):
    header = header.encode("latin1", "replace")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


headers = st.one_of(st.text(max_size=80), st.builds(
    "{{'descr': {!r}, 'fortran_order': {}, 'shape': {}, }}\n".format, st.sampled_from(["<f4", "|O", "<U9", "f", "<M8"]),
    st.sampled_from([True, False, 3]), st.tuples(st.integers(-2, 10**12), st.integers(-1, 9))))
members = st.tuples(st.sampled_from(["a.npy", "b.npy", "../a.npy", "/etc/a.npy", "a", ".npy", "meta.npy"]),
                    st.one_of(st.binary(max_size=200), st.builds(_npy, headers, st.binary(max_size=64))))


@given(st.one_of(st.binary(max_size=300), st.lists(members, max_size=4).map(_zip)))
@example(_zip([("a.npy", _npy("[1, 2]\n"))]))       # a header that is no dictionary is rarely drawn
@settings(max_examples=800)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_any_npz_is_a_value_or_the_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    path.write_bytes(content)
    try:
        found = files.read_npz(path)
    except DataError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert sum(a.nbytes for a in found.values()) <= files.DENSEST * max(1, len(content)) * max(1, len(found))


def test_a_bomb_is_not_unfolded(tmp_path):
    path = tmp_path / "bomb.npz"
    path.write_bytes(_zip([("a.npy", bytes(50_000_000))]))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match="claims 50000000 bytes"):
        files.read_npz(path)


def test_names_in_files_are_never_paths(tmp_path):
    """A member called ../../x is a key like any other: reading writes nothing anywhere."""
    path = tmp_path / "in" / "x.npz"
    path.parent.mkdir()
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    path.write_bytes(_zip([("../../escaped.npy", buffer.getvalue())]))
    assert list(files.read_npz(path)) == ["../../escaped"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "x.npz"]
