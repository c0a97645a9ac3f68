"""CUDA graphs of torch without a GPU: the number of steps, with a mock of torch.cuda."""

import contextlib
import types
import warnings

import numpy as np
import pytest
import torch
from helpers import build_network

from backends import BackendUnavailable, get_backend
from backends.recording import WARM_UP_STEPS, RecordedSteps
from backends.torch.backend import CudaGraphs, TorchBackend
from dnn import Dense


class Card:
    """A mock of torch.cuda: recorded steps do not run, and a replay runs them all."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.recording = None
        self.done = 0
        self.replays = []
        self.current = None  # torch.cuda's current device
        self.worked_on = set()

    def step(self) -> None:
        self.worked_on.add(self.current)
        if self.recording is not None:
            self.recording.steps += 1
        else:
            self.done += 1

    def new_graph(self):
        card, graph = self, types.SimpleNamespace(steps=0)

        def replay():
            card.worked_on.add(card.current)
            card.done += graph.steps
            card.replays.append(graph.steps)

        graph.replay = replay
        return graph

    @contextlib.contextmanager
    def record(self, graph, stream):
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        self.recording = graph
        yield
        self.recording = None

    @contextlib.contextmanager
    def device(self, device):
        before, self.current = self.current, device
        yield
        self.current = before

    def current_stream(self):
        self.worked_on.add(self.current)
        return types.SimpleNamespace(wait_stream=lambda other: None)


@pytest.fixture
def card(monkeypatch):
    def make(fails=False):
        card = Card(fails)
        stream = types.SimpleNamespace(wait_stream=lambda other: None)
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "current_stream", card.current_stream)
        monkeypatch.setattr(torch.cuda, "device", card.device)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", card.new_graph)
        monkeypatch.setattr(torch.cuda, "graph", card.record)
        return card

    return make


@pytest.mark.parametrize("unroll", [1, 5, 25])
def test_runs_the_requested_number_of_steps(card, unroll):
    card = card()
    run = CudaGraphs(card.step, unroll, "cuda")
    wanted = 0
    for n in (1, 1, 4, 0, 60, 7, 25):
        run(n)
        wanted += n
        assert card.done == wanted
    assert set(card.replays) == {unroll, 1}
    assert sum(card.replays) == wanted - WARM_UP_STEPS
    assert card.replays.count(unroll) >= 60 // unroll


def test_graphs_run_on_their_device(card):
    card = card()
    run = CudaGraphs(card.step, 5, "cuda:1")
    for n in (1, 20, 3):
        run(n)
    assert card.replays
    assert card.worked_on == {"cuda:1"}
    assert card.current is None


def test_a_short_last_batch_is_not_recorded(card):
    card = card()
    run = CudaGraphs(card.step, 25, "cuda")
    for _ in range(10):  # epochs, each with one such batch
        run(1)
    assert (card.done, card.replays, run.graphs) == (10, [], {})


def test_a_failed_recording_warns_once_and_runs_eagerly(card):
    card = card(fails=True)
    forms = set()
    run = CudaGraphs(card.step, 5, "cuda", forms)
    with pytest.warns(UserWarning, match=r"graphs do not work here \(operation not permitted"):
        run(20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(20)
    assert card.done == 40
    assert card.replays == []
    assert forms == set()


def test_a_recording_that_fails_without_a_message():
    class Silent(RecordedSteps):
        def record(self, n):
            raise RuntimeError

    done = []
    with pytest.warns(UserWarning, match=r"graphs do not work here \(\)"):
        Silent(lambda: done.append(1), 5)(20)
    assert len(done) == 20


@pytest.mark.parametrize("settings", [{"graphs": True}, {"precision": "tf32"}])
@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "strict"])
def test_the_cpu_rejects_graphs_and_tf32(name, settings):
    with pytest.raises(BackendUnavailable, match=r"CUDA"):
        get_backend(name, **settings)


def test_a_model_knows_how_its_updates_ran(card):
    backend = get_backend("torch")
    card = card()
    recorded = TorchBackend("torch", backend.xp, torch.device("cpu"), "float32", graphs=True)
    recorded.capture(card.step, 25, forms := set())(20)
    assert forms == {"graphs"}
    model = build_network([Dense(2, "softmax")], (3,), backend)
    model.compile()
    model.fit(np.zeros((4, 3), np.float32), np.zeros(4, np.int64))
    assert model.update_forms == {"layers"}


def test_precision_is_recorded():
    facts = get_backend("torch").describe()
    assert (facts["precision"], facts["tf32"]) == ("float32", False)
