"""Several processes, one training: each takes its share of every batch, and the gradients are averaged.

    mpiexec -n 4 tinygan train --batch 128          needs mpi4py: pip install tinygan[mpi]

The mean over a batch is the mean of the means over equal shares of it, so with one all-reduce of the gradient vector
before each update the step is, to rounding, that of one process on the whole batch. All processes start from the same
seed, shuffle alike, draw the noise of the whole batch and take their share of it; so their weights stay the same.

Not as in one process: BatchNorm's statistics are those of a process's share (its running statistics those of the
first process), and so is what looks across samples (MinibatchStd, relativistic_average); dropout masks, augmentation
and the ε of wgan_gp repeat from share to share. A device's gradient goes through the host's memory.
"""

import os

import numpy as np

from .. import backend
from ..errors import ConfigError

# What mpiexec tells its processes of how many they are: Open MPI, MPICH and Intel MPI, PMIx, MS-MPI.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "PMIX_SIZE")


class Alone:
    """One process: there is nothing to share and nobody to agree with."""

    rank, size = 0, 1

    def share(self, x):
        """The rows of x (N, …) that are this process's."""
        return x

    def average(self, vector):
        """Replace a vector by its mean over all processes, in place."""

    def agree(self, flag):
        """Whether any process says so."""
        return bool(flag)


class Processes(Alone):
    """The processes of an MPI communicator (mpi4py's); by default all that mpiexec started."""

    def __init__(self, comm=None):
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise ConfigError(f"started as one of several processes, expected mpi4py, got none that works "
                              f"({' '.join(str(error).split())[:80]}); pip install tinygan[mpi]") from None
        self._mpi, self.comm = MPI, comm or MPI.COMM_WORLD
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()

    def share(self, x):
        n = len(x) // self.size
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
    """The Processes that mpiexec started this one among, or Alone."""
    sizes = [os.environ.get(name, "") for name in _SIZES]
    return Processes() if any(size.isdigit() and int(size) > 1 for size in sizes) else Alone()
