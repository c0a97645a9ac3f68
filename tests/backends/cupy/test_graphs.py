"""CuPy's planned updates without a GPU, eagerly and as CUDA graphs, with a mock stream.

Graphs give the same bits. Failures cause one warning, and updates run layer by layer.
"""

import contextlib
import sys
import types

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import build_network, others_slow

from backends.cupy import backend as cupy_backend
from backends.cupy import compilation
from backends.recording import WARM_UP_STEPS
from dnn import Dense, LayerNormalization
from dnn.optimizers import Adam
from dnn.optimizers.schedules import LinearDecay


class Namespace:
    """NumPy's namespace, which accepts any device."""

    def __init__(self, matmul):
        self.matmul = matmul

    def __getattr__(self, name):
        found = getattr(npx, name)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *a, device=None, **o: found(*a, **o)


PLANNED = {"forward_gathered", "forward_hidden", "output_hidden", "step"}
"""Kernels of a planned update."""


class Card:
    """A mock GPU: a capturing stream records kernels without running them; cuBLAS cannot be captured."""

    def __init__(self):
        card = self
        self.captured = None
        self.replays = []
        self.started = []
        self.error = None  # of the compiler
        self.fails = False
        self.idle = False  # True: kernels of a planned update have no effect
        self.refused = None  # the kernel that cannot be launched

        class Stream(contextlib.AbstractContextManager):
            def __init__(self, non_blocking):
                assert non_blocking

            def __exit__(self, *error):
                pass

            def begin_capture(self):
                if card.fails:
                    raise RuntimeError("cudaErrorStreamCaptureUnsupported: not here\nmore")
                card.captured = []

            def end_capture(self):
                captured, card.captured = card.captured, None
                if captured is None:
                    raise RuntimeError("cudaErrorIllegalState: not capturing")

                def launch(stream=None):
                    card.replays.append(len(captured))
                    for kernel, arguments in captured:
                        kernel(*arguments)

                return types.SimpleNamespace(launch=launch)

        cuda = types.SimpleNamespace(Stream=Stream)
        self.module = types.SimpleNamespace(cuda=cuda, asnumpy=np.asarray)
        self.xp = Namespace(self.matmul)

    def matmul(self, *arguments, **options):
        assert self.captured is None, "cuBLAS was called while a stream captures"
        return np.matmul(*arguments, **options)

    def raw_kernel(self, name, *types):
        if self.error and name in PLANNED:
            raise self.error
        kernel = host_cuda.raw(name, *types)

        def start(*arguments):
            self.started.append(name)
            if name == self.refused:
                raise RuntimeError("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many resources requested")
            if self.idle and name in PLANNED:
                return
            if self.captured is None:
                kernel(*arguments)
            else:
                self.captured.append((kernel, arguments))

        return start

    def backend(self, graphs=True, **settings):
        device = contextlib.nullcontext()
        return cupy_backend.CupyBackend("cupy", self.xp, device, "float32", graphs=graphs, **settings)


@pytest.fixture
def card(monkeypatch):
    host_cuda.install(monkeypatch)
    card = Card()
    monkeypatch.setitem(sys.modules, "cupy", card.module)
    monkeypatch.setattr(compilation, "raw_kernel", card.raw_kernel)
    monkeypatch.setattr(cupy_backend.CupyBackend, "owns", lambda self, array: isinstance(array, np.ndarray))
    monkeypatch.setattr(cupy_backend.CupyBackend, "describe_library", lambda self: {})
    return card


RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((85, 9)).astype(np.float32), RNG.integers(0, 3, 85)


def run_training(backend, *layers, **settings):
    layers = [*layers, Dense(7, "relu"), Dense(3, "softmax")]
    model = build_network(layers, (9,), backend, 2)
    model.compile(optimizer=Adam(LinearDecay(0.01, 50)))
    history = model.fit(X, Y, **({"epochs": 2, "batch_size": 2} | settings)).history
    return model.parameters.vector.copy(), history["loss"], history["accuracy"]


def test_replayed_updates_give_the_same_bits(card):
    plain = run_training(card.backend(graphs=False))
    assert card.replays == []
    assert PLANNED - {"forward_hidden"} == set(card.started)  # one hidden layer
    recorded = run_training(card.backend())
    assert card.replays.count(25 * 3) == 2  # one of 25 updates in each epoch of 42
    # Without the warm-up; the epochs' last batches run eagerly.
    assert sum(card.replays) == 3 * (2 * 42 - WARM_UP_STEPS)
    card.fails = True
    with pytest.warns(UserWarning, match=r"graphs do not work here \(cudaErrorStreamCaptureUnsupported"):
        eager = run_training(card.backend())
    for weights, *history in (recorded, eager):
        np.testing.assert_array_equal(weights, plain[0])
        assert tuple(history) == plain[1:]


class CompileException(Exception):
    """As CuPy's: not a RuntimeError."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CompileException("kern.cu(7): error: identifier is undefined\nmore"), "CompileException: kern.cu"),
        (RuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image"), "no kernel image"),
        (OSError("No space left on device"), "No space left"),
        (None, "a kernel ran without effect"),
        *((name, "too many resources") for name in sorted(PLANNED - {"forward_hidden"})),
    ],
)
@pytest.mark.filterwarnings("ignore:CuPy records only")
@pytest.mark.parametrize("graphs", others_slow([False, True], [False]))
def test_broken_kernels_warn_once_and_fall_back_to_layers(card, error, words, graphs):
    expected = run_training(
        card.backend(graphs=False).with_wrapper(lambda name, kernel: kernel), batch_size=5, epochs=1
    )
    assert not PLANNED & set(card.started)
    if isinstance(error, str):
        card.refused = error
    else:
        card.error = error
        card.idle = error is None
    with pytest.warns(UserWarning, match="updates run layer by layer") as caught:
        found = run_training(card.backend(graphs=graphs), batch_size=5, epochs=1)
    told = [str(w.message) for w in caught if "planned update" in str(w.message)]
    assert len(told) == 1
    assert words in told[0]
    assert card.replays == []
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1:] == expected[1:]


@pytest.mark.parametrize("case", ["layers", "tf32"])
def test_warns_about_steps_that_cannot_be_recorded(card, case):
    settings, layers = ({"precision": "tf32"}, []) if case == "tf32" else ({}, [LayerNormalization()])
    with pytest.warns(UserWarning, match=r"CuPy records only .* as CUDA graphs; .* run one by one"):
        run_training(card.backend(**settings), *layers, batch_size=5, epochs=1)
    assert card.replays == []
