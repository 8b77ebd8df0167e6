"""Fill in the gradients of the hinge loss (Lim & Ye 2017).

    d_loss = mean max(0, 1 − r) + mean max(0, 1 + f)          r: logits of real samples, f: of generated ones
    g_loss = −mean f

D raises the real logits up to 1 and lowers the fake ones down to −1; beyond these it has no gradient.
"""

import numpy as np


class Hinge:
    """Logits r (N, 1) and f (M, 1); each gradient has the shape of its logits."""

    def d_loss(self, r, f):
        """loss, ∂loss/∂r, ∂loss/∂f."""
        loss = np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()
        raise NotImplementedError("write d_real and d_fake in d_loss: return loss, d_real, d_fake")

    def g_loss(self, f, r=None):
        """loss, ∂loss/∂f."""
        loss = -f.mean()
        raise NotImplementedError("write d_fake in g_loss: return loss, d_fake")
