"""CUDA graphs of torch without a GPU, with a mock of torch.cuda."""

import contextlib
import types

import numpy as np
import pytest
import torch
from helpers import build_network

from backends import BackendUnavailable, get_backend
from backends.torch.backend import CudaGraphs, TorchBackend
from dnn import Dense


class Card:
    """A mock of torch.cuda: recorded steps do not run, and a replay runs them all."""

    def __init__(self):
        self.recording = None
        self.done = 0
        self.replays = 0
        self.current = None  # torch.cuda's current device
        self.worked_on = set()

    def run(self, steps=1):
        self.worked_on.add(self.current)
        if self.recording is None:
            self.done += steps
        else:
            self.recording.steps += steps

    def new_graph(self):
        graph = types.SimpleNamespace(steps=0)

        def replay():
            self.replays += 1
            self.run(graph.steps)

        graph.replay = replay
        return graph

    @contextlib.contextmanager
    def set(self, name, value):
        setattr(self, name, value)
        yield
        setattr(self, name, None)

    def current_stream(self):
        self.worked_on.add(self.current)
        return types.SimpleNamespace(wait_stream=lambda other: None)


@pytest.fixture
def card(monkeypatch):
    card = Card()
    for name, mock in {
        "Stream": lambda device: types.SimpleNamespace(wait_stream=lambda other: None),
        "stream": lambda stream: contextlib.nullcontext(),
        "current_stream": card.current_stream,
        "device": lambda device: card.set("current", device),
        "CUDAGraph": card.new_graph,
        "graph": lambda graph, stream: card.set("recording", graph),
    }.items():
        monkeypatch.setattr(torch.cuda, name, mock)
    return card


def test_graphs_run_on_their_device(card):
    run = CudaGraphs(card.run, "cuda:1")
    for n in (1, 60, 3):
        run(n)
    assert (card.done, card.replays) == (64, 13)
    assert card.worked_on == {"cuda:1"}
    assert card.current is None


@pytest.mark.parametrize("settings", [{"graphs": True}, {"precision": "tf32"}])
@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "strict"])
def test_the_cpu_rejects_graphs_and_tf32(name, settings):
    with pytest.raises(BackendUnavailable, match=r"CUDA"):
        get_backend(name, **settings)


def test_a_model_knows_how_its_updates_ran(card):
    backend = get_backend("torch")
    recorded = TorchBackend("torch", backend.xp, torch.device("cpu"), "float32", graphs=True)
    recorded.capture(card.run, forms=(forms := set()))(40)
    assert forms == {"graphs"}
    model = build_network([Dense(2, "softmax")], (3,), backend)
    model.compile()
    model.fit(np.zeros((4, 3), np.float32), np.zeros(4, np.int64))
    assert model.update_forms == {"layers"}
