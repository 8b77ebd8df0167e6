"""Files are whole or not there; weights survive the round trip and refuse strangers."""

import os

import numpy as np
import pytest

from tinygan import models
from tinygan.data.files import atomic
from tinygan.errors import DataError, MissingError
from tinygan.run import checkpoint


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


def test_weights_round_trip(tmp_path, xb):
    G, D = models.dcgan(rng=0, width=0.05, backend=xb)
    G.state["1.mean"][...] = 3.0
    checkpoint.save(tmp_path / "w.npz", G=G, D=D)
    G2, D2 = models.dcgan(rng=1, width=0.05)
    checkpoint.load(tmp_path / "w.npz", G=G2, D=D2)
    from tinygan import backend
    for a, b in [(G, G2), (D, D2)]:
        np.testing.assert_array_equal(backend.asnumpy(a.theta), b.theta)
    assert (G2.state["1.mean"] == 3).all()
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert "G.0.W" in file.files and "G.state.1.mean" in file.files and "D.7.b" in file.files


def test_damaged_missing_and_foreign_weights(tmp_path):
    path = tmp_path / "w.npz"
    G, D = models.mlp(rng=0, width=0.05)
    checkpoint.save(path, G=G, D=D)
    whole, before = path.read_bytes(), G.theta.copy()
    for content in (whole[:100], whole[:-50], b"", b"no zip at all", whole[:300] + b"\xff" * 40 + whole[340:]):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            checkpoint.load(path, G=G)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is it of another model"):
        checkpoint.load(path, G=models.mlp(rng=1, width=0.1)[0])
    with pytest.raises(DataError, match="expected 'E.0.W'"):
        checkpoint.load(path, E=G)
    np.savez(path, **{"G.0.W": np.array([object()])}, allow_pickle=True)
    with pytest.raises(DataError, match="damaged or foreign"):
        checkpoint.load(path, G=G)
    with pytest.raises(MissingError, match="got no file"):
        checkpoint.load(tmp_path / "none.npz", G=G)
    assert (G.theta == before).all()
