"""Show the processor, and for each backend its versions and settings, or why it cannot run."""

import platform
import sys
from argparse import Namespace
from typing import NoReturn

from backends import BackendUnavailable, backend_names, get_backend
from backends.numpy.soundness import find_faults
from backends.nvidia import query_cards
from backends.processor import limiting_variables, this_processor
from dnn.commands.command_line import Parser, print_result, run


def parse() -> Namespace:
    return Parser(description=__doc__).parse_args()


def doctor(arguments: Namespace) -> None:
    processor = this_processor()
    print_result(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    print_result(f"processor: {processor.name}, {processor.instruction_set}")
    for name, value in limiting_variables().items():
        print_result(f"limited by the environment: {name}={value}")
    faults = "; ".join(map(str, find_faults()))
    print_result(f"NumPy's float64 arithmetic: {faults or 'right'}")
    for name in backend_names():
        print_backend(name)
    torch = sys.modules.get("torch")
    if torch is not None and (torch.cuda.is_available() or query_cards()):
        print_backend("torch", "cuda")
    print_result("")
    for network, cpu_first in (("", "numba"), (" for layers other than Dense", "torch")):
        chosen = get_backend("auto", cpu_first=cpu_first)
        print_result(f"--backend auto uses {chosen.name} on {chosen.device}{network}: {chosen.reason}")


def print_backend(name: str, device: str | None = None) -> None:
    """Print the facts of a backend, or why it cannot run."""
    label = name if device is None else f"{name} on {device}"
    try:
        facts = get_backend(name, device).describe()
    except BackendUnavailable as error:
        print_result(f"\n{label}: not usable\n    {error}")
        return
    print_result(f"\n{label}: usable")
    for key, value in facts.items():
        if key not in ("backend", "processor", "instruction_set"):  # already printed
            print_result(f"    {key.replace('_', ' ')}: {value}")


def main() -> NoReturn:
    run(doctor, parse)
