"""Pictures: what is drawn is where it should be."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tinygan import data
from tinygan.run import plots


def test_grid_puts_each_image_in_its_cell():
    images = np.stack([np.full((4, 6, 1), v) for v in (-1, 0, 1, -0.5, 0.5)]).astype(np.float32)
    picture = plots.grid(images, columns=3, scale=1)
    assert picture.shape == (2 * 6, 3 * 8) and picture.dtype == np.uint8
    centres = picture[3::6, 4::8]
    assert centres.tolist() == [[0, 127, 255], [63, 191, 25]]          # the last cell is empty: the border's grey
    assert plots.grid(images, scale=3).shape == (36, 72)
    assert plots.grid(np.zeros((2, 4, 4, 3), np.float32)).shape == (12, 24, 3)
    assert plots.grid(np.full((1, 2, 2, 1), 9.0))[2, 2] == 255         # beyond the range: clipped, not wrapped


def test_scatter_is_framed_by_the_real_points():
    real, _ = data.ring().sample(500, np.random.default_rng(0))
    picture = plots.scatter(np.zeros((1, 2), np.float32), real)
    assert picture.shape == (480, 480, 3) and len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
    assert (plots.scatter(real * 0 + 100, real)[200:280, 200:280] > 200).all()   # far points are off the picture


def test_files(tmp_path):
    frames = [np.full((20, 30), v, np.uint8) for v in (0, 100, 200)]
    plots.save_png(frames[1], tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == frames[1].tolist()
    plots.save_gif([plots.png(frame) for frame in frames], tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 3 and gif.info["loop"] == 0
    log = {name: np.random.default_rng(0).uniform(0, 1, 50) for name in ("d_loss", "g_loss", "d_real", "d_fake")}
    plots.curves({"step": range(1, 51), **log}, tmp_path / "losses.png")
    pixels = np.asarray(Image.open(tmp_path / "losses.png").convert("RGB")).reshape(-1, 3)
    for colour in ((31, 119, 180), (255, 127, 14)):
        assert (abs(pixels.astype(int) - colour).sum(1) < 12).sum() > 80
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "a.png", "losses.png"]


def test_smooth_is_the_running_mean():
    values = np.arange(100.0)
    np.testing.assert_allclose(plots.smooth(values, 0.04)[[0, 1, 50]], [0, 0.5, 48.5])
    np.testing.assert_allclose(plots.smooth(np.array([3.0])), [3])


@pytest.mark.parametrize("low, high", [(11, 18), (0.3, 0.31), (1, 10), (0.02, 700), (5, 5)])
def test_a_logarithmic_axis_can_be_read(low, high):
    ax = Figure().subplots()
    ax.plot([1, 4], [low, high])
    plots.log_axes(ax, [1, 4])
    ticks = ax.get_yticks()
    assert len(ticks) >= 2 and ticks[0] <= low and ticks[-1] >= high and ax.get_ylim() == (ticks[0], ticks[-1])
    assert [float(label.get_text()) for label in ax.get_yticklabels()] == pytest.approx(ticks)
