"""Several processes, one training: each takes its share of every batch, and the gradients are averaged.

    mpiexec -n 4 tinygan train --batch 128          needs mpi4py: pip install tinygan[mpi]

The mean over a batch is the mean of the means over equal shares of it, so with one all-reduce of the gradient vector
before each update the step is, to rounding, that of one process on the whole batch. All processes start from the same
seed, shuffle alike, draw the noise of the whole batch and take their share of it, so their weights stay the same.

    processes = started()
    share(gan, processes)                           wraps the game's random source and its optimisers
    gan.train(map(processes.share, batches), …)

Not as in one process: BatchNorm's statistics are those of a process's share (its running statistics those of the
first process), and so are layers and losses that compare samples (MinibatchStd, relativistic_average). Noise,
augmentation and the ε of wgan_gp are those of the whole batch; dropout has a key for each process. A device's gradient
goes through the host's memory.
"""

import os

import numpy as np

from .. import backend
from ..errors import ConfigError
from ..ops.random import Source

# The variables in which launchers put the number of processes: Open MPI, MPICH and Intel MPI, PMIx, MS-MPI.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "PMIX_SIZE")


class SingleProcess:
    """One process."""

    rank, size = 0, 1

    def share(self, batch):
        """The rows of x (N, …), or of each array of a tuple, that are this process's."""
        return batch

    def average(self, vector):
        """Replace a vector by its mean over all processes, in place."""

    def agree(self, flag):
        """Whether the flag is true in any process."""
        return bool(flag)


class Processes(SingleProcess):
    """The processes of an MPI communicator (mpi4py's); by default all that mpiexec started."""

    def __init__(self, comm=None):
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise ConfigError(f"started as one of several processes, expected mpi4py, got none that works "
                              f"({' '.join(str(error).split())[:80]}); pip install tinygan[mpi]") from None
        self._mpi, self.comm = MPI, comm or MPI.COMM_WORLD
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()

    def share(self, batch):
        if isinstance(batch, tuple):
            return tuple(map(self.share, batch))
        x, n = batch, len(batch) // self.size
        if n * self.size != len(x):
            raise ConfigError(f"expected a batch that is a multiple of the {self.size} processes, got {len(x)}; choose "
                              f"another batch")
        return x[self.rank * n:(self.rank + 1) * n]

    def average(self, vector):
        host = np.ascontiguousarray(backend.asnumpy(vector))
        self.comm.Allreduce(self._mpi.IN_PLACE, host)
        host /= self.size
        if host is not vector:
            vector[...] = backend.to(host, backend.name_of(vector))

    def agree(self, flag):
        return bool(self.comm.allreduce(bool(flag), op=self._mpi.LOR))


def started():
    """The Processes that mpiexec started this one among, or SingleProcess."""
    sizes = [os.environ.get(name, "") for name in _SIZES]
    return Processes() if any(size.isdigit() and int(size) > 1 for size in sizes) else SingleProcess()


def share(gan, processes):
    """Let this GAN draw its share of all random numbers, and average its gradients over the processes; returns it."""
    gan.rng = _Shared(gan.rng.generator, processes)
    gan.g_opt, gan.d_opt = (_Averaging(optimizer, processes) for optimizer in (gan.g_opt, gan.d_opt))
    return gan


class _Shared(Source):
    """A random source that draws for the whole batch, as all processes do, and gives this one its rows."""

    def __init__(self, generator, processes):
        super().__init__(generator)
        self.processes = processes

    def host(self, rule, shape):
        return self.processes.share(rule(self.generator, (shape[0] * self.processes.size, *shape[1:])))


class _Averaging:
    """An optimiser that averages the gradients over all processes before each step; else the optimiser itself."""

    def __init__(self, optimizer, processes):
        vars(self).update(optimizer=optimizer, processes=processes)

    def step(self, net, grads):
        self.processes.average(grads.vector)
        self.optimizer.step(net, grads)

    def __getattr__(self, name):
        return getattr(self.optimizer, name)

    def __setattr__(self, name, value):
        setattr(self.optimizer, name, value)
