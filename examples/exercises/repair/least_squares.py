"""The least-squares loss (Mao et al. 2017).

    d_loss = ½ mean (r − 1)² + ½ mean f²                r: logits of real samples, f: of generated ones
    g_loss = ½ mean (f − 1)²
"""


class LeastSquares:
    """Logits r (N, 1) and f (M, 1); each gradient has the shape of its logits."""

    def d_loss(self, r, f):
        """loss, ∂loss/∂r, ∂loss/∂f."""
        return ((r - 1)**2).mean() / 2 + (f**2).mean() / 2, r - 1, f

    def g_loss(self, f, r=None):
        """loss, ∂loss/∂f."""
        return ((f - 1)**2).mean() / 2, f - 1
