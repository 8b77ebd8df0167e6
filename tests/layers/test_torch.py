"""Against PyTorch in float64, to rounding: forward, reverse and second order (skipped where it is not installed)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygan import Sequential, losses, models
from tinygan.layers import (AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Identity, LeakyReLU, MaxPool2D,
                            Parallel, ReLU, Sigmoid, Softmax, Softplus, Tanh)

torch = pytest.importorskip("torch")
F = torch.nn.functional
seed = st.integers(0, 2**32 - 1)
few = st.integers(1, 3)
pairs = lambda low, high: st.tuples(*[st.integers(low, high)] * 2)
to_torch = lambda a: torch.tensor(np.ascontiguousarray(a), dtype=torch.float64, requires_grad=True)
first = lambda t: t.permute(0, 3, 1, 2)   # channels last -> first
last = lambda t: t.permute(0, 2, 3, 1)
oihw = lambda W: W.permute(3, 2, 0, 1).contiguous()


def close(ours, theirs, name=""):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    scale = max(abs(theirs).max(), 1e-3) if theirs.size else 1
    assert abs(ours - theirs).max() / scale <= 1e-12, name


def compare(layer, shape, theirs, seed, train=True):
    """theirs(x, **parameters): the same map in torch. All four maps, all parameters."""
    rng = np.random.default_rng(seed)
    for array in layer.params.values():
        array[...] = rng.standard_normal(array.shape)
    x, tx = rng.standard_normal((2, *shape))
    y, cache = layer.forward(x, train=train)
    ty, tcache = layer.jvp(tx, cache)
    dy, dty = rng.standard_normal((2, *y.shape))
    grads, both = layer.zero_grads(), layer.zero_grads()
    dx = layer.backward(dy, cache, grads)
    dx2, dtx2 = layer.jvp_backward(dy, dty, cache, tcache, both)

    X, TX = to_torch(x), to_torch(tx)
    P = {name: to_torch(array) for name, array in layer.params.items()}
    Y = theirs(X, **P)
    close(y, Y, "y")
    # The derivative along tx by differentiating ⟨w, Jᵀ…⟩ twice: J tx = ∂⟨Jᵀw, tx⟩/∂w.
    w = torch.zeros_like(Y, requires_grad=True)
    JTw, = torch.autograd.grad(Y, X, w, create_graph=True)
    TY, = torch.autograd.grad((JTw * TX).sum(), w, create_graph=True)
    close(ty, TY, "ty")
    DY, DTY = torch.tensor(dy), torch.tensor(dty)
    inputs = [X, *P.values()]
    reverse = torch.autograd.grad((Y * DY).sum(), inputs, retain_graph=True)
    for name, a, b in zip(["x", *P], [dx, *grads.values()], reverse):
        close(a, b, f"d{name}")
    second = torch.autograd.grad((Y * DY).sum() + (TY * DTY).sum(), [X, TX, *P.values()])
    for name, a, b in zip(["x", "tx", *P], [dx2, dtx2, *both.values()], second):
        close(a, b, f"second d{name}")


def test_dense():
    compare(Dense(4, 3), (5, 4), lambda x, W, b: x @ W + b, 0)


def test_dense_on_more_axes_and_softmax():
    compare(Dense(4, 3), (2, 5, 4), lambda x, W, b: x @ W + b, 0)
    for shape in ((5, 4), (2, 3, 7)):
        compare(Softmax(), shape, lambda x: torch.softmax(x, -1), 1)


def test_parallel():
    """A U-Net's skip connection with a residual block inside, and two heads; names of parts as torch sees them."""
    inside = lambda layers: Sequential(layers, dtype="float64")
    block = lambda: Parallel([Identity(), inside([Conv2D(2, 2, 3), Tanh()])], "sum")
    unet = Parallel([Identity(), inside([Conv2D(1, 2, 3, 2, 1), block(), ConvTranspose2D(2, 1, 4, 2, 1)])])

    def theirs(x, **p):
        h = F.conv2d(first(x), oihw(p["1.0.W"]), p["1.0.b"], 2, 1)
        h = h + torch.tanh(F.conv2d(h, oihw(p["1.1.1.0.W"]), p["1.1.1.0.b"], 1, 1))
        h = F.conv_transpose2d(h, oihw(p["1.2.W"]), p["1.2.b"], 2, 1)
        return torch.cat([x, last(h)], -1)
    compare(unet, (2, 4, 6, 1), theirs, 0)
    compare(Parallel([Dense(3, 1), inside([Dense(3, 4), Softmax()])]), (5, 3), lambda x, **p: torch.cat([
        x @ p["0.W"] + p["0.b"], torch.softmax(x @ p["1.0.W"] + p["1.0.b"], -1)], -1), 1)
    compare(Parallel([Dense(3, 2), Dense(3, 2, bias=False), Dense(3, 2)], "sum"), (5, 3),
            lambda x, **p: x @ (p["0.W"] + p["1.W"] + p["2.W"]) + p["0.b"] + p["2.b"], 2)


@given(h=st.integers(4, 7), w=st.integers(4, 7), i=few, o=few, k=pairs(1, 4), s=pairs(1, 3), p=pairs(0, 2), seed=seed)
def test_conv2d(h, w, i, o, k, s, p, seed):
    compare(Conv2D(i, o, k, s, p), (2, h, w, i),
            lambda x, W, b: last(F.conv2d(first(x), oihw(W), b, s, p)), seed)


@given(h=st.integers(2, 4), w=st.integers(2, 4), i=few, o=few, k=pairs(2, 4), s=pairs(1, 3), p=pairs(0, 1),
       extra=st.integers(0, 2), seed=seed)
def test_conv_transpose2d(h, w, i, o, k, s, p, extra, seed):
    extra = tuple(min(extra, n - 1) for n in s)
    compare(ConvTranspose2D(i, o, k, s, p, extra), (2, h, w, i),
            lambda x, W, b: last(F.conv_transpose2d(first(x), oihw(W), b, s, p, extra)), seed)


@pytest.mark.parametrize("size", [4, 5, 7])
@pytest.mark.parametrize("kernel, stride", [(5, 2), (3, 2), (2, 2), (4, 1), (1, 3)])
def test_same_padding_is_that_of_tensorflow(size, kernel, stride):
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    pads = (total // 2, total - total // 2) * 2
    compare(Conv2D(2, 3, kernel, stride), (2, size, size, 2), lambda x, W, b: last(
        F.conv2d(F.pad(first(x), pads), oihw(W), b, stride)), 0)


def batch_norm(x, gamma, beta, eps=1e-5):
    """From parts: the third derivatives that `compare` takes are not right in torch's fused batch_norm."""
    axes = tuple(range(x.ndim - 1))
    return (x - x.mean(axes)) / (x.var(axes, unbiased=False) + eps)**0.5 * gamma + beta


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 3)])
def test_batch_norm(shape):
    compare(BatchNorm(3), shape, batch_norm, 0)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_statistics(train):
    ours, mean, var = BatchNorm(3), torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    ours.params["gamma"], ours.params["beta"] = np.array([1.0, 2, 3]), np.array([0.0, 1, -1])
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.normal(1, 2, (2, 3, 4, 3))
        y, _ = ours.forward(x, train)
        close(y, last(F.batch_norm(first(to_torch(x)), mean, var, *map(to_torch, ours.params.values()), train)))
    close(ours.state["mean"], mean)
    close(ours.state["var"], var)


@pytest.mark.parametrize("kernel, stride, padding", [(2, 2, 0), (3, 2, 1), ((3, 2), (1, 2), (1, 0))])
def test_pooling(kernel, stride, padding):
    compare(MaxPool2D(kernel, stride, padding), (2, 6, 7, 2),
            lambda x: last(F.max_pool2d(first(x), kernel, stride, padding)), 0)
    compare(AvgPool2D(kernel, stride, padding), (2, 6, 7, 2),
            lambda x: last(F.avg_pool2d(first(x), kernel, stride, padding, count_include_pad=False)), 0)


@pytest.mark.parametrize("layer, theirs", [
    (LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2)), (ReLU(), F.relu), (Tanh(), torch.tanh),
    (Sigmoid(), torch.sigmoid), (Softplus(), F.softplus)], ids=lambda v: repr(v) if hasattr(v, "params") else "")
def test_activations(layer, theirs):
    compare(layer, (5, 7), theirs, 0)


@pytest.mark.parametrize("target", [0.0, 0.9, 1.0])
def test_cross_entropy(target):
    rng = np.random.default_rng(0)
    for ours, theirs, x in [(losses.bce, F.binary_cross_entropy, rng.uniform(0.01, 0.99, (6, 1))),
                            (losses.bce_with_logits, F.binary_cross_entropy_with_logits, rng.normal(0, 20, (6, 1)))]:
        loss, d = ours(x, target)
        X = to_torch(x)
        value = theirs(X, torch.full_like(X, target))
        value.backward()
        assert abs(float(loss) - value.item()) <= 1e-12 * max(1, value.item())
        close(d, X.grad)


def _torch_net(net, params, x):
    """The forward pass of a shipped model in torch, from our layer list and torch parameters by name."""
    for i, layer in enumerate(net.layers):
        p = {name: params[f"{i}.{name}"] for name in layer.params}
        kind, b = type(layer).__name__, p.get("b")
        if kind == "Dense":
            x = x @ p["W"] + (0 if b is None else b)
        elif kind == "Conv2D":
            (top, bottom), (left, right) = layer.prepare(np.zeros(tuple(x.shape)), True, None).pads
            x = last(F.conv2d(F.pad(first(x), (left, right, top, bottom)), oihw(p["W"]), b, layer.stride))
        elif kind == "ConvTranspose2D":
            g = layer.geometry(x.shape[1:3])
            full = last(F.conv_transpose2d(first(x), oihw(p["W"]), b, layer.stride))
            (top, _), (left, _) = g.pads
            x = full[:, top:top + g.size[0], left:left + g.size[1]]
        elif kind == "BatchNorm":
            x = batch_norm(x, p["gamma"], p["beta"], layer.eps)
        elif kind in ("Flatten", "Reshape"):
            x = x.reshape(len(x), *getattr(layer, "shape", (-1,)))
        else:
            x = {"LeakyReLU": lambda x: F.leaky_relu(x, layer.slope), "Tanh": torch.tanh}[kind](x)
    return x


@pytest.mark.parametrize("name, options", [("mlp", {}), ("dcgan", {"width": 0.1}), ("dcgan_deep", {"width": 0.1})])
def test_generator_and_discriminator_end_to_end(name, options):
    """Gradients of the generator's loss in all parameters of both networks, against autograd."""
    G, D = models.get(name).build(rng=0, dtype="float64", **options)
    D = Sequential([layer.copy() for layer in D.layers if type(layer).__name__ != "Dropout"], dtype="float64")
    z = np.random.default_rng(1).standard_normal((4, 100))
    x, g_cache = G.forward(z)
    logits, d_cache = D.forward(x)
    loss, d = losses.get("non_saturating").g_loss(logits)
    g_grads, d_grads = G.zero_grads(), D.zero_grads()
    dz = G.backward(D.backward(d, d_cache, d_grads), g_cache, g_grads)

    Z = to_torch(z)
    g, d = ({name: to_torch(array) for name, array in net.params.items()} for net in (G, D))
    value = F.softplus(-_torch_net(D, d, _torch_net(G, g, Z))).mean()
    value.backward()
    assert abs(float(loss) - value.item()) <= 1e-12
    scale = float(max(p.grad.abs().max() for p in [*g.values(), *d.values()]))
    for ours, theirs in [(dz, Z), *((g_grads[k], g[k]) for k in g), *((d_grads[k], d[k]) for k in d)]:
        assert abs(ours - theirs.grad.numpy()).max() <= 1e-12 * max(scale, 1)
