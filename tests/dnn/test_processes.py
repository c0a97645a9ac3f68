"""Models in several threads, in forked and spawned processes, and after other models were deleted."""

import gc
import multiprocessing
import os
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import MAX_SECONDS, NUMPY, build_network, others_slow, same_bits

from backends import get_backend
from dnn import Dense


def rows(n, seed=0):
    return np.random.default_rng(seed).random((n, 6), dtype=np.float32)


HERE = Path(__file__).parent
DATA = rows(20), np.arange(20) % 3


def model(backend):
    layers = [Dense(9, "relu"), Dense(9, "sigmoid"), Dense(3, "softmax")]
    made = build_network(layers, backend=backend, seed=4)
    made.compile()
    return made


def _in_a_child(name, send, made=None):
    """Train and predict, with the parent's model if it was inherited."""
    gc.freeze()  # finalizers of other tests' garbage may wait for threads that the child lacks
    one = model(get_backend(name)) if made is None else made
    before = one.predict(rows(20))
    one.fit(*DATA, batch_size=5)
    send.send((before, one.predict(rows(20))))


DAEMON = """
import sys, threading
from test_processes import DATA, get_backend, model
made = model(get_backend(sys.argv[1]))
train = lambda: made.fit(*DATA, batch_size=5, epochs=10**6)
threading.Thread(target=train, daemon=True).start()
while not made.epochs_done:
    pass
"""


@pytest.mark.parametrize("name", others_slow(["numba", "torch"], ["numba"]))
def test_a_process_ends_while_a_daemon_thread_trains(name):
    """Python ends such a thread anywhere; in compiled code that crashed (exit codes 139 and 134)."""
    pytest.importorskip(name)
    path = os.pathsep.join(sys.path)
    run = partial(subprocess.run, env={**os.environ, "PYTHONPATH": path}, timeout=MAX_SECONDS)
    assert [run([sys.executable, "-c", DAEMON, name], cwd=HERE).returncode for _ in range(2)] == [0, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_a_child_process_has_an_independent_model(how):
    """The parent does not see what a child does to the model that it inherits or is sent (NumPy)."""
    parent = model(NUMPY)
    before = parent.predict(rows(20))
    context = multiprocessing.get_context(how)
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_in_a_child, args=("numpy", send, parent))
    child.start()
    assert receive.poll(MAX_SECONDS)
    first, trained = receive.recv()
    child.join(MAX_SECONDS)
    assert child.exitcode == 0
    assert same_bits(first, before)
    assert same_bits(parent.predict(rows(20)), before)
    parent.fit(*DATA, batch_size=5)
    assert same_bits(parent.predict(rows(20)), trained)


@pytest.mark.parametrize("name", ["numpy", "numba", "torch"])
def test_deleting_a_model_frees_its_memory_at_once(make_backend, name):
    """Memory is freed without the cyclic garbage collector, which counts objects and not their size."""
    backend = make_backend(name)
    gc.disable()
    try:
        one = model(backend)
        one.fit(*DATA)
        one.evaluate(*DATA)
        one.predict(rows(20))
        parts = [weakref.ref(part) for part in (one, one.parameters, *one.layers)]
        del one
        assert [part() for part in parts] == [None] * len(parts)
    finally:
        gc.enable()


FORKS = """
import hashlib, os, sys, threading
import numpy as np
from dnn import Dense, Sequential

x = np.random.default_rng(0).random((2000, 784), dtype=np.float32)

def train(epochs):
    layers = [Dense(500, "sigmoid"), Dense(10, "softmax")]
    model = Sequential(layers, input_shape=(784,), backend=sys.argv[1], seed=1)
    model.compile()
    model.fit(x, np.arange(2000) % 10, batch_size=200, epochs=epochs, verbose=0)
    return hashlib.sha256(model.predict(x).tobytes()).hexdigest()

alone = train(2)
epochs, forks = map(int, sys.argv[2:])
for i in range(forks):
    if i == 0 or epochs == 1:
        other = threading.Thread(target=train, args=(epochs,), daemon=True)
        other.start()
        other.join(0.5)
    receive, send = os.pipe()
    if os.fork() == 0:
        os.write(send, train(2).encode())
        os._exit(0)
    print(os.read(receive, 64).decode() == alone, flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize(
    ("name", "epochs", "forks"),
    [("numpy", 10**6, 4), ("numba", 10**6, 4), ("torch", 10**6, 4), ("torch", 1, 40)],
)
def test_child_forked_during_or_after_a_training_trains(name, epochs, forks):
    """numpy and numba give the bits of the parent, torch those of one thread."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    command = [sys.executable, "-W", "ignore", "-c", FORKS, name, str(epochs), str(forks)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=MAX_SECONDS, env=environment)
    assert ended.stderr == ""
    assert ended.stdout == forks * "True\n" or (name == "torch" and ended.stdout == forks * "False\n")
