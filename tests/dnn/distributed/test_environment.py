"""The environment variables of torchrun: which ones are read, and which values are rejected."""

import socket

import pytest
from helpers import input_error

pytest.importorskip("torch.distributed", reason="torch.distributed is missing")

from dnn.distributed import WorkerError, Workers


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WORLD_SIZE": "3"}, "there are 3 workers"),
        *(
            ({name: value}, f"{name} is '{value or ''}', expected a whole number from")
            for name, values in {
                "WORLD_SIZE": ("", "x", "0", "-2", "2.0", "9" * 12),
                "RANK": (None, "", "x", "2", "-1", "1e0"),
                "LOCAL_RANK": ("x", "2", "-1"),
                "MASTER_PORT": (None, "x", "0", "65536", "-1"),
                "TORCHELASTIC_RESTART_COUNT": ("x", "-1"),
            }.items()
            for value in values
        ),
        ({"WORLD_SIZE": "1", "RANK": "7"}, "RANK is '7', expected a whole number from 0 to 0"),
    ],
)
def test_rejects_invalid_environments(environment, words, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "1", **environment}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with input_error(words):
        Workers.from_environment()


@pytest.mark.parametrize(
    ("environment", "joined", "read"),
    [
        ({}, [], (0, 1, 0, 0)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, [], (0, 1, 0, 0)),
        ({"RANK": "6", "WORLD_SIZE": "8", "LOCAL_RANK": "2", "TORCHELASTIC_RESTART_COUNT": "5"},
         [6], (6, 8, 2, 5)),
    ],
)  # fmt: skip
def test_reads_the_environment_of_torchrun(environment, joined, read, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**environment, "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    found = []
    monkeypatch.setattr(Workers, "_join", lambda self, port: found.append(self.rank))
    made = Workers.from_environment()
    assert found == joined
    assert (made.rank, made.size, made.local_rank, made.restarts) == read
    assert (made.is_first, made.timeout) == (made.rank == 0, 120.0)


def test_a_port_of_another_program_ends_within_the_timeout(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:  # a program that never answers
        taken = str(other.getsockname()[1])
        free = "9"
        for port, rank in ((taken, "1"), (taken, "0"), (free, "1")):
            values = {"WORLD_SIZE": "2", "RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            for name, value in values.items():
                monkeypatch.setenv(name, value)
            words = f"worker {rank} cannot reach the first worker's store within 0.5 s"
            with pytest.raises(WorkerError, match=words):
                Workers.from_environment(timeout=0.5)
