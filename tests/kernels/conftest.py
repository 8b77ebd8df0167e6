import pytest

from tinygan.kernels import threads


@pytest.fixture(autouse=True)
def split_small_work(monkeypatch):
    """The arrays of these tests are small: split them among the threads nevertheless."""
    monkeypatch.setattr(threads, "WORTH", 1)
