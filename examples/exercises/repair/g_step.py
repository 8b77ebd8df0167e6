"""The gradients of both players, at one point of the game.

    d_grads = ∂(D's loss)/∂θ_D          G's samples are data here: nothing flows back into G
    g_grads = ∂(G's loss)/∂θ_G          the gradient passes through D on its way to G

backward(dy, cache, grads) adds into grads and returns dx; without grads it returns dx alone.
"""


def gradients(G, D, loss, x, z):
    """d_grads, g_grads for real samples x and latents z; loss has d_loss and g_loss, as those of tinygan.losses."""
    fake, g_cache = G.forward(z)
    real_logits, real_cache = D.forward(x)
    fake_logits, fake_cache = D.forward(fake)
    d_grads, g_grads = D.zero_grads(), G.zero_grads()

    _, d_real, d_fake = loss.d_loss(real_logits, fake_logits)
    D.backward(d_real, real_cache, d_grads)
    D.backward(d_fake, fake_cache, d_grads)

    _, d_logits = loss.g_loss(fake_logits)
    dx = D.backward(d_logits, fake_cache, d_grads)
    G.backward(dx, g_cache, g_grads)
    return d_grads, g_grads
