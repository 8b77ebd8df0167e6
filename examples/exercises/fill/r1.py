"""Fill in the gradient penalty R1, by two streams (Mescheder et al. 2018, eq. 9).

    φ = (γ/2)·meanₙ ‖vₙ‖²,   v = ∇ₓ Σₙ D(xₙ)          ‖·‖²: the sum of all squares of one sample

∂φ/∂θ is the derivative of ⟨u, v⟩ in θ, where u = ∂φ/∂v is held constant, and ⟨u, v⟩ = Σₙ (the derivative of D along u).
In words: forward; backward from ones gives v; u follows from φ; jvp pushes u forward; jvp_backward goes back through
the tangent alone, so the gradient of D's output is 0 there and that of its tangent is 1.
"""

import numpy as np


def r1(D, x, gamma, grads):
    """φ; adds ∂φ/∂θ into grads.

    D: a network with the four maps
        forward(x) -> logits (N, 1), cache
        backward(dy, cache, grads=None) -> dx
        jvp(tx, cache) -> ty, tcache
        jvp_backward(dy, dty, cache, tcache, grads=None) -> dx, dtx
    x (N, …): real samples. gamma: a number. grads: what D.zero_grads() makes.
    """
    raise NotImplementedError("write r1: five lines, one for each step, then return φ")
