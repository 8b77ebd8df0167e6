"""Images as the networks expect them: (N, H, W, C) float32 in [−1, 1], the range of tanh."""

import numpy as np

from ..errors import DataError, DtypeError, ShapeError


def scale(pixels):
    """uint8 (N, H, W) or (N, H, W, C) in 0 … 255 -> float32 (N, H, W, C) in [−1, 1]: x/127.5 − 1."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
        raise DataError(f"expected images as uint8 (N, H, W) or (N, H, W, C), got {pixels.dtype} {pixels.shape}; "
                        f"convert them to 8 bits")
    images = pixels.astype(np.float32)
    images /= 127.5
    images -= 1
    return images if images.ndim == 4 else images[..., None]


def check(samples):
    """Raise unless samples (N, …) are a non-empty float array without NaN or infinity; returns them."""
    if not isinstance(samples, np.ndarray):
        raise DataError(f"expected samples as a NumPy array (N, …), got {type(samples).__name__}; use numpy.asarray")
    if samples.dtype not in (np.float32, np.float64):
        raise DtypeError(f"expected samples in float32 or float64, got {samples.dtype}; for pixels of 0 … 255 use "
                         f"data.scale(x)")
    if samples.ndim < 2 or 0 in samples.shape:
        raise ShapeError(f"expected samples (N, …) with N ≥ 1, got shape {samples.shape}; is the data empty?")
    # In chunks: one sample at a time would be slow, all at once would allocate a mask as large as the data.
    for start in range(0, len(samples), 4096):
        finite = np.isfinite(samples[start:start + 4096]).all(axis=tuple(range(1, samples.ndim)))
        if not finite.all():
            raise DataError(f"expected finite numbers in the data, got NaN or infinity in sample "
                            f"{start + int(finite.argmin())}; clean or drop it")
    return samples
