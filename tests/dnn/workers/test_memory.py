"""Who may be a neighbour: processes of this machine and of this user."""

import socket
import struct

import pytest

from dnn.workers import memory
from dnn.workers.memory import Neighbours


@pytest.mark.parametrize(("user", "known"), [(7, False), (2**31 + 7, True)])
def test_who_connects_is_of_the_same_user(user, known, monkeypatch):
    """The kernel says who it is: process, user and group; users may have numbers above 2**31."""
    zero, one = Neighbours(), Neighbours()
    if not zero.address:
        pytest.skip("no neighbours on this system")
    monkeypatch.setattr(memory.os, "getuid", lambda: 2**31 + 7)
    said = struct.pack("=III", 2**31 + 7, user, 2**31 + 7 if not known else 9)
    monkeypatch.setattr(socket.socket, "getsockopt", lambda self, *which: said)
    one.meet(1, {0: zero.address}, 5.0)
    try:
        if known:
            zero.meet(0, {1: one.address}, 5.0)
            assert [*zero._lines] == [1]
            assert zero.gone == []
            one._lines[0].close()
            assert zero.gone == [1]
        else:
            with pytest.raises(TimeoutError):
                zero.meet(0, {1: one.address}, 0.05)
    finally:
        for opened in (zero._door, *zero._lines.values(), *one._lines.values()):
            opened.close()


def test_a_process_of_another_machine_is_none():
    zero = Neighbours()
    zero.meet(0, {1: "another machine 00", 2: ""}, 0.05)
    assert zero._lines == {}
