"""Workers: the processes of one training, started by torchrun, and their communication.

They meet in the key-value store of torchrun and compare their facts, which must be equal. Then they add
vectors over gloo (host memory) or NCCL (CUDA). torch.distributed is imported only if torchrun's environment
variables are set.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, Self

from backends import Array, Backend, InputError
from backends.errors import reraise
from dnn.distributed.environment import read_torchrun
from dnn.distributed.facts import describe_facts, find_difference
from dnn.distributed.timed_store import TimedStore, call_within
from dnn.distributed.tree import sum_over_workers
from dnn.validation.settings import require_bool, require_positive

Link = Any  # (array, the same memory as a tensor)
TIMEOUT_SECONDS = 120.0  # that a worker waits for another one
GRACE_SECONDS = 1.0  # for waiting workers to report; then the others are declared missing


class WorkerError(InputError):
    """A worker cannot be reached, or its facts differ; the message names its rank."""


class Workers:
    """The group of workers, as seen by one of them. ``Workers()`` is a single process."""

    rank = 0  # number of this worker; worker 0 writes all files
    size = 1  # number of workers, a power of two
    local_rank = 0  # the same among the workers of this machine
    local_size = 1
    restarts = 0  # number of times that torchrun has restarted the group
    mixed = False  # whether the backends may differ
    timeout = TIMEOUT_SECONDS  # after which a worker that does not answer ends the run
    seconds = 0.0  # spent in sums over workers
    _meetings = 0
    _nccl: Any = None
    _link: tuple[Array, Link, Link] | None = None  # tensors for the vector that was added last
    _added = ""  # dtype and shape of that vector

    @classmethod
    def from_environment(cls, *, mixed: bool = False, timeout: float = TIMEOUT_SECONDS) -> Self:
        """Join the group in which torchrun started this process; without torchrun return ``Workers()``.

        Args:
            mixed: whether the backends of the workers may differ.
            timeout: seconds to wait for another worker.
        Raises:
            WorkerError: a worker did not arrive in time.
            InputError: torch.distributed is missing, the environment is incomplete, or the number of workers
                is not a power of two.
        """
        workers = cls()
        require_positive("timeout", timeout)
        workers.mixed = require_bool("mixed", mixed)
        workers.timeout = float(timeout)
        if "WORLD_SIZE" not in os.environ:
            return workers
        read = read_torchrun()
        workers.rank, workers.size, workers.local_rank, workers.local_size, workers.restarts = read
        if workers.size & (workers.size - 1):
            raise InputError(f"there are {workers.size} workers", "a power of two of them, as of blocks")
        if workers.size > 1:
            workers._join()
        return workers

    @property
    def is_first(self) -> bool:
        """Whether this is worker 0, which writes all files."""
        return self.rank == 0

    def _join(self) -> None:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its warnings print C++ frames
        with reraise(ImportError, "workers need torch.distributed, which is missing"):
            import torch.distributed as dist
        if not dist.is_available():
            raise InputError("workers need torch.distributed, expected a torch that was built with it")
        self._dist, limit = dist, timedelta(seconds=self.timeout)
        host = os.environ["MASTER_ADDR"]
        port = int(os.environ["MASTER_PORT"])
        agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun holds the store
        self._holds_store = self.is_first and not agent
        connect = partial(dist.TCPStore, timeout=limit, wait_for_workers=False)
        wait = self.timeout + GRACE_SECONDS
        with self._explain_errors("the first worker's store"):
            store = call_within(wait, connect, host, port, self.size, self._holds_store)
        prefixed = dist.PrefixStore(f"dnn/{self.restarts}", store)
        self._store = TimedStore(prefixed, wait)
        self._meet("here", lambda others: None)
        with self._explain_errors("a worker"):
            group = dist.PrefixStore("group", prefixed)
            begin = partial(dist.init_process_group, "gloo", store=group, rank=self.rank, timeout=limit)
            call_within(wait, partial(begin, world_size=self.size))

    def _explain_errors(self, whom: str) -> AbstractContextManager[None]:
        """Convert errors of torch.distributed in this context into a WorkerError about ``whom``."""
        got = f"worker {self.rank} cannot reach {whom} within {self.timeout:g} s"
        cure = "check that it runs, and that MASTER_ADDR and GLOO_SOCKET_IFNAME name a network of all workers"
        return reraise((RuntimeError, ValueError, OSError), got, "", cure, WorkerError)

    def _meet(self, message: str, judge: Callable[[dict[int, str]], str | None]) -> None:
        """Wait for the messages of all workers. Worker 0 passes them to ``judge``: an error or None.

        Raises WorkerError: a worker is missing, or ``judge`` returned an error.
        """
        self._meetings += 1
        store = self._store
        name = f"meeting {self._meetings}"
        with self._explain_errors("the store"):
            store.set(f"{name} {self.rank}", message)
        if self.is_first:
            verdict = None
            end = time.monotonic() + self.timeout
            absent = [r for r in range(self.size) if not self._wait_for_key(f"{name} {r}", end)]
            if absent:
                verdict = f"{_format_ranks(absent)} did not arrive within {self.timeout:g} s; the run ends"
            else:
                verdict = judge({r: store.get(f"{name} {r}").decode() for r in range(self.size)})
            with self._explain_errors("the store"):
                store.set(name, verdict or "")
        elif not self._wait_for_key(name, time.monotonic() + self.timeout + 5 * GRACE_SECONDS):
            raise WorkerError(f"worker 0 did not arrive within {self.timeout:g} s; the run ends")
        with self._explain_errors("the store"):
            found = store.get(name).decode()
        if found:
            store.add(f"{name} read", 1)
            # The store may belong to this process and would end with it, so wait until all have read.
            end = time.monotonic() + 5 * GRACE_SECONDS
            while self.is_first and store.add(f"{name} read", 0) < self.size and time.monotonic() < end:
                time.sleep(0.01)
            raise WorkerError(found)

    def _wait_for_key(self, key: str, end: float) -> bool:
        """Wait until the store has the key or the time ``end``; return whether it has the key."""
        pause = 0.001  # polled, because the store's ``wait`` does not return at a signal
        with suppress(RuntimeError, OSError):  # the store has ended
            while not self._store.check([key]):
                if time.monotonic() >= end:
                    return False
                time.sleep(pause)
                pause = min(0.05, 2 * pause)
            return True
        return False

    def agree(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Compare the facts of all workers; waits for all of them.

        Args:
            facts: function that returns the facts of the training as JSON values; "made_with", those of the
                backend, may differ if ``mixed``.
        Raises WorkerError: a fact differs from that of worker 0; the message names it and the worker.
        """
        if self.size == 1:
            return
        mine = describe_facts(facts(), self.mixed)
        self._meet(json.dumps(mine), partial(find_difference, mine))

    def share(self, make: Callable[[], Any]) -> Any:
        """Return the result of ``make`` in worker 0 to all workers; pickle must support it."""
        if self.size == 1:
            return make()
        held = [make() if self.is_first else None]
        with self._expect_answer(0):
            self._dist.broadcast_object_list(held, src=0)
        return held[0]

    def make_after_first(self, make: Callable[[], Any]) -> Any:
        """Call ``make`` in every worker, in worker 0 before the others, and return the result."""
        result = make() if self.is_first else None
        self.share(lambda: None)
        return result if self.is_first else make()

    # ----- sums

    def largest(self, number: int) -> int:
        """Return the largest of the workers' numbers; every worker calls this at the same update."""
        if self.size == 1:
            return number
        import torch

        mine = torch.tensor([number])
        for bit in range(self.size.bit_length() - 1):
            peer = self.rank ^ 1 << bit
            theirs = torch.zeros_like(mine)
            with self._expect_answer(peer):
                self._swap(peer, mine, theirs)
            mine = torch.maximum(mine, theirs)
        return int(mine)

    def add(self, backend: Backend, vector: Array) -> None:
        """Replace ``vector`` (m,) of the backend by the sum over all workers, with the same bits in each.

        Raises WorkerError: a worker does not answer.
        """
        if self.size == 1:
            return
        begun = time.perf_counter()
        added = f"an array of {backend.dtype_name}, shape {tuple(vector.shape)}"
        if added != self._added:

            def judge(texts: dict[int, str]) -> str | None:
                odd = [f"worker {rank} adds {text}" for rank, text in texts.items() if text != added]
                return f"{odd[0]}, expected that of worker 0, {added}" if odd else None

            self._meet(added, judge)
            self._added = added
        backend.synchronize()
        array, (mine, tensor), scratch = self._as_tensors(backend, vector)

        def swap(peer: int, send: slice, get: slice) -> Array:
            with self._expect_answer(peer):
                return self._exchange(peer, tensor[send], scratch, get.stop - get.start, backend)

        sum_over_workers(mine, self.rank, self.size, swap)
        if array is not mine:
            array[...] = backend.from_host(mine)
        self.seconds += time.perf_counter() - begun

    def _exchange(self, peer: int, tensor: Any, scratch: Link, n: int, backend: Backend) -> Array:
        """Send the tensor to a peer and return the n numbers that it sends back, in ``scratch``."""
        self._swap(peer, tensor, scratch[1][:n], self._nccl)
        if self._nccl is not None:
            backend.synchronize()
        return scratch[0][:n]

    def _swap(self, peer: int, mine: Any, theirs: Any, group: Any = None) -> None:
        """Send a tensor to a peer and receive one from it into ``theirs``; None: over gloo."""
        send = self._dist.P2POp(self._dist.isend, mine, peer, group)
        receive = self._dist.P2POp(self._dist.irecv, theirs, peer, group)
        for work in self._dist.batch_isend_irecv([send, receive]):
            work.wait()

    def _as_tensors(self, backend: Backend, vector: Array) -> tuple[Array, Link, Link]:
        """Return the vector, and (array, tensor) pairs for sending it and for receiving; cached if shared."""
        import torch

        if backend.device_type == "cpu" or (backend.device_type == "cuda" and not self.mixed):
            if self._link is None or self._link[0] is not vector:
                if backend.device_type == "cuda" and self._nccl is None:
                    torch.cuda.set_device(torch.from_dlpack(vector).device)
                    self._nccl = self._dist.new_group(backend="nccl", timeout=timedelta(seconds=self.timeout))
                half = backend.zeros(vector.shape[0] // 2 + 1)
                self._link = vector, *((a, torch.from_dlpack(a)) for a in (vector, half))
            return self._link
        host = backend.to_host(vector).copy()  # gloo supports host memory only
        half = host[: host.shape[0] // 2 + 1].copy()
        return vector, (host, torch.from_numpy(host)), (half, torch.from_numpy(half))

    @contextmanager
    def _expect_answer(self, peer: int) -> Iterator[None]:
        """Raise a WorkerError that names the missing workers if the peer does not answer in this context."""
        try:
            yield
        except (RuntimeError, OSError) as error:
            late = "timed out" in str(error).lower() or "timeout" in str(error).lower()
            raise WorkerError(self._missing_message(peer, late)) from None

    def _missing_message(self, peer: int, late: bool) -> str:
        """Return the message about missing workers.

        Each waiting worker says so in the store; the others are missing. If a worker ended with a message in
        the store, that message is returned.
        """
        how = f"did not answer within {self.timeout:g} s" if late else "has ended"
        message = f"worker {peer} {how}; the run ends"
        self._store.seconds = 2 * GRACE_SECONDS
        with suppress(RuntimeError, OSError):  # the store may have ended too
            self._store.set(f"waits {self.rank}", "")
            if late:
                time.sleep(GRACE_SECONDS)
                lost = [r for r in range(self.size) if not self._store.check([f"waits {r}"])] or [peer]
                message = f"{_format_ranks(lost)} {how}; the run ends"
            elif self._wait_for_key(
                f"says {peer}", time.monotonic() + 2 * GRACE_SECONDS
            ):  # gloo closes before it ends
                message = self._store.get(f"says {peer}").decode()
            self._store.set(f"says {self.rank}", message)
            if self._holds_store:
                time.sleep(2 * GRACE_SECONDS)  # let the others read it
        return message


def _format_ranks(ranks: list[int]) -> str:
    """Return "worker 3" or "workers 1, 3"."""
    return f"worker{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
