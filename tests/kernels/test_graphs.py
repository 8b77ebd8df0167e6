"""A captured step, replayed, is the step: on an emulated device everywhere, on a GPU where there is one."""

import gc
import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pytest

from kernels import emulator
from kernels.emulator import DEVICES, here
from tinygan import GAN, backend, kernels, models, optim
from tinygan.errors import BackendError, ConfigError, DataError
from tinygan.kernels import graphs, transforms
from tinygan.kernels.graphs import Captured, capture
from tinygan.layers import Dense, Layer, Sequential

device = pytest.mark.parametrize("device", DEVICES)

SMALL = dict(width=0.06, image=(8, 8, 1))
GAMES = {
    "plain dcgan": (("dcgan", SMALL), {}),
    "mlp": (("mlp", dict(image=(8, 8, 1))), dict(k=2, m=2)),
    "rates, averages and noise that change": (("dcgan", SMALL), dict(
        average=0.9, noise_std=optim.anneal(0.5, 0, 4), g_opt=lambda: optim.Adam(optim.cosine(1e-2, 5), 0.5),
        d_opt=lambda: optim.SGD(optim.step_decay(1e-2, 2), 0.5))),
    "penalties that change": (("dcgan", SMALL), dict(loss="relativistic", penalty="r1+r2",
                                                     gamma=optim.anneal(1, 0.01, 5), g_penalty=0.1)),
    "penalty in between": (("dcgan", SMALL), dict(loss="wasserstein", penalty="wgan_gp", clip=0.5,
                                                  d_opt=lambda: optim.RMSprop(1e-3))),
    "dragan": (("dcgan", SMALL), dict(penalty="dragan")),
    "spectral": (("dcgan", SMALL | dict(spectral=True)), dict(loss="hinge", latent="truncated")),
    "augmented packs": (("dcgan", SMALL | dict(augment="translation,cutout,brightness", pack=2, minibatch_std=True)),
                        dict(loss="relativistic_average")),
    "classes": (("dcgan", SMALL | dict(classes=3)), dict(loss="least_squares")),
    "classes of several batches": (("dcgan", SMALL | dict(classes=3)), dict(k=2, m=2)),
    "points": (("mixture", dict(width=0.1)), dict(loss="minimax")),
}


def _game(name, device, captured):
    (model, options), rules = GAMES[name]
    G, D = models.get(model).build(rng=0, backend=device, **options)
    rules = {key: rule() if key in ("g_opt", "d_opt") else rule for key, rule in rules.items()}
    gan = GAN(G, D, rng=1, **rules)
    return capture(gan) if captured else gan


def _image(gan):
    *size, channels = gan.D.input_shape
    return *size, channels - gan.classes


def _play(gan, steps, batch=4, seed=3):
    """All that the steps leave behind, on the host."""
    rng, log = np.random.default_rng(seed), []
    for _ in range(steps):
        x = [backend.to(rng.uniform(-1, 1, (batch, *_image(gan))).astype("float32"), backend.name_of(gan.G.theta))
             for _ in range(gan.k)]
        labels = [rng.integers(0, gan.classes, batch) for _ in range(gan.k)] if gan.classes else None
        log.append(gan.step(x, labels))         # read only after all of them
    nets = [gan.G, gan.D, *([gan.average.net] if gan.average else [])]
    left = [array for net in nets for array in (net.theta, *net.state.values())]
    left += [*gan.g_opt.state.values(), *gan.d_opt.state.values()]
    log = [{key: float(value) for key, value in metrics.items()} for metrics in log]
    counts = gan.rng.generator.bit_generator.state, gan.g_opt.t, gan.d_opt.t, gan.steps
    return log, [backend.asnumpy(a) for a in left], *counts


@device
@pytest.mark.parametrize("name", GAMES)
def test_the_same_bits_as_step_by_step(name, device):
    eager, captured = (_play(_game(name, device, captured), 4) for captured in (False, True))
    assert eager[0] == captured[0] and eager[2:] == captured[2:]
    for a, b in zip(eager[1], captured[1], strict=True):
        np.testing.assert_array_equal(a, b)
    moved = [metrics["d_loss"] for metrics in captured[0]]
    assert len(set(moved)) == 4         # every replay is a step of its own


@device
def test_as_on_the_host(device, monkeypatch):
    """The device's kernels, captured, a few steps on. The ways of convolutions are chosen by rules of their own: here
    both are direct, as Adam moves a tap that meets no pixel by the rounding error of its transform."""
    monkeypatch.setattr(kernels, "_mode", "direct")
    _near_the_host(device)


def _near_the_host(device):
    ours, theirs = _play(_game("plain dcgan", device, True), 4), _play(_game("plain dcgan", "numpy", False), 4)
    for a, b in zip(ours[0], theirs[0]):
        assert a == pytest.approx(b, rel=2e-3)
    assert np.abs(ours[1][0] - theirs[1][0]).mean() < 1e-5


@device
@pytest.mark.parametrize("name", ["plain dcgan", "penalties that change", "spectral"])
def test_convolutions_by_frequency(name, device, monkeypatch):
    """All of them, whatever their size: the same bits with and without a graph, and near the host's reference."""
    used, run = [], transforms._run
    monkeypatch.setattr(kernels, "_mode", "frequencies")
    monkeypatch.setattr(transforms, "_run", lambda *args, **options: used.append(1) or run(*args, **options))
    test_the_same_bits_as_step_by_step(name, device)
    assert len(used) > 100
    if name == "plain dcgan":
        _near_the_host(device)


@device
def test_another_batch_size_is_another_graph(device, monkeypatch):
    eager, captured, made = _game("mlp", device, False), _game("mlp", device, True), []
    graph = graphs._Graph
    monkeypatch.setattr(graphs, "_Graph", lambda *args: made.append(args) or graph(*args))
    for n in (4, 4, 4, 2, 2, 2, 4, 2):
        assert _play(eager, 1, n, n)[0] == _play(captured, 1, n, n)[0]
    assert len(made) == 2


@device
def test_only_what_is_recorded_lives_in_the_memory_of_graphs(device):
    """A replay writes over all that its pool had free; a step that runs as it is leaves things that stay."""
    xp, pools = backend.get(device), []
    captured = Captured(lambda x: pools.append(xp.cuda.get_allocator()) or {"y": x + 1}, device)
    outside, results = xp.cuda.get_allocator(), []
    for i in range(8):
        results.append(captured(xp.full(2 + i // 4, i, dtype="float32"))["y"])
    assert [pool == outside for pool in pools] == [True, False] * 2 and pools[1] == pools[3]
    assert [float(y[0]) for y in results] == [i + 1 for i in range(8)]


@device
def test_what_a_step_draws_crosses_in_one_copy(device, monkeypatch):
    gan, xp, copies = _game("plain dcgan", device, True), backend.get(device), []
    asarray = xp.asarray
    _play(gan, 2)
    x = [backend.to(np.zeros((4, 8, 8, 1), "float32"), device)]
    monkeypatch.setattr(xp, "asarray", lambda value: copies.append(value) or asarray(value))
    for _ in range(3):
        gan.step(x)
    assert len(copies) == 3


@device
def test_draws_larger_than_a_piece_of_memory(device, monkeypatch):
    eager = _play(_game("mlp", device, False), 4)
    monkeypatch.setattr(graphs, "PIECE", 1000)     # noise of four is 1,600 bytes
    captured = _play(_game("mlp", device, True), 4)
    assert eager[0] == captured[0]


@device
def test_labels_are_looked_at_before_each_replay(device):
    gan = _game("classes", device, True)
    _play(gan, 3)
    with pytest.raises(DataError, match="0 … 2"):
        gan.step(backend.to(np.zeros((4, 8, 8, 1), "float32"), device), np.array([0, 1, 2, 3]))


class Peeks(Layer):
    """Waits for the device in the middle of a step."""

    def forward(self, x, train=True, rng=None):
        return x * float(x.sum()), None

    def backward(self, dy, cache, grads=None):
        return dy


class Slips(Peeks):
    """Takes a number from the host, not from its rng."""

    def forward(self, x, train=True, rng=None):
        return x + backend.to(np.ones(1, "float32"), backend.name_of(x)), None


@device
@pytest.mark.parametrize("layer, words", [(Peeks, "captur"), (Slips, "draw it from the rng")])
def test_what_cannot_be_captured_says_so(device, layer, words):
    net = Sequential([Dense(2, 2), layer()], rng=0, backend=device)
    captured = Captured(lambda x: {"y": net.forward(x)[0]}, device)
    x = backend.to(np.ones((3, 2), "float32"), device)
    before = backend.asnumpy(captured(x)["y"])
    with pytest.raises(BackendError, match="the step cannot be captured: .*" + words):
        captured(x)
    np.testing.assert_array_equal(backend.asnumpy(net.forward(x)[0]), before)       # and all goes on without


@device
def test_labels_that_do_not_fit_leave_the_game_as_it_was(device):
    """Before the first call, before the capture and before a replay."""
    gan, eager = (_game("classes", device, captured) for captured in (True, False))
    x = backend.to(np.zeros((4, 8, 8, 1), "float32"), device)
    for _ in range(4):
        for labels in (None, [0, 1, 2], [0, 1, 2, 3]):
            with pytest.raises((ConfigError, DataError)):
                gan.step(x, labels)
        ours, theirs = gan.step(x, [0, 1, 2, 0]), eager.step(x, [0, 1, 2, 0])
        assert {key: float(v) for key, v in ours.items()} == {key: float(v) for key, v in theirs.items()}
    np.testing.assert_array_equal(backend.asnumpy(gan.G.theta), backend.asnumpy(eager.G.theta))


class Stops(Layer):
    """Raises an error in the pass of this number."""

    def __init__(self, error, at):
        super().__init__()
        self.error, self.left = error, at

    def forward(self, x, train=True, rng=None):
        self.left -= 1
        if not self.left:
            raise self.error()
        return x, None

    def backward(self, dy, cache, grads=None):
        return dy


def _stopping(device, error, at, captured):
    """A game whose D stops at its pass number `at`; a step has three: on real samples, on fakes, in G's step."""
    G, D = models.dcgan(rng=0, backend="numpy", **SMALL)
    layers = [*D.copy().layers]
    for layer in layers:
        layer.owned = False
    D = Sequential([Stops(error, at), *layers], input_shape=(8, 8, 1)).to(device)
    gan = GAN(G.to(device), D, average=0.9, d_opt=optim.Adam(optim.cosine(1e-3, 9)), rng=1)
    return capture(gan) if captured else gan


def _clean(device):
    """Nothing is left of a capture."""
    xp = backend.get(device)
    assert gc.isenabled() and backend._forbidden is None
    if device == "emulated":
        assert xp.tape is None and xp.cuda.get_current_stream() is not graphs._common(xp).stream
    backend.to(np.zeros(1, "float32"), device)


@device
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_interrupted_in_the_first_call(device, error):
    """As an interrupted step without capture; then it is no known shape yet, and all goes on to the bit."""
    games = [_stopping(device, error, 2, captured) for captured in (False, True)]
    for gan in games:
        with pytest.raises(error):
            _play(gan, 1)
        _clean(device)
    eager, captured = (_play(gan, 5) for gan in games)
    assert eager[0] == captured[0] and eager[2:] == captured[2:]
    for a, b in zip(eager[1], captured[1], strict=True):
        np.testing.assert_array_equal(a, b)


@lru_cache(maxsize=None)
def _uninterrupted(device):
    gan = _stopping(device, None, 0, False)
    _play(gan, 1)
    return _play(gan, 4)


@device
@pytest.mark.parametrize("error, at", [(KeyboardInterrupt, 4), (KeyboardInterrupt, 5), (KeyboardInterrupt, 6),
                                       (SystemExit, 4), (MemoryError, 5), (ValueError, 6)])
def test_interrupted_in_the_capture(device, error, at):
    """As if the step had not begun: what comes from the host is drawn again, and training goes on to the bit."""
    captured = _stopping(device, error, at, True)
    _play(captured, 1)
    with pytest.raises(BackendError if error is ValueError else error):
        _play(captured, 1)
    _clean(device)
    eager, captured = _uninterrupted(device), _play(captured, 4)        # step by step, captured, and replayed twice
    assert eager[0] == captured[0] and eager[2:] == captured[2:]
    for a, b in zip(eager[1], captured[1], strict=True):
        np.testing.assert_array_equal(a, b)


@device
def test_graphs_are_dropped_when_memory_runs_out(device, monkeypatch):
    """CuPy then unmaps memory that they use: they are captured anew."""
    calls, launches = [], []
    captured = Captured(lambda x: calls.append(len(x)) or {"y": 2 * x}, device)
    xp = backend.get(device)
    x = xp.ones(3, dtype="float32")
    for _ in range(3):
        captured(x)
    assert calls == [3, 3]
    monkeypatch.setattr(graphs._Graph, "replay", lambda *args: launches.append(args) or _raise(MemoryError()))
    with pytest.raises(MemoryError):
        captured(x)
    monkeypatch.undo()
    assert [float(captured(x)["y"][0]) for _ in range(3)] == [2, 2, 2] and calls == [3] * 4 and len(launches) == 1


def _raise(error):
    raise error


@here
def test_a_missing_wait_between_streams_is_seen(monkeypatch):
    """The emulator's own check: without either of both waits an array is used in two streams without an order."""
    wait = emulator.Stream.wait_event
    for missing in (0, 1):
        waits = itertools.count()
        monkeypatch.setattr(emulator.Stream, "wait_event", lambda stream, event: (
            None if next(waits) % 2 == missing else wait(stream, event)))
        with pytest.raises(AssertionError, match="without a wait"):
            _play(_game("mlp", "emulated", True), 3)


@device
def test_each_thread_has_its_own_stream_and_graphs(device):
    """A game that goes on in another thread, on another stream of the caller, gives the same bits."""
    eager, captured, streams = _game("mlp", device, False), _game("mlp", device, True), []
    xp = backend.get(device)

    def part(own):
        streams.append(graphs._common(xp).stream)
        if not own:
            return _play(captured, 4)
        stream = xp.cuda.Stream(non_blocking=True)
        stream.wait_event(xp.cuda.get_current_stream().record())
        with stream:
            found = _play(captured, 4)
        xp.cuda.get_current_stream().wait_event(stream.record())
        return found
    for in_thread, own in ((False, False), (True, False), (False, True)):
        if in_thread:
            with ThreadPoolExecutor(1) as pool:
                found = pool.submit(part, own).result()
        else:
            found = part(own)
        expected = _play(eager, 4)
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1][0], expected[1][0])
    assert streams[0] is streams[2] is not streams[1]


def test_who_can_capture():
    G, D = models.mlp(rng=0)
    with pytest.raises(BackendError, match="CUDA graphs"):
        capture(GAN(G, D))
