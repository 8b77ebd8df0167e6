"""A training step as a CUDA graph: recorded once, then replayed with a single call.

In a step of a small network the device spends less time computing than the host spends asking it to. A graph keeps
the questions: capture runs the step's code while CUDA writes down each kernel instead of running it, and a replay
does all of them, on the same memory. So whatever differs from step to step must not be in the code but in that memory:

    the batch                 copied into the arrays that the step was captured with
    noise, keys, rates, …     all that the step draws by `backend.fresh` and `backend.scalars`: each is drawn again on
                              the host, in the same order, and sent to where the step reads it

What the step draws is thus the same, bit for bit, with and without capture. What its code only looks at, such as
`gan.clip` or the kind of kernels, stays as it was when the step was recorded.
"""

import gc
from functools import lru_cache

import numpy as np

from . import backend
from .errors import BackendError

PIECE = 1 << 20     # bytes of memory for what comes from the host, taken at a time
ALIGNED = 256       # bytes: so that each array begins as one of its own would


class Captured:
    """function(*arrays) -> dict of arrays, on the backend `name`, as a graph.

    The first call with arrays of new shapes runs the function as it is, in memory that no graph writes to, since it
    makes what stays (kernels, an optimiser's slots); the second captures it; from then on it is replayed. The results
    are copies.
    Raises BackendError for a backend without graphs, and for a function that waits for the device half-way or takes
    something from the host past `backend.fresh`.
    """

    def __init__(self, function, name):
        self.function, self.name, self.xp = function, name, backend.get(name)
        if not hasattr(self.xp, "cuda"):
            raise BackendError(f"expected a backend with CUDA graphs to capture a step, got {name!r}; use \"cupy\"")
        self._stream, self._pool = _common(self.xp, self.xp.cuda.Device().id)
        self._seen = {}

    def __call__(self, *arrays):
        arrays = [self.xp.ascontiguousarray(x) for x in arrays]     # as its copy will be that the graph reads
        shapes = tuple((x.shape, x.dtype) for x in arrays)
        with self._stream:
            if shapes not in self._seen:
                self._seen[shapes] = None
                return self.function(*arrays)
            if self._seen[shapes] is None:
                self._seen[shapes] = _Graph(self, arrays)
            return self._seen[shapes].replay(arrays)

    def record(self, arrays, inbox):
        """Capture the function on copies of these arrays -> the graph, the copies, the results."""
        with self.xp.cuda.using_allocator(self._pool.malloc):
            places = [x.copy() for x in arrays]
            gc.collect()        # what dies in the middle of a capture, a graph say, would spoil it
            self._stream.begin_capture()
            try:
                with backend.recording(inbox.take):
                    results = self.function(*places)
                return self._stream.end_capture(), places, results
            except Exception as error:
                self._abandon()
                raise BackendError(f"the step cannot be captured: {type(error).__name__}: {error}; train without "
                                   f"capture") from error

    def _abandon(self):
        try:
            self._stream.end_capture()
        except Exception:       # what CUDA says of a capture that has failed already
            pass


@lru_cache(maxsize=None)
def _common(xp, device):
    """The stream and the memory of all graphs of a device.

    They are replayed one after another on that stream, and each writes what it reads, but for arrays that it holds: so
    the same memory may serve them all, and a graph that is gone leaves it to the next. Nobody else is given any of it.
    """
    return xp.cuda.Stream(), xp.cuda.MemoryPool()   # the stream waits for the default one, and that one for it


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
    """All that a step takes from the host, side by side, so that it crosses in one copy.

    It is packed on the host and leaves from page-locked memory (CuPy's `asarray` sees to that), so the host need not
    wait for the device: it draws the next step's noise while this step is computed.
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
        """Draw all anew and send it."""
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
