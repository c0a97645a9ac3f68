"""Examples that stay on the disk, or sparse, take little memory."""

import os
import sys
import textwrap

import pytest
from command_lines import run_code

MEASURE = """
    import os, sys, threading, time
    import numpy as np, scipy.sparse
    from backends import get_backend
    from dnn import Dense, SGD, Sequential

    def resident():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1024

    class Peak:
        def __enter__(self):
            self.start = self.most = resident()
            self.over = False
            self.thread = threading.Thread(target=self.watch)
            self.thread.start()
            return self
        def watch(self):
            while not self.over:
                self.most = max(self.most, resident())
                time.sleep(0.0005)
        def __exit__(self, *error):
            self.over = True
            self.thread.join()
        @property
        def grown(self):
            return (self.most - self.start) / 1e6

    def model_of(features):
        model = Sequential([Dense(8, "relu"), Dense(2, "softmax")], input_shape=(features,), backend=BACKEND)
        model.compile(optimizer=SGD(0.1))
        return model
"""


def run_script(code, *arguments):
    """Return the numbers that a script prints in a new process with all imports done first."""
    code = textwrap.dedent(MEASURE) + textwrap.dedent(code)
    return [float(word) for word in run_code(code, *arguments).stdout.split()]


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("name", "dtype"), [("numpy", "float32"), ("torch", "uint8")])
def test_a_large_file_on_the_disk_takes_less_than_20_MB(tmp_path, name, dtype):
    path = tmp_path / "zeros"
    path.touch()
    os.truncate(path, 2**28)
    found = run_script(
        """
        name, dtype, path = sys.argv[1:]
        BACKEND = get_backend(name)
        n = os.path.getsize(path) // np.dtype(dtype).itemsize // 4096
        few, y = np.zeros((200, 4096), dtype), np.zeros(n, np.int64)
        model = model_of(4096)
        model.fit(few, y[:200], batch_size=100, verbose=0)
        model.evaluate(few, y[:200], batch_size=100)
        model.predict(few, batch_size=100)
        x = np.memmap(path, dtype, "r", shape=(n, 4096))
        calls = [
            lambda: model.fit(x, y, batch_size=100, steps_per_epoch=50, verbose=0),
            lambda: model.evaluate(x, y, batch_size=100),
            lambda: model.predict(x, batch_size=100),
        ]
        for call in calls:
            with Peak() as peak:
                call()
            print(peak.grown)
        """,
        name,
        dtype,
        path,
    )
    assert len(found) == 3
    assert max(found) < 20


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("name", "form"), [("numpy", "csr"), ("torch", "csr"), ("numpy", "csc")])
def test_sparse_text_trains_in_less_than_twice_its_memory(name, form):
    """20,000 columns with 1% nonzero entries; a dense copy would need 50 times the memory."""
    matrix, grown = run_script(
        """
        name, form = sys.argv[1:]
        BACKEND = get_backend(name)
        rng = np.random.default_rng(1)
        n, columns, full = 20_000, 20_000, 200
        x = scipy.sparse.csr_array(
            (rng.random(n * full), rng.integers(0, columns, n * full, dtype=np.int32),
             np.arange(0, n * full + 1, full, dtype=np.int32)), shape=(n, columns))
        x.sum_duplicates()
        x = x.asformat(form)
        y = rng.integers(0, 2, n)
        model = model_of(columns)
        model.fit(x[:100], y[:100], batch_size=100, verbose=0)
        with Peak() as peak:
            model.fit(x, y, batch_size=100, verbose=0)
        print((x.data.nbytes + x.indices.nbytes + x.indptr.nbytes) / 1e6, peak.grown)
        """,
        name,
        form,
    )
    assert matrix > 40
    assert grown < (matrix if form == "csr" else 2 * matrix)  # other formats are converted to CSR
