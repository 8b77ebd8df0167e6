"""Binary cross-entropy on probabilities and on logits, averaged over all N elements.

    loss = −(1/N) Σ t·log p + (1 − t)·log(1 − p)

On logits, p = σ(l): −log σ(l) = log(1 + e⁻ˡ) and −log(1 − σ(l)) = log(1 + eˡ), so

    loss = (1/N) Σ log(1 + eˡ) − t·l                ∂loss/∂l = (σ(l) − t)/N

which never overflows, and keeps its gradient wherever D is wrong, however large l is. (Where D is right with target 1,
the terms cancel: from l = 17 in float32, 37 in float64, both loss and gradient, e⁻ˡ, are rounded to 0.)

On probabilities log p has a pole at 0; below ε (the dtype's machine epsilon) it is continued by its tangent,
log ε + (p − ε)/ε. Loss and gradient stay finite at p = 0 and 1, each is still exactly the derivative of the other, and
the gradient is largest, 1/ε, just where D is most wrong (clipping p would make it 0 there).
"""

from ..backend import array_module
from ..errors import BackendError, ConfigError, DtypeError, ShapeError
from .pointwise import sigmoid, softplus
from .registry import op


def bce(p, target):
    """Cross-entropy of probabilities.

        loss = −mean (t·log p + (1 − t)·log(1 − p))             dp = ((1 − t)/(1 − p) − t/p)/N

    p (N, …) in [0, 1], float; target: a number in [0, 1] or an array of p's shape -> loss (0-d), dp (N, …).
    The range of p is not checked, as that would wait for the device; for logits there is bce_with_logits.
    Raises ShapeError when target has another shape: broadcasting (N,) against (N, 1) would pair all with all.
    """
    target = _target("p", p, target)
    log_p, d_log_p = _log(p)
    log_q, d_log_q = _log(1 - p)
    loss = -(target * log_p + (1 - target) * log_q).mean()
    return loss, ((1 - target) * d_log_q - target * d_log_p) / p.size


def _log(p):
    """log p and its derivative, by the tangent at ε where p < ε."""
    xp = array_module(p)
    eps = float(xp.finfo(p.dtype).eps)
    safe = xp.maximum(p, eps)
    return xp.log(safe) + (p - safe) / eps, 1 / safe


@op
def bce_with_logits(logits, target):
    """Cross-entropy of σ(logits), l for short.

        loss = mean (a(l) − t·l)                                dlogits = (σ(l) − t)/N            a(l) = log(1 + eˡ)

    logits (N, …), float; target: a number in [0, 1] or an array of the same shape -> loss (0-d), dlogits (N, …).
    Raises ShapeError when target has another shape.
    """
    target = _target("logits", logits, target)
    loss = (softplus(logits) - target * logits).mean()
    return loss, (sigmoid(logits) - target) / logits.size


def check_array(name, x):
    """Raise BackendError, DtypeError or ShapeError unless x is a non-empty array in float32 or float64."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise BackendError(f"expected {name} as an array, got {type(x).__name__}; use numpy.asarray(x, 'float32')")
    if str(x.dtype) not in ("float32", "float64"):
        raise DtypeError(f"expected {name} in float32 or float64, got {x.dtype}; use x.astype('float32')")
    if 0 in x.shape:
        raise ShapeError(f"expected at least one of {name}, got shape {x.shape}; leave out empty batches")


def check(logits, fake=None):
    """Raise unless the logits, or real and fake logits, are arrays of one dtype (see `check_array`)."""
    check_array("logits", logits)
    if fake is not None:
        check_array("logits", fake)
        if fake.dtype != logits.dtype:
            raise DtypeError(f"expected real and fake logits of one dtype, got {logits.dtype} and {fake.dtype}; "
                             f"use both networks in the same")


def check_both(fake_logits, real_logits):
    """Raise unless the real logits are there too."""
    if real_logits is None:
        raise ConfigError("a relativistic loss of G expected real logits too, got None; call g_loss(fake_logits, "
                          "real_logits), in a game g_step(n, x_real)")
    check(real_logits, fake_logits)


def paired(fake, real):
    """f − r, for batches of one shape."""
    if fake.shape != real.shape:
        raise ShapeError(f"the relativistic loss expected real and fake logits of one shape, got {real.shape} and "
                         f"{fake.shape}; use batches of the same size")
    return fake - real


def _target(name, x, target):
    """Check both at the border; the target in x's dtype, as it is a constant and must not promote x."""
    check_array(name, x)
    shape = getattr(target, "shape", ())
    if shape not in ((), x.shape):
        raise ShapeError(f"expected a target of the shape of {name}, {x.shape}, got {shape}; reshape it, or give one "
                         f"number for all")
    if hasattr(target, "dtype"):
        return target.astype(x.dtype)
    try:
        return float(target)
    except (TypeError, ValueError):
        raise BackendError(f"expected target as a number or an array, got {type(target).__name__}; "
                           f"use numpy.asarray(target, 'float32')") from None
