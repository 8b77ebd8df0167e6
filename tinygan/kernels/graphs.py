"""A training step as a CUDA graph: recorded once, then replayed with a single call.

In a step of a small network the device spends less time computing than the host spends launching kernels. A graph holds
the launches: during capture CUDA records each kernel instead of running it, and a replay runs all of them, on the same
memory. So whatever differs from step to step must be in that memory:

    the batch                 copied into the arrays that the step was captured with
    noise, keys, rates, …     all that comes from the game's random source, from the rates of its optimisers and from
                              its schedules: drawn on the host before each replay, in the same order, and sent to where
                              the step reads it

`capture(gan)` wraps those three from outside, so the same numbers, bit for bit, enter a step with and without capture.
What Python code reads otherwise, such as `gan.clip` or the kind of kernels, stays as it was when the step was recorded.
"""

import gc
import threading
from contextlib import contextmanager

import numpy as np

from .. import backend
from ..errors import BackendError
from ..layers.labels import check_labels
from ..ops.random import Source

_here = threading.local()
PIECE = 1 << 20     # bytes of memory for what comes from the host, taken at a time
ALIGNED = 256       # bytes: so that each array begins as one of its own would


def capture(gan):
    """Let gan.step be captured and replayed; returns gan. Raises BackendError for a backend without graphs."""
    step, name, dtype = gan.step, backend.name_of(gan.G.theta), gan.G.theta.dtype

    def run(*arrays):
        labels = list(arrays[gan.k:])
        return step(list(arrays[:gan.k]), labels or None)
    captured = Captured(run, name)

    def replayed(x_real, labels=None):
        """As GAN.step."""
        batches = list(x_real) if isinstance(x_real, (list, tuple)) else [x_real] * gan.k
        if gan.classes:
            labels = labels if isinstance(x_real, (list, tuple)) else [labels] * gan.k
            batches += [backend.to(check_labels(label, len(x), gan.classes), name)
                        for x, label in zip(batches, labels or [None] * gan.k)]
        bits, steps, counts = gan.rng.generator.bit_generator, gan.steps, [thing.t for thing in counting]
        state = bits.state
        try:
            metrics = captured(*batches)
        except BaseException:
            if captured.recording:      # nothing was computed: as if the step had not begun
                bits.state, gan.steps = state, steps
                for thing, t in zip(counting, counts):
                    thing.t = t
            raise
        gan.steps = steps + 1       # code that counts runs in the first two calls only
        return metrics

    def rates(function):
        """A function of numbers that change from step to step; while the step is recorded, arrays in their place."""
        def recorded(*args):
            if captured.inbox is None:
                return function(*args)
            values = captured.inbox.take(lambda: np.array(function(*args), dtype))
            return tuple(values) if values.ndim else values
        return recorded
    counting = [thing for thing in (gan.g_opt, gan.d_opt, gan.average) if hasattr(thing, "rates")]
    for thing in counting:
        thing.rates = rates(thing.rates)
    now, recorded_now = gan.now, rates(gan.now)
    gan.now = lambda value: recorded_now(value) if callable(value) else now(value)
    gan.rng, gan.step = _Recorded(gan.rng, captured), replayed
    return gan


class _Recorded(Source):
    """A random source; while the step is recorded, each draw is noted, to be repeated before each replay."""

    def __init__(self, inner, captured):
        super().__init__(inner.generator)
        self.inner, self.captured = inner, captured

    def host(self, rule, shape):
        return self.inner.host(rule, shape)

    def draw(self, rule, shape, like):
        if self.captured.inbox is None:
            return super().draw(rule, shape, like)
        return self.captured.inbox.take(lambda: self.host(rule, shape))


class Captured:
    """function(*arrays) -> dict of arrays, on the backend `name`, as a graph.

    The first call with arrays of new shapes runs the function as it is, in memory that no graph writes to, since it
    makes what stays (kernels, an optimiser's slots); the second captures it; from then on it is replayed. The results
    are copies. While a call is captured, `inbox.take(draw)` is where its function gets an array draw() of the host;
    otherwise `inbox` is None.
    Graphs run on a stream of their own, in order with the caller's current stream before and after. Each thread has its
    own stream, memory and graphs.
    Raises BackendError for a backend without graphs, and for a function that waits for the device or takes something
    from the host in another way.
    """

    def __init__(self, function, name):
        self.function, self.name, self.xp, self.inbox = function, name, backend.get(name), None
        if not hasattr(self.xp, "cuda"):
            raise BackendError(f"expected a backend with CUDA graphs to capture a step, got {name!r}; use \"cupy\"")
        self.recording = False          # whether the last call ended while it was recorded
        self._own = threading.local()   # graphs: by shapes; None: the function has run once with them

    def __call__(self, *arrays):
        arrays = [self.xp.ascontiguousarray(x) for x in arrays]     # as its copy will be that the graph reads
        shapes, graphs, self.recording = tuple((x.shape, x.dtype) for x in arrays), self._graphs(), False
        with _common(self.xp).current():
            if shapes not in graphs:
                results = self.function(*arrays)
                graphs[shapes] = None       # after it returned: what raised has not made what stays
                return results
            try:
                if graphs[shapes] is None:
                    self.recording = True
                    graphs[shapes] = _Graph(self, arrays)
                    self.recording = False
                return graphs[shapes].replay(arrays)
            except MemoryError:     # CuPy then unmaps blocks of the pool, which graphs still use
                graphs.clear()
                raise

    def _graphs(self):
        return self._own.__dict__.setdefault("graphs", {})

    def record(self, arrays, inbox):
        """Capture the function on copies of these arrays -> the graph, the copies, the results."""
        stream, pool = _common(self.xp).stream, _common(self.xp).pool
        with self.xp.cuda.using_allocator(pool.malloc):
            places = [x.copy() for x in arrays]
            gc.collect()        # an array that is freed in the middle of a capture would invalidate it
            collects = gc.isenabled()
            gc.disable()
            self.inbox = inbox
            try:
                stream.begin_capture()
                with backend.no_transfers("while a step is captured: replays would all use this one value; draw it "
                                          "from the rng that is handed down"):
                    results = self.function(*places)
                return stream.end_capture(), places, results
            except BaseException as error:
                _abandon(stream)
                if not isinstance(error, Exception) or isinstance(error, MemoryError):
                    raise
                raise BackendError(f"the step cannot be captured: {type(error).__name__}: {error}; train without "
                                   f"capture") from error
            finally:
                self.inbox = None
                if collects:
                    gc.enable()


def _abandon(stream):
    try:
        stream.end_capture()
    except Exception:       # what CUDA says of a capture that has failed already
        pass


def _common(xp):
    """The _Common of this thread and the current device."""
    key, made = (xp, xp.cuda.Device().id), _here.__dict__.setdefault("common", {})
    if key not in made:
        made[key] = _Common(xp)
    return made[key]


class _Common:
    """The stream and the memory of all graphs of a device in one thread.

    They are replayed one after another on that stream, and each writes what it reads, except for arrays that it holds:
    so the same memory may serve them all, and that of a deleted graph serves the next. Nothing else uses any of it.
    """

    def __init__(self, xp):
        self.xp, self.pool = xp, xp.cuda.MemoryPool()
        self.stream = xp.cuda.Stream(non_blocking=True)     # it waits for other streams only as said in `current`
        self.begin, self.end = (xp.cuda.Event(disable_timing=True) for _ in range(2))

    @contextmanager
    def current(self):
        """Inside, the stream is the current one; it waits for the caller's stream, and that one waits for it."""
        caller = self.xp.cuda.get_current_stream()
        self.stream.wait_event(caller.record(self.begin))
        try:
            with self.stream:
                yield
        finally:
            caller.wait_event(self.stream.record(self.end))


class _Graph:
    """A captured function for arrays of one shape."""

    def __init__(self, captured, arrays):
        self.inbox = _Inbox(captured.xp)
        self.graph, self.places, self.results = captured.record(arrays, self.inbox)

    def replay(self, arrays):
        for place, x in zip(self.places, arrays):
            place[...] = x
        self.inbox.deliver()
        self.graph.launch()
        return {key: value.copy() for key, value in self.results.items()}


class _Inbox:
    """All that a step takes from the host, side by side, so that it is sent in one copy.

    It is packed on the host and sent from page-locked memory (as CuPy's `asarray` does), so the host need not wait for
    the device: it draws the next step's noise while this step is computed.
    """

    def __init__(self, xp):
        self.xp, self.pieces, self.draws = xp, [], []
        self.full = False       # holds what was drawn while capturing and has not been used

    def take(self, draw):
        """draw() -> where a captured step reads it."""
        value = draw()
        size = -(-value.nbytes // ALIGNED) * ALIGNED
        if not self.pieces or self.pieces[-1].used + size > len(self.pieces[-1].host):
            self.pieces.append(_Piece(self.xp, max(size, PIECE)))
        host, device = self.pieces[-1].reserve(size, value)
        host[...] = value
        self.draws.append((draw, host))
        self.full = True
        return device

    def deliver(self):
        """Draw all again and send it."""
        for draw, host in () if self.full else self.draws:
            host[...] = draw()
        for piece in self.pieces:
            piece.device[:piece.used] = self.xp.asarray(piece.host[:piece.used])
        self.full = False


class _Piece:
    """Bytes on the host and as many on the device."""

    def __init__(self, xp, size):
        self.host, self.device, self.used = np.empty(size, "uint8"), xp.empty(size, dtype="uint8"), 0

    def reserve(self, size, value):
        """The next bytes of both, as arrays like this value."""
        start, self.used = self.used, self.used + size
        return (memory[start:start + value.nbytes].view(value.dtype).reshape(value.shape)
                for memory in (self.host, self.device))
