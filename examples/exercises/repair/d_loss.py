"""The discriminator's loss (Goodfellow et al. 2014, Algorithm 1).

    loss = −mean log σ(r) − mean log(1 − σ(f))          r, f: logits of real and of generated samples

`losses.bce_with_logits(l, t)` is the cross-entropy of logits l against the target t, and its gradient in l.
"""

from tinygan import losses
from tinygan.ops.pointwise import sigmoid


def d_loss(real_logits, fake_logits):
    """loss, ∂loss/∂r, ∂loss/∂f."""
    p, q = sigmoid(real_logits), sigmoid(fake_logits)
    real, dp = losses.bce_with_logits(p, 1.0)
    fake, dq = losses.bce_with_logits(q, 0.0)
    return real + fake, dp * p * (1 - p), dq * q * (1 - q)
