"""Workers of one machine: what they add lies in memory that all of them see; a line says when it is there.

The memory and the lines have no names, so that a killed worker leaves nothing behind; its lines end with it.
Linux has both. What a line carries is sent and received by the kernel, which orders it after the numbers.
"""

import mmap
import os
import select
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

LOOKS = 1e-4  # seconds in which a worker looks again and again, before it sleeps until it is told
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Neighbours:
    """The lines of a worker to others of its machine.

    Attributes:
        address: where others find this worker, "" where it cannot have neighbours: first the machine.
    """

    address = ""

    def __init__(self) -> None:
        self._lines: dict[int, socket.socket] = {}
        with suppress(OSError, AttributeError):  # no Linux, or one that hides its /proc
            place = f"{BOOT.read_text().strip()} {os.readlink('/proc/self/ns/net')}"
            os.close(os.memfd_create("dnn"))
            self._door = socket.socket(socket.AF_UNIX)
            self._door.bind("")  # the kernel finds a name, which is gone with the socket
            self._door.listen(64)
            self.address = f"{place} {self._door.getsockname().hex()}"

    def meet(self, rank: int, addresses: Mapping[int, str], timeout: float) -> None:
        """Have a line to each of these peers that is on this machine. OSError: one cannot be reached."""
        self.timeout, here = timeout, self.address.rpartition(" ")[0]
        near = {peer: a for peer, a in addresses.items() if here and a.rpartition(" ")[0] == here}
        for peer, address in near.items():
            if peer < rank:
                self._lines[peer] = line = socket.socket(socket.AF_UNIX)
                line.connect(bytes.fromhex(address.rpartition(" ")[2]))
                line.sendall(rank.to_bytes(4, "big"))
        while len(self._lines) < len(near):
            self._door.settimeout(timeout)
            line, _ = self._door.accept()
            # Of the process at the other end: its number, its user and its group.
            _, user, _ = np.frombuffer(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12), np.uintc)
            if user != os.getuid():
                line.close()
                continue
            line.settimeout(timeout)
            self._lines[int.from_bytes(line.recv(4), "big")] = line
        for line in self._lines.values():
            line.setblocking(False)
        if self.address:
            self._door.close()

    def vectors(self, n: int, dtype: str) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """A vector of n zeros that the neighbours see too, and theirs; each of them must ask for it."""
        size = n * np.dtype(dtype).itemsize
        handle = os.memfd_create("dnn")
        os.ftruncate(handle, size)
        for line in self._lines.values():
            socket.send_fds(line, [b"m"], [handle])
        vectors = []
        for each in (handle, *map(self._heard, self._lines)):
            vectors.append(np.frombuffer(mmap.mmap(each, size), dtype))
            os.close(each)
        return vectors[0], dict(zip(self._lines, vectors[1:], strict=True))

    def wait_for(self, peers: Iterable[int]) -> None:
        """Go on when all of these have come here too, each to its own call."""
        for peer in peers:
            self._lines[peer].send(b".")
        for peer in peers:
            self._heard(peer)

    @property
    def gone(self) -> list[int]:
        """The neighbours whose line has ended, as it does with them."""
        found = []
        for peer, line in self._lines.items():
            try:
                if line.recv(1, socket.MSG_PEEK):
                    continue
            except BlockingIOError:  # it is there, and says nothing
                continue
            except OSError:
                pass
            found.append(peer)
        return found

    def _heard(self, peer: int) -> int:
        """A handle if one comes with what this peer says, else -1."""
        line, end = self._lines[peer], time.perf_counter() + LOOKS
        while True:
            try:
                said, handles, _, _ = socket.recv_fds(line, 1, 1)
            except BlockingIOError:
                if time.perf_counter() < end:
                    os.sched_yield()
                    continue
                waiting = select.poll()
                waiting.register(line, select.POLLIN)
                if not waiting.poll(1e3 * self.timeout):
                    raise TimeoutError(f"worker {peer} timed out") from None
                continue
            if not said:
                raise ConnectionError(f"worker {peer} has ended")
            return handles[0] if handles else -1
