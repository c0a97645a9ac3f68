"""Fixtures for backends and real data, and what happens if they are missing.

DNN_REQUIRE=cupy,torch:cuda,mnist names what must be present: its absence is then a failure instead of a skip.
"""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from helpers import BACKENDS

from backends import BackendUnavailable, get_backend
from dnn.datasets.download import RAW_FILES

ROOT = Path(__file__).parent.parent


def _required_names():
    return {name.strip() for name in os.environ.get("DNN_REQUIRE", "").split(",") if name.strip()}


def pytest_configure():
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # shells set this for background processes
        signal.signal(signal.SIGINT, signal.default_int_handler)
    known = {*BACKENDS, "mnist", "chromium"}
    if unknown := _required_names() - known:
        raise pytest.UsageError(f"DNN_REQUIRE names {sorted(unknown)}, expected some of {sorted(known)}")


def pytest_collection_modifyitems(items):
    """Mark tests on strict's first device as slow: the same tests on its second device find more."""
    functions = [item for item in items if isinstance(item, pytest.Function)]
    on_second = {item.originalname for item in functions if "strict:device1" in _parameters(item)}
    for item in functions:
        if item.originalname in on_second and "strict" in _parameters(item):
            item.add_marker(pytest.mark.slow)


def _parameters(item):
    callspec = getattr(item, "callspec", None)
    return [] if callspec is None else [value for value in callspec.params.values() if isinstance(value, str)]


def skip_or_fail(what, why):
    """Skip with the reason, or fail with it if DNN_REQUIRE names ``what``."""
    if what in _required_names():
        pytest.fail(f"DNN_REQUIRE asks for {what!r}, which cannot run: {why}", pytrace=False)
    pytest.skip(f"{what}: {why}")


@pytest.fixture(autouse=True)
def reset_torch():
    """Limit torch to one thread and seed it, whatever earlier tests set.

    On small arrays more threads are four times as slow. Its layers draw initial weights.
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def make_backend():
    """Return ``make_backend(id, dtype="float32", fused=True)`` for an id "name[:device]"."""

    def make(backend_id, dtype="float32", fused=True):
        name, _, device = backend_id.partition(":")
        try:
            return get_backend(name, device or None, dtype, fused)
        except BackendUnavailable as error:
            why = str(error)
        skip_or_fail(backend_id, why)

    return make


@pytest.fixture(params=BACKENDS)
def backend(request, make_backend):
    """Each backend in float32."""
    return make_backend(request.param)


@pytest.fixture(scope="session")
def mnist_dir():
    """Return the root that holds MNIST/raw/ with the four real files."""
    named = os.environ.get("DNN_DATA_DIR")
    roots = [Path(named)] if named else [ROOT / "data", ROOT.parent / "shared" / "data"]
    for root in roots:
        if all((root / "MNIST" / "raw" / name).is_file() for name in RAW_FILES):
            return root
    skip_or_fail(
        "mnist", "the four files are not in MNIST/raw/ of DNN_DATA_DIR, nor in data/ of the repository"
    )


def pytest_terminal_summary(terminalreporter):
    """Print each skip reason once with the number of skipped tests."""
    reasons = Counter(
        report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    )
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")
