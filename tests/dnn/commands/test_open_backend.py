"""The backend that a command line gets, and the messages about it."""

import argparse

import pytest
from helpers import no_gpu

from backends import BackendUnavailable
from dnn.commands import options


def open_with_output(capsys, *words, quiet=False):
    """Return (the backend, the output on stderr)."""
    parser = argparse.ArgumentParser()
    options.add_backend_arguments(parser)
    arguments = parser.parse_args(words)
    arguments.quiet = quiet
    backend = options.open_backend(arguments)
    return backend, capsys.readouterr().err


def test_only_auto_prints_its_reason(capsys):
    backend, output = open_with_output(capsys, "--device", "cpu")
    assert output == f"--backend auto: {backend.reason}\n"
    assert backend.reason.startswith(f"{backend.name} ")
    assert open_with_output(capsys, "--device", "cpu", quiet=True)[1] == ""
    assert open_with_output(capsys, "--backend", "numpy")[1] == ""


@no_gpu
@pytest.mark.parametrize("more", [("--device", "cuda"), ("--graphs",), ("--precision", "tf32")])
def test_torch_without_a_gpu_falls_back_to_its_cpu(capsys, more):
    backend, output = open_with_output(capsys, "--backend", "torch", *more, "--dtype", "float64")
    assert (backend.name, str(backend.device), backend.dtype_name) == ("torch", "cpu", "float64")
    assert output.startswith("WARNING: ")
    assert output.endswith("Using torch on the CPU instead.\n")
    assert output.count("\n") == 1
    with pytest.raises(BackendUnavailable):
        open_with_output(capsys, "--backend", "torch", *more, "--require-backend")
