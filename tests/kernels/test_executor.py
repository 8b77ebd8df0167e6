"""The executor of training steps gives what the networks give, and leaves out only what nobody needs."""

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import tinygan
from tinygan import GAN, Parallel, Sequential, kernels, models, optim
from tinygan.kernels import filters, threads
from tinygan.kernels.executor import Executor, executors
from tinygan.kernels.threads import own_threads
from tinygan.layers import (AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, Identity, LeakyReLU,
                            MinibatchStd, Pack, Reshape, SpectralNorm, Tanh, UpSampling2D)
from tinygan.ops import registry
from tinygan.ops.conv import conv
from tinygan.ops.pointwise import sigmoid


def _unet(c):
    inner = Sequential([AvgPool2D(2), Conv2D(c, c, 3), LeakyReLU(), UpSampling2D(2)])
    return Parallel([Identity(), inner], "concat")


def _residual(c):
    return Parallel([Identity(), Sequential([Conv2D(c, c, 3), BatchNorm(c), Tanh()])], "sum")


NETWORKS = {      # (layers, shape of a sample)
    "dense": lambda: ([Dense(6, 5), LeakyReLU(), Dropout(0.4), Dense(5, 3)], (6,)),
    "convolution first": lambda: ([Conv2D(2, 4, 3, 2), BatchNorm(4), LeakyReLU(), Dropout(0.3), Flatten(),
                                   Dense(64, 1)], (8, 8, 2)),
    "transposed": lambda: ([Dense(5, 48), Reshape((4, 4, 3)), BatchNorm(3), ConvTranspose2D(3, 2, 5, 2), Tanh()], (5,)),
    "activation first": lambda: ([LeakyReLU(), Conv2D(2, 3, 3, bias=False), Flatten(), Dense(108, 2)], (6, 6, 2)),
    "spectral": lambda: ([SpectralNorm(Conv2D(2, 3, 3)), LeakyReLU(), Flatten(), SpectralNorm(Dense(48, 1))],
                         (4, 4, 2)),
    "packed": lambda: ([Pack(2), Conv2D(4, 3, 3), Flatten(), MinibatchStd(), Dense(49, 1)], (4, 4, 2)),
    "nested": lambda: ([Sequential([Conv2D(2, 3, 3), LeakyReLU()]), Sequential([Sequential([Conv2D(3, 2, 3)]),
                                                                               Dropout(0.2)]), Flatten()], (5, 5, 2)),
    "concatenated": lambda: ([Parallel([Conv2D(2, 3, 3), Conv2D(2, 2, 5)]), LeakyReLU(), Conv2D(5, 1, 3)], (6, 6, 2)),
    "summed": lambda: ([Parallel([Conv2D(2, 3, 3), Sequential([Conv2D(2, 3, 1), Tanh()])], "sum")], (6, 6, 2)),
    "U-Net": lambda: ([Conv2D(2, 3, 3), _unet(3), Conv2D(6, 1, 3)], (6, 6, 2)),
    "residual": lambda: ([Conv2D(2, 3, 3), _residual(3), _residual(3)], (6, 6, 2)),
    "residual first": lambda: ([_residual(2), Flatten(), Dense(32, 1)], (4, 4, 2)),
    "two heads": lambda: ([Conv2D(2, 3, 3, 2), Flatten(), LeakyReLU(), Parallel([Dense(27, 1), Dense(27, 4)])],
                          (6, 6, 2)),
    "no parameters": lambda: ([LeakyReLU(), Flatten()], (3, 3, 1)),
}


@pytest.fixture(params=["direct", "frequencies"])
def way(request, monkeypatch):
    """Each convolution as direct sums, and each by its transforms."""
    monkeypatch.setattr(kernels, "_mode", request.param)


def _network(name):
    layers, shape = NETWORKS[name]()
    return Sequential(layers, rng=0), shape


def _draw(rng, *shapes):
    return [rng.standard_normal(shape, dtype="float32") for shape in shapes]


@contextmanager
def _reference():
    before = kernels.use("reference")
    try:
        yield
    finally:
        kernels.use(before)


def _all_maps(net, x, tx, rng, with_grads):
    """All that the four maps give, twice over in one step, as a step uses them."""
    found = []
    for seed in (1, 2):
        y, cache = net.forward(x, rng=seed)
        dy, dty = (np.random.default_rng(seed).standard_normal(y.shape, dtype="float32") for seed in (3, 4))
        ty, tcache = net.jvp(tx, cache)
        found += [y, ty]
        if with_grads:
            grads = net.zero_grads()
            net.backward(dy, cache, grads)
            net.jvp_backward(dy, dty, cache, tcache, grads)
            found += grads.values()
        else:
            found += [net.backward(dy, cache), *net.jvp_backward(dy, dty, cache, tcache)]
    return found + [net.forward(x, train=False)[0], *net.state.values()]


@pytest.mark.parametrize("with_grads", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_as_the_network(name, with_grads, way, rng):
    net, shape = _network(name)
    x, tx = _draw(rng, (6, *shape), (6, *shape))
    with own_threads():
        ours, theirs = (_all_maps(n, x, tx, rng, with_grads) for n in (Executor(net.copy()), net))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "no parameters"])
def test_dx_is_left_out_where_grads_are_given(name, rng):
    net, shape = _network(name)
    x, = _draw(rng, (6, *shape))
    running = Executor(net)
    y, cache = running.forward(x, rng=0)
    tcache = running.jvp(x, cache)[1]
    assert running.backward(y, cache, net.zero_grads()) is None
    assert running.jvp_backward(y, y, cache, tcache, net.zero_grads()) == (None, None)
    assert running.backward(y, cache).shape == x.shape
    assert [d.shape for d in running.jvp_backward(y, y, cache, tcache)] == [x.shape] * 2


@pytest.mark.parametrize("first", [lambda: Conv2D(2, 3, 3), lambda: SpectralNorm(Conv2D(2, 3, 3)), lambda: Parallel(
    [Conv2D(2, 1, 3), Sequential([LeakyReLU(), Conv2D(2, 2, 3)])])], ids=["plain", "spectral", "parallel"])
def test_no_adjoint_of_the_first_layer_with_parameters(first, rng):
    first, called = first(), []
    net = Sequential([LeakyReLU(), first, Conv2D(3, 2, 3)], rng=0)
    parts = [first] if not isinstance(first, Parallel) else [first.layers[0], first.layers[1].layers[1]]
    for layer in [*parts, net.layers[2]]:
        def spy(dy, ctx, layer=layer, adjoint=layer.adjoint):
            called.append(layer)
            return adjoint(dy, ctx)
        layer.adjoint = spy
    x, = _draw(rng, (3, 5, 5, 2))
    running = Executor(net)
    y, cache = running.forward(x)
    running.backward(y, cache, net.zero_grads())
    assert called == [net.layers[2]]
    called.clear()
    running.jvp_backward(y, y, cache, running.jvp(x, cache)[1], net.zero_grads())
    assert called == [net.layers[2]] * 2
    called.clear()
    running.backward(y, cache)
    assert called == [net.layers[2], *parts]


@pytest.mark.parametrize("other", ["", "dy", "cache"])
def test_second_order_takes_the_cotangents_of_the_pass_to_v(other, rng):
    """Not of a pass with another dy or another cache; and the results are those of the network."""
    net, called = Sequential([Conv2D(2, 3, 3), Tanh(), Conv2D(3, 2, 3), Tanh(), Conv2D(2, 2, 3)], rng=0), []
    for layer in (net.layers[2], net.layers[4]):
        def spy(dy, ctx, adjoint=layer.adjoint):
            called.append(dy)
            return adjoint(dy, ctx)
        layer.adjoint = spy
    x, tx, dy, dty = _draw(rng, *[(3, 5, 5, 2)] * 4)
    running, expected = Executor(net), []
    y, cache = running.forward(x)
    again = running.forward(x)[1]
    running.backward(dty + 0 if other == "dy" else dty, again if other == "cache" else cache)
    tcache = running.jvp(tx, cache)[1]
    for maps, more in ((running, 2 if other else 0), (net, 2)):
        called.clear()
        expected.append(maps.jvp_backward(dy, dty, cache, tcache, grads := net.zero_grads()) and list(grads.values()))
        assert len(called) == 2 + more
    for a, b in zip(*expected):
        np.testing.assert_array_equal(a, b)


def test_what_a_step_kept_is_freed_when_it_ends(rng):
    """Without the garbage collector, which would leave arrays of many steps in memory."""
    net, shape = _network("residual")
    x, = _draw(rng, (2, *shape))
    gc.disable()
    try:
        with executors(net) as (running,):
            y, cache = running.forward(x)
            dx = weakref.ref(running.backward(y, cache))
            assert dx() is not None     # kept, for a second order
            del running
        until = time.monotonic() + 10       # a thread that woke up too late holds its part until it has looked
        while dx() is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert dx() is None
    finally:
        gc.enable()


class Doubled(Conv2D):
    """A subclass with a backward of its own."""

    def backward(self, dy, cache, grads=None):
        return 2 * super().backward(dy, cache, grads)


class Chain(Sequential):
    """A network with a backward of its own."""

    def backward(self, dy, cache, grads=None):
        return 3 * super().backward(dy, cache, grads)


def _replaced(monkeypatch):
    layer = Conv2D(2, 3, 3)
    backward = layer.backward
    layer.backward = lambda dy, cache, grads=None: 2 * backward(dy, cache, grads)
    return layer


def _replaced_in_the_class(monkeypatch):
    backward = Conv2D.backward
    monkeypatch.setattr(Conv2D, "backward", lambda self, dy, cache, grads=None: 2 * backward(self, dy, cache, grads))
    return Conv2D(2, 3, 3)


@pytest.mark.parametrize("make", [_replaced, _replaced_in_the_class, lambda monkeypatch: Doubled(2, 3, 3),
                                  lambda monkeypatch: Chain([Conv2D(2, 3, 3), LeakyReLU()])])
def test_what_is_replaced_runs_as_written(make, rng, monkeypatch):
    """Subclasses, methods of an instance, methods of a class; as a layer and as the network itself."""
    layer = make(monkeypatch)
    x, = _draw(rng, (3, 4, 4, 2))
    net = Sequential([Conv2D(2, 2, 3), layer], rng=0)
    for net in (net, *([layer.astype("float32")] if isinstance(layer, Chain) else [])):
        results = []
        for n in (net, Executor(net)):
            y, cache = n.forward(x)
            grads = n.zero_grads()
            n.backward(y, cache, grads)
            results.append([n.backward(y, cache), *grads.values()])
        for a, b in zip(*results):
            np.testing.assert_array_equal(a, b)


def test_the_border_is_that_of_the_network(rng):
    net, shape = _network("convolution first")
    x, = _draw(rng, (2, *shape))
    for wrong in (x[:, :, :, :1], x.astype("float64")):
        with pytest.raises(tinygan.errors.TinyganError) as ours:
            Executor(net).forward(wrong)
        with pytest.raises(type(ours.value)) as theirs:
            net.forward(wrong)
        assert str(ours.value) == str(theirs.value)


# Weights that move within a step.

def _by_params(net, grads):
    for name, g in grads.items():
        net.params[name][...] -= 0.05 * g


def _by_assignment(net, grads):
    net.theta = net.theta - 0.05 * grads.vector


def _by_theta(net, grads):
    theta = net.theta
    theta -= 0.05 * grads.vector


def _by_layers(net, grads):
    for i, layer in enumerate(net.layers):
        for name, array in layer.params.items():
            array -= 0.05 * grads[f"{i}.{name}"]


class Kept:
    """Views of the parameters taken at the first step, as PyTorch's optimisers do."""

    views = None

    def __call__(self, net, grads):
        self.views = self.views or dict(net.params)
        for name, view in self.views.items():
            view -= 0.05 * grads[name]


class Own:
    """An optimiser of one's own."""

    def __init__(self, rule):
        self.step = rule


def _play(make, steps=3, **options):
    G, D = models.dcgan(rng=0, width=0.06, image=(8, 8, 1))
    x = np.random.default_rng(2).uniform(-1, 1, (6, 8, 8, 1)).astype("float32")
    gan = GAN(G, D, g_opt=make(), d_opt=make(), rng=1, **options)
    for _ in range(steps):
        gan.step(x)
    return np.concatenate([G.theta, D.theta])


OPTIMISERS = {"params": lambda: Own(_by_params), "assignment": lambda: Own(_by_assignment),
              "theta": lambda: Own(_by_theta), "layers": lambda: Own(_by_layers), "kept views": lambda: Own(Kept()),
              "SGD": lambda: optim.SGD(0.05), "momentum": lambda: optim.SGD(0.02, 0.9)}
RULES = {"plain": {}, "several": dict(k=2, m=2), "clipped": dict(clip=0.1),
         "penalised": dict(penalty="r1+r2", gamma=0.1, g_penalty=0.1)}


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_sees_the_weights_as_they_are(name, rules, monkeypatch):
    """However an optimiser moves them."""
    monkeypatch.setattr(kernels, "_mode", "frequencies")
    ours = _play(OPTIMISERS[name], **RULES[rules])
    with _reference():
        theirs = _play(OPTIMISERS[name], **RULES[rules])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", ["frequencies", "tiles"])
def test_transforms_of_weights_are_reused_until_the_weights_move(way, monkeypatch):
    made, inner = [], filters._into
    monkeypatch.setattr(kernels, "_mode", way)
    monkeypatch.setattr(filters, "_into", lambda *args: made.append(args[1].shape) or inner(*args))
    G, D = models.dcgan(rng=0, width=0.06, image=(8, 8, 1))
    convolutions = [sum(isinstance(layer, (Conv2D, ConvTranspose2D)) for layer in net.layers) for net in (G, D)]
    assert convolutions == [3, 2]
    x = np.zeros((6, 8, 8, 1), "float32")
    for k, m in ((1, 1), (3, 1), (1, 3)):
        gan = GAN(G, D, rng=1, k=k, m=m)
        for _ in range(2):
            made.clear()
            gan.step(x)
            # G's before its m steps, and after each but the last; D's before each of its k steps and after them.
            assert len(made) == 3 * m + 2 * (k + 1)


@pytest.mark.parametrize("move", [
    lambda net: net.params["0.W"].__imul__(2), lambda net: net.theta.__imul__(2),
    lambda net: setattr(net, "theta", 2 * net.theta)], ids=["params", "theta", "assignment"])
def test_whoever_asks_for_the_parameters_may_move_them_at_once(move, rng, monkeypatch):
    monkeypatch.setattr(kernels, "_mode", "frequencies")
    net, (x,) = Sequential([Conv2D(2, 3, 3, bias=False)], rng=0), _draw(rng, (3, 5, 5, 2))
    with executors(net) as (running,):
        before = running.forward(x)[0]
        move(running)
        np.testing.assert_array_equal(running.forward(x)[0], 2 * before)


class Rescaled(Conv2D):
    """Convolves with weights that it computes anew in each pass, in one buffer."""

    buffer = None

    def map(self, x, g):
        self.buffer = self.params["W"].copy() if self.buffer is None else self.buffer
        self.buffer *= 2
        return conv(x, self.buffer, g)


def test_transforms_of_other_arrays_are_not_kept(rng, monkeypatch):
    monkeypatch.setattr(kernels, "_mode", "frequencies")
    net, (x,) = Sequential([Rescaled(2, 3, 3, bias=False)], rng=0), _draw(rng, (3, 5, 5, 2))
    with executors(net) as (running,):
        first = running.forward(x)[0]
        np.testing.assert_array_equal(running.forward(x)[0], 2 * first)


def test_an_optimiser_may_leave_its_state_on_the_network():
    def rule(net, grads):
        net.steps_taken = getattr(net, "steps_taken", 0) + 1
    G, D = models.mlp(rng=0, width=0.05)
    gan = GAN(G, D, g_opt=Own(rule), d_opt=Own(rule), rng=1)
    for _ in range(2):
        gan.step(np.zeros((4, 28, 28, 1), "float32"))
    assert G.steps_taken == D.steps_taken == 2


# Threads.

@pytest.mark.skipif(threads.threads() < 2, reason="one thread here")
def test_a_convolution_inside_gives_the_whole_network_its_threads(rng):
    class Seen(Identity):
        def forward(self, x, train=True, rng=None):
            seen.append(threads.splits())
            return super().forward(x, train, rng)
    inside = [
        lambda: Conv2D(2, 1, 3), lambda: Parallel([Identity(), Conv2D(2, 1, 3)]),
        lambda: Sequential([Parallel([Identity(), Sequential([SpectralNorm(ConvTranspose2D(2, 1, 3))])])]),
        lambda: Identity()]
    x, = _draw(rng, (2, 4, 4, 2))
    for make in inside:
        net, seen = Sequential([Seen(), make()], rng=0), []
        with executors(net) as (running,):
            running.forward(x)
        assert seen == [make is not inside[-1]] and not threads.splits()


def _dcgan(seed):
    gan = GAN(*models.dcgan(rng=seed, width=0.15), rng=seed)
    x = np.random.default_rng(seed).uniform(-1, 1, (24, 28, 28, 1)).astype("float32")
    log = [gan.step(x) for _ in range(4)]
    return np.array([float(v) for metrics in log for v in metrics.values()]), gan.G.theta, gan.D.theta


@pytest.mark.parametrize("attempt", range(3))
def test_two_games_in_two_threads_give_the_bits_of_each_alone(attempt):
    alone = [_dcgan(seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(_dcgan, (0, 1)))
    for ours, theirs in zip(together, alone):
        for a, b in zip(ours, theirs):
            np.testing.assert_array_equal(a, b)


def test_a_second_thread_waits_until_the_functions_are_registered(monkeypatch):
    begun, release = threading.Event(), threading.Event()

    def load():
        begun.set()
        assert release.wait(60)
        registry.register("pointwise.sigmoid", lambda x: lambda x: "registered")
    monkeypatch.setattr(registry, "_pending", [load])
    monkeypatch.setattr(registry, "_choices", {})
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sigmoid, np.zeros(1))
        assert begun.wait(60)
        second = pool.submit(sigmoid, np.zeros(1))
        with pytest.raises(TimeoutError):
            second.result(0.1)
        release.set()
        assert first.result() == second.result() == "registered"


# A package without kernels/, and TINYGAN_KERNELS.

SCRIPT = """if True:
    import sys
    # An editable installation looks there for the folder that is missing here.
    sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
    import numpy as np
    import tinygan
    from tinygan import GAN, models
    found = {}
    for model, options in (("mlp", {}), ("dcgan", dict(spectral=True)), ("dcgan", dict(dropout=0.3))):
        G, D = getattr(models, model)(rng=0, width=0.1, **options)
        gan = GAN(G, D, rng=1, penalty="r1", gamma=0.1, average=0.9)
        for step in range(3):
            gan.step(np.random.default_rng(step).uniform(-1, 1, (8, 28, 28, 1)).astype("float32"))
        arrays = (G.theta, D.theta, *G.state.values(), *D.state.values(), gan.sample(2))
        found |= {f"{model} {options} {i}": array for i, array in enumerate(arrays)}
    np.savez(sys.argv[1], **found)
    print(tinygan.__file__)
"""


def _run(folder, *command, **environment):
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=120,
                          env=os.environ | {"PYTHONPATH": str(folder)} | environment)


def test_without_the_folder_the_formulas_compute_the_same(tmp_path):
    package = Path(tinygan.__file__).parent
    shutil.copytree(package, tmp_path / "tinygan", ignore=shutil.ignore_patterns("kernels", "__pycache__"))
    one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}     # how BLAS splits a product may depend on the load
    bare = _run(tmp_path, "-c", SCRIPT, str(tmp_path / "bare.npz"), **one)
    reference = _run(package.parent, "-c", SCRIPT, str(tmp_path / "reference.npz"), TINYGAN_KERNELS="reference", **one)
    assert not bare.returncode and not reference.returncode, bare.stderr + reference.stderr
    assert Path(bare.stdout.strip()).parent == tmp_path / "tinygan"
    with np.load(tmp_path / "bare.npz") as ours, np.load(tmp_path / "reference.npz") as theirs:
        assert sorted(ours) == sorted(theirs)
        assert {name: abs(ours[name] - theirs[name]).max() for name in ours if (ours[name] != theirs[name]).any()} == {}


@pytest.mark.parametrize("command", [["info"], ["train", "--steps", "1", "--model", "mlp", "--out", "OUT"]])
def test_a_wrong_kind_of_kernels_is_one_line(command, tmp_path):
    command = [str(tmp_path / "out") if word == "OUT" else word for word in command]
    done = _run(Path(tinygan.__file__).parent.parent, "-m", "tinygan", *command, TINYGAN_KERNELS="quick")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and not (tmp_path / "out").exists()
    assert "unknown kind of kernels 'quick'; choose one of: fast, direct, frequencies, tiles, reference" in done.stderr
