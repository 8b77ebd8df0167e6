"""Fill in one step of Adam, Algorithm 1 of Kingma & Ba 2015.

With the gradient g of step t = 1, 2, … and the moments m = v = 0 before the first step:

    1. m becomes the average of the old m and g, with the weights β₁ and 1 − β₁.
    2. v becomes the average of the old v and g², with the weights β₂ and 1 − β₂.
    3. m̂ and v̂ are m and v without the bias towards 0 that they have since they began at 0.
    4. θ moves by the learning rate against m̂/(√v̂ + ε).
"""

import numpy as np


class Adam:
    """step(theta, g) changes the vector theta (n,) in place; g (n,) is its gradient."""

    def __init__(self, n, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.t, self.m, self.v = 0, np.zeros(n), np.zeros(n)

    def step(self, theta, g):
        self.t += 1
        raise NotImplementedError("write step: update self.m and self.v, then theta -= ...")
