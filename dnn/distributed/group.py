"""Workers: the processes of one training, started by torchrun, and their communication.

They meet in the key-value store of torchrun. Then they compare their facts, which must be equal, and add
vectors over gloo (host memory) or NCCL (CUDA). torch.distributed is imported only if torchrun's environment
variables are set.
"""

import atexit
import operator
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from math import inf
from traceback import clear_frames
from typing import Any, Self

from backends import Array, Backend, InputError
from backends.errors import reraise, shorten
from dnn.distributed.environment import MAX_PORT, MAX_WORKERS, read_environment
from dnn.distributed.facts import code_version
from dnn.distributed.time_limit import call_within
from dnn.distributed.tree import tree_sum
from dnn.settings.checks import require_positive

TIMEOUT_SECONDS = 120.0  # that a worker waits for another one
GRACE_SECONDS = 1.0  # for waiting workers to report; then the others are declared missing


class WorkerError(InputError):
    """A worker cannot be reached, or its facts differ; the message names its rank."""


class Workers:
    """The group of workers, as seen by one of them. ``Workers()`` is a single process."""

    rank = 0  # number of this worker; worker 0 writes all files
    size = 1  # number of workers, a power of two
    local_rank = 0  # the same among the workers of this machine
    restarts = 0  # number of times that torchrun has restarted the group
    timeout = TIMEOUT_SECONDS  # after which a worker that does not answer ends the run
    _nccl: Any = None

    @classmethod
    def from_environment(cls, *, timeout: float = TIMEOUT_SECONDS) -> Self:
        """Join the group in which torchrun started this process; without torchrun return ``Workers()``.

        Args:
            timeout: seconds to wait for another worker.
        Raises:
            WorkerError: a worker did not arrive in time.
            InputError: torch.distributed is missing, the environment is incomplete, or the number of workers
                is not a power of two.
        """
        workers = cls()
        workers.timeout = require_positive("timeout", timeout)
        if "WORLD_SIZE" not in os.environ:
            return workers
        workers.size = read_environment("WORLD_SIZE", 1, MAX_WORKERS)
        workers.rank = read_environment("RANK", 0, workers.size - 1)
        workers.local_rank = read_environment("LOCAL_RANK", 0, workers.size - 1, 0)
        workers.restarts = read_environment("TORCHELASTIC_RESTART_COUNT", 0, inf, 0)
        port = read_environment("MASTER_PORT", 1, MAX_PORT)
        if workers.size & (workers.size - 1):
            raise InputError(f"there are {workers.size} workers", "a power of two of them, as of blocks")
        if workers.size > 1:
            workers._join(port)
        return workers

    @property
    def is_first(self) -> bool:
        """Whether this is worker 0, which writes all files."""
        return self.rank == 0

    def _join(self, port: int) -> None:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # its errors are raised too, and reported here
        with reraise(ImportError, "workers need torch.distributed, which is missing"):
            import torch.distributed as dist
            from torch.distributed import TCPStore  # a torch that was built without it has no such name
        self._dist = dist
        atexit.register(_leave_group)
        limit = timedelta(seconds=self.timeout)
        wait = self.timeout + GRACE_SECONDS
        host = os.environ.get("MASTER_ADDR", "localhost")
        agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun holds the store
        self._holds_store = self.is_first and not agent
        connect = partial(TCPStore, timeout=limit, wait_for_workers=False)
        with self._explain_errors("the first worker's store"):
            store = call_within(wait, connect, host, port, self.size, self._holds_store)
            self._store = dist.PrefixStore(f"dnn/{self.restarts}", store)
            absent = call_within(wait, self._find_absent, "here", self.timeout)
        if absent:
            self._keep_store()
            raise WorkerError(
                f"{_format_ranks(absent)} did not arrive within {self.timeout:g} s", cure="the run ends"
            )
        with self._explain_errors("a worker"):
            group = dist.PrefixStore("group", self._store)
            begin = partial(dist.init_process_group, "gloo", store=group, rank=self.rank, timeout=limit)
            call_within(wait, partial(begin, world_size=self.size))

    def _explain_errors(self, whom: str) -> AbstractContextManager[None]:
        """Convert errors of torch.distributed in this context into a WorkerError about ``whom``."""
        got = f"worker {self.rank} cannot reach {whom} within {self.timeout:g} s"
        cure = "check that it runs, and that MASTER_ADDR and GLOO_SOCKET_IFNAME name a network of all workers"
        return reraise((RuntimeError, ValueError, OSError), got, "", cure, WorkerError)

    def _find_absent(self, event: str, seconds: float) -> list[int]:
        """Report this worker in the store; return the ranks that have not reported within ``seconds``."""
        keys = [f"{event} {rank}" for rank in range(self.size)]
        self._store.set(keys[self.rank], "")
        end = time.monotonic() + seconds
        while not self._store.check(keys) and time.monotonic() < end:
            time.sleep(0.01)  # the store's own ``wait`` exceeded its timeout after a signal
        return [rank for rank, key in enumerate(keys) if not self._store.check([key])]

    def _keep_store(self) -> None:
        """If this worker holds the store, wait until the others have read it."""
        if self._holds_store:
            time.sleep(2 * GRACE_SECONDS)

    def gather(self, item: Any) -> list[Any]:
        """Return the ``item`` of every worker, by rank. All must call this; pickle must support it."""
        found = [item] * self.size
        if self.size > 1:
            with self._expect_answers():
                self._dist.all_gather_object(found, item)
        return found

    def agree(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Compare the facts of all workers; waits for all of them.

        Args:
            facts: function that returns the facts of the training as JSON values.
        Raises WorkerError: a fact differs from that of worker 0; the message names it and the worker.
        """
        if self.size == 1:
            return
        expected, *others = self.gather({**facts(), "code": code_version()})
        for rank, found in enumerate(others, 1):
            for name in {**expected, **found}:
                if found.get(name) != expected.get(name):
                    a, b = (shorten(f.get(name), 60) for f in (found, expected))
                    raise WorkerError(f"worker {rank} differs in {name}: {a}", f"that of worker 0, {b}")

    def share(self, make: Callable[[], Any]) -> Any:
        """Return the result of ``make`` in worker 0 to all workers; pickle must support it."""
        return self.gather(make() if self.is_first else None)[0]

    def add(self, backend: Backend, vector: Array) -> None:
        """Replace ``vector`` (m,) of the backend by the sum over all workers, with the same bits in each.

        Worker i receives slice i of every vector, adds the slices in the tree's order, and sends the sum to
        all. So a worker sends less than 2 m numbers for any number of workers (Thakur, Rabenseifner and Gropp
        2005, "Optimization of collective communication operations in MPICH", 4.2). The backend and torch may
        use different streams, so each waits for the other.

        m must be a multiple of the number of workers, and equal in all of them, as the dtype (``agree``).

        Raises WorkerError: a worker does not answer.
        """
        if self.size == 1:
            return
        import torch

        backend.synchronize()
        tensor = torch.from_dlpack(vector)
        if tensor.is_cuda and self._nccl is None:
            torch.cuda.set_device(tensor.device)
            self._nccl = self._dist.new_group(backend="nccl", timeout=timedelta(seconds=self.timeout))

        n = vector.shape[0] // self.size
        received = backend.xp.empty_like(vector)
        with self._expect_answers():
            self._dist.all_to_all_single(torch.from_dlpack(received), tensor, group=self._nccl)
            backend.synchronize()
            slices = [received[n * rank : n * (rank + 1)] for rank in range(self.size)]
            total = tree_sum(slices, operator.iadd)
            backend.synchronize()
            self._dist.all_gather(list(tensor.chunk(self.size)), torch.from_dlpack(total), self._nccl)
            backend.synchronize()

    @contextmanager
    def _expect_answers(self) -> Iterator[None]:
        """Raise a WorkerError that names the missing workers if one does not answer in this context."""
        try:
            yield
        except (RuntimeError, OSError) as error:
            missing = [0]  # if the store has ended too
            clear_frames(error.__traceback__)  # their variables would keep the connections open
            with suppress(RuntimeError, OSError):
                missing = call_within(4 * GRACE_SECONDS, self._find_missing)
                self._keep_store()
            got = f"{_format_ranks(missing)} ended, or did not answer within {self.timeout:g} s"
            raise WorkerError(got, cure="the run ends") from None

    def _find_missing(self) -> list[int]:
        """Return the ranks of the missing workers.

        The first worker that notices closes its connections, so that all others notice. Each worker that
        notices reports in the store; the others are missing.
        """
        with suppress(TimeoutError):
            call_within(GRACE_SECONDS, self._dist.destroy_process_group)
        return self._find_absent("waits", GRACE_SECONDS)


def _leave_group() -> None:
    """End the threads of torch.distributed while Python still runs.

    A thread of gloo drops the tensors of a sum after the sum was reported as finished, and needs the GIL for
    it. If Python finalised meanwhile, the process would abort, see ``running_calls``.
    """
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def _format_ranks(ranks: list[int]) -> str:
    """Return "worker 3" or "workers 1, 3"; "a worker" if there are none."""
    if not ranks:
        return "a worker"
    return f"worker{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
