"""A training step as a CUDA graph: recorded once, then replayed with a single call.

In a step of a small network the device spends less time computing than the host spends asking it to. A graph keeps
the questions: capture runs the step's code while CUDA writes down each kernel instead of running it, and a replay
does all of them, on the same memory. So whatever differs from step to step must not be in the code but in that memory:

    the batch                 copied into the arrays that the step was captured with
    noise, keys, rates, …     all that the step draws by `backend.fresh` and `backend.scalars`: each is drawn again on
                              the host, in the same order, and written where the step reads it

What the step draws is thus the same, bit for bit, with and without capture.
"""

from . import backend
from .errors import BackendError


class Captured:
    """function(*arrays) -> dict of arrays, on the backend `name`, as a graph.

    The first call with arrays of new shapes runs the function as it is, which makes all that it makes only once
    (kernels, an optimiser's slots); the second captures it; from then on it is replayed. The results are copies.
    Raises BackendError for a backend without graphs, and for a function that waits for the device half-way or takes
    something from the host past `backend.fresh`.
    """

    def __init__(self, function, name):
        self.function, self.name, self.xp = function, name, backend.get(name)
        if not hasattr(self.xp, "cuda"):
            raise BackendError(f"expected a backend with CUDA graphs to capture a step, got {name!r}; use \"cupy\"")
        self._stream = self.xp.cuda.Stream()       # one that waits for the default stream, and that one for it
        self._pool = self.xp.cuda.MemoryPool()     # memory that nobody else is given while the graph lives
        self._seen = {}

    def __call__(self, *arrays):
        shapes = tuple((x.shape, x.dtype) for x in arrays)
        with self._stream:
            if shapes not in self._seen:
                self._seen[shapes] = None
                with self.xp.cuda.using_allocator(self._pool.malloc):
                    return self.function(*arrays)
            if self._seen[shapes] is None:
                self._seen[shapes] = _Graph(self, arrays)
            return self._seen[shapes].replay(arrays)

    def record(self, arrays, drawn):
        """Capture the function on copies of these arrays -> the graph, the copies, the results.

        drawn: list that gets (draw, where the step reads it, what it was while captured)."""
        def recorder(draw):
            value = draw()
            drawn.append((draw, self.xp.empty(value.shape, dtype=value.dtype), value))
            return drawn[-1][1]
        with self.xp.cuda.using_allocator(self._pool.malloc):
            places = [x.copy() for x in arrays]
            self._stream.begin_capture()
            try:
                with backend.recording(recorder):
                    results = self.function(*places)
            except Exception as error:
                self._abandon()
                raise BackendError(f"the step cannot be captured: {type(error).__name__}: {error}; train without "
                                   f"capture") from error
            return self._stream.end_capture(), places, results

    def _abandon(self):
        try:
            self._stream.end_capture()
        except Exception:       # what CUDA says of a capture that has failed already
            pass


class _Graph:
    """A captured function for arrays of one shape."""

    def __init__(self, captured, arrays):
        self.drawn = []
        self.graph, self.places, self.results = captured.record(arrays, self.drawn)
        self.first = [value for _, _, value in self.drawn]      # drawn while capturing, not yet used

    def replay(self, arrays):
        for place, x in zip(self.places, arrays):
            place[...] = x
        for i, (draw, place, _) in enumerate(self.drawn):
            place.set(self.first[i] if self.first else draw())
        self.first = None
        self.graph.launch()
        return {key: value.copy() for key, value in self.results.items()}
