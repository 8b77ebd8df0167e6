"""What is done with a run's folder: samples, metrics and restored pictures."""

import numpy as np
import pytest
from PIL import Image

from tinygan import cli, run
from tinygan.errors import ConfigError, DataError, ShapeError


def test_evaluate_prints_metrics_and_reference_values(tmp_path, few_digits, no_curves, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run.train("ring", quiet=True, data="ring", steps=5)
    run.train("mlp", quiet=True, model="mlp", width=0.1, steps=5)
    for folder, names in [("ring", ("modes", "reverse_kl")), ("mlp", ("frechet", "precision", "nearest"))]:
        assert cli.main(["evaluate", folder, "-n", "300"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["run", "reference"]
        table = {line.split()[0]: list(map(float, line.split()[1:])) for line in lines[1:]}
        assert set(names) <= set(table) and all(len(row) == 2 for row in table.values())
    assert table["frechet"][0] > 5 * table["frechet"][1]      # five steps are not enough
    assert cli.main(["evaluate", "gone"]) == 2
    assert cli.main(["evaluate", "ring", "--held-out", "mnist5k"]) == 2
    assert "new ones are drawn" in capsys.readouterr().err


@pytest.fixture
def digits(tmp_path, few_digits, no_curves, monkeypatch):
    """The folder of a run of digits, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return run.train("digits", quiet=True, model="mlp", width=0.1, steps=3, average=0.9)


def test_restore_fills_in_what_is_missing(digits, capsys):
    """Of a sample of the run itself: the missing half comes back, by the command line as from Python."""
    picture, mask = run.sample(digits, 1, seed=4)[0], np.ones((28, 28))
    mask[:, 14:] = 0
    restored = run.restore(digits, picture, mask, lam=0.0, restarts=4)
    np.testing.assert_array_equal(restored[:, :14], picture[:, :14])
    there, guess = abs(restored - picture)[:, 14:].mean(), abs(picture[:, 14:] - picture[:, 14:].mean()).mean()
    assert restored.shape == (28, 28, 1) and there < 0.5 * guess
    for name, pixels in ("picture", (picture[..., 0] + 1) * 127.5), ("mask", mask * 255):
        Image.fromarray(pixels.round().astype("uint8")).save(f"{name}.png")
    assert cli.main(["restore", str(digits), "picture.png", "--mask", "mask.png", "--out", "out.png"]) == 0
    assert capsys.readouterr().out == "out.png\n"
    assert abs(np.asarray(Image.open("out.png")) / 127.5 - 1 - picture[..., 0])[:, :14].max() < 0.01


def test_restore_refuses_what_does_not_fit(digits, capsys):
    picture, mask = np.zeros((28, 28, 1)), np.ones((28, 28))
    for error, words, arguments in [(ShapeError, "a picture of shape", (picture[:14], mask)),
                                    (ShapeError, "a mask of shape", (picture, mask[:14])),
                                    (ShapeError, "a mask of 0", (picture, mask / 2)),
                                    (DataError, r"pixels in \[−1, 1\]", (picture + 255, mask))]:
        with pytest.raises(error, match=f"^expected {words}"):
            run.restore(digits, *arguments)
    ring = run.train("ring", quiet=True, data="ring", steps=2)
    with pytest.raises(ConfigError, match="^expected a run of pictures"):
        run.restore(ring, picture, mask)
    Image.fromarray(np.zeros((30, 28), "uint8")).save("odd.png")
    for command, words in [("odd.png --mask odd.png", "a picture of shape"), ("gone.png --mask odd.png", "gone.png"),
                           ("odd.png --mask odd.png --out x.svg", ".png")]:
        assert cli.main(["restore", str(digits), *command.split()]) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1
