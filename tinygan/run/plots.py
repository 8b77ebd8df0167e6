"""Images of a run: grids of samples, their animation, and curves. Host arrays in; files are written atomically."""

import io

import numpy as np
from PIL import Image   # Pillow comes with matplotlib

from ..data.files import atomic
from ..errors import MissingError

_BLUE, _ORANGE, _GREY = "#1f77b4", "#ff7f0e", "#999999"


def _figure(width, height, **options):
    """A figure of this size in inches. matplotlib is imported here: it takes as long as all other imports together."""
    from matplotlib.figure import Figure
    return Figure(figsize=(width, height), **options)


def grid(images, columns=None, scale=2):
    """Images (N, H, W, C) in [−1, 1], C = 1 or 3, as one uint8 image with a thin border between them.

    columns: default about √N; scale: each pixel becomes scale × scale.
    """
    n, h, w, c = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.full((rows, h + 2, columns, w + 2, c), -0.8, images.dtype)   # a dark grey between black digits
    cells = sheet.transpose(0, 2, 1, 3, 4)   # a view: (rows, columns, h + 2, w + 2, c)
    for i, image in enumerate(images):
        cells[i // columns, i % columns, 1:-1, 1:-1] = image
    picture = np.clip((sheet.reshape(rows * (h + 2), columns * (w + 2), c) + 1) * 127.5, 0, 255).astype(np.uint8)
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    return picture[..., 0] if c == 1 else picture


def scatter(points, real=None, size=480):
    """Points (N, 2) as an RGB image, on top of `real` ones in grey, whose extent sets the axes."""
    fig = _figure(size / 100, size / 100, dpi=100)
    ax = fig.add_axes((0.1, 0.06, 0.88, 0.9))
    frame = points if real is None else real
    if real is not None:
        ax.scatter(*real.T, s=4, color=_GREY, linewidths=0, label="real")
    ax.scatter(*points.T, s=4, color=_BLUE, linewidths=0, alpha=0.7, label="generated")
    low, high = frame.min(0), frame.max(0)
    margin = 0.2 * (high - low).max() + 1e-6
    ax.set_xlim(low[0] - margin, high[0] + margin)
    ax.set_ylim(low[1] - margin, high[1] + margin)
    ax.set_aspect("equal")
    ax.legend(loc="upper right", fontsize=8)
    return _rgb(fig)


def picture(samples, real=None):
    """Samples as one RGB or grey image: images as a grid, points as a scatter plot."""
    return grid(samples) if samples.ndim == 4 else scatter(samples, real)


def curves(log, path):
    """losses.png from a log: mapping of "step", "d_loss", "g_loss", "d_real", "d_fake" to sequences of numbers."""
    fig = _figure(8, 5, dpi=110, layout="constrained")
    top, bottom = fig.subplots(2, sharex=True)
    steps = np.asarray(log["step"])
    for ax, lines, label in [
            (top, [("d_loss", _BLUE, "discriminator"), ("g_loss", _ORANGE, "generator")], "loss"),
            (bottom, [("d_real", _BLUE, "D(x), real"), ("d_fake", _ORANGE, "D(G(z)), generated")], "mean of D")]:
        for key, colour, name in lines:
            values = np.asarray(log[key], float)
            ax.plot(steps, values, color=colour, linewidth=0.6, alpha=0.35)
            ax.plot(steps, smooth(values), color=colour, linewidth=1.6, label=name)
        ax.set_ylabel(label)
        ax.legend(loc="best", frameon=False, fontsize=9)
        ax.grid(alpha=0.25, linewidth=0.5)
        ax.spines[["top", "right"]].set_visible(False)
    bottom.axhline(0.5, color=_GREY, linewidth=0.8, linestyle="--")
    bottom.set_ylim(0, 1)
    bottom.set_xlabel("step")
    with atomic(path) as file:
        fig.savefig(file, format="png")


def smooth(values, share=0.02):
    """Running mean over the last `share` of all values (at least one), the same length as values."""
    width = max(1, int(len(values) * share))
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - width, 0)
    return (total[end] - total[start]) / (end - start)


def save_png(pixels, path):
    """uint8 pixels (H, W) or (H, W, 3) -> a PNG file."""
    with atomic(path) as file:
        file.write(png(pixels))


def png(pixels):
    """uint8 pixels (H, W) or (H, W, 3) -> the content of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def save_gif(frames, path, milliseconds=120, hold=1500):
    """Frames, contents of PNG files, as an endless animation; the last one is shown for `hold` milliseconds."""
    first, *rest = [Image.open(io.BytesIO(frame)) for frame in frames]
    durations = [milliseconds] * len(rest) + [hold]
    with atomic(path) as file:
        first.save(file, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def _rgb(fig):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def bench(results, path):
    """bench.png from `bench.measure`: a panel for each row name, time per sample over batch size."""
    rows = results["rows"]
    names = list(dict.fromkeys(row["what"] for row in rows))
    columns = min(3, len(names))
    fig = _figure(4.2 * columns, 2.8 * -(-len(names) // columns), dpi=100, layout="constrained")
    for i, name in enumerate(names):
        ax = fig.add_subplot(-(-len(names) // columns), columns, i + 1)
        for backend, colour in (("numpy", _BLUE), ("cupy", _ORANGE)):
            line = sorted((row["batch"], 1e6 * row["median_s"] / row["batch"]) for row in rows
                          if row["what"] == name and row["backend"] == backend)
            if line:
                ax.plot(*zip(*line), "o-", color=colour, label=backend, markersize=3)
        log_axes(ax, sorted({row["batch"] for row in rows}))
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("batch", fontsize=8)
        ax.set_ylabel("µs per sample", fontsize=8)
        ax.tick_params(labelsize=7)
        ax.legend(fontsize=7)
    with atomic(path) as file:
        fig.savefig(file, format="png")


def log_axes(ax, sizes):
    """Logarithmic axes with readable ticks: x at these sizes; y at 1, 2 and 5 times powers of ten, from the last one
    below the data to the first above it."""
    low, high = ax.dataLim.intervaly
    ticks = [m * 10.0**k for k in range(int(np.log10(low)) - 1, int(np.log10(high)) + 2) for m in (1, 2, 5)]
    ticks = ticks[np.searchsorted(ticks, low, "right") - 1:np.searchsorted(ticks, high, "right") + 1]
    ax.set(xscale="log", yscale="log", ylim=(ticks[0], ticks[-1]))
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.grid(alpha=0.3)


def side_by_side(runs, path):
    """compare.png: for each (name, path of samples.png, log) a column of samples, losses and outputs of D."""
    fig = _figure(4.2 * len(runs), 8, dpi=100, layout="constrained")
    axes = fig.subplots(3, len(runs), squeeze=False, sharey="row", gridspec_kw={"height_ratios": (2, 1, 1)})
    for column, (name, samples, log) in enumerate(runs):
        top, losses, outputs = axes[:, column]
        try:
            with Image.open(samples) as picture:
                top.imshow(np.asarray(picture.convert("RGB")))
        except (OSError, SyntaxError) as error:
            raise MissingError(f"expected the samples.png of a run at {samples}, got {type(error).__name__}; is the "
                               f"run complete? continue it with --resume") from None
        top.set_title(name, fontsize=10)
        top.axis("off")
        for ax, keys in ((losses, ("d_loss", "g_loss")), (outputs, ("d_real", "d_fake"))):
            for key, colour in zip(keys, (_BLUE, _ORANGE)):
                ax.plot(log["step"], smooth(np.asarray(log[key], float)), color=colour, label=key, linewidth=1.2)
            ax.grid(alpha=0.25, linewidth=0.5)
            ax.legend(frameon=False, fontsize=8)
        outputs.set_ylim(0, 1)
        outputs.set_xlabel("step")
    with atomic(path) as file:
        fig.savefig(file, format="png")
