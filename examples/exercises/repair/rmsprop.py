"""RMSprop (Hinton 2012).

    v ← ρ·v + (1 − ρ)·g²,   θ ← θ − lr·g/(√v + ε)          v = 0 before the first step

ε is small beside √v unless g is tiny. So a step has about the length lr for large and for small gradients.
"""

import numpy as np


class RMSprop:
    """step(theta, g) changes the vector theta (n,) in place; g (n,) is its gradient."""

    def __init__(self, n, lr=1e-3, rho=0.9, eps=1e-8):
        self.lr, self.rho, self.eps = lr, rho, eps
        self.v = np.zeros(n)

    def step(self, theta, g):
        self.v = self.rho * self.v + (1 - self.rho) * g**2
        theta -= self.lr * g / np.sqrt(self.v + self.eps)
