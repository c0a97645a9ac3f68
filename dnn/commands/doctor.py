"""Show the processor, and for each backend its versions and settings, or why it cannot run."""

import platform
import sys
from argparse import Namespace
from typing import NoReturn

from backends import BackendUnavailable, backend_names, get_backend
from backends.errors import printable
from backends.numpy.soundness import find_faults
from backends.nvidia import query_cards
from backends.processor import limiting_variables, this_processor
from dnn.commands import command_line


def parse() -> Namespace:
    return command_line.Parser(description=__doc__).parse_args()


def doctor(arguments: Namespace) -> None:
    processor = this_processor()
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"processor: {processor.name}, {processor.instruction_set}")
    for name, value in limiting_variables().items():
        print(f"limited by the environment: {name}={printable(value)}")
    faults = "; ".join(map(str, find_faults()))
    print(f"NumPy's float64 arithmetic: {faults or 'right'}")
    for name in backend_names():
        print_backend(name)
    torch = sys.modules.get("torch")
    if torch is not None and (torch.cuda.is_available() or query_cards()):
        print_backend("torch", "cuda")
    print()
    for network, dense in (("", True), (" for layers other than Dense", False)):
        chosen = get_backend("auto", dense=dense)
        print(f"--backend auto uses {chosen.name} on {chosen.device}{network}: {chosen.reason}")


def print_backend(name: str, device: str | None = None) -> None:
    """Print the facts of a backend, or why it cannot run."""
    label = name if device is None else f"{name} on {device}"
    try:
        facts = get_backend(name, device).describe()
    except BackendUnavailable as error:
        print(f"\n{label}: not usable\n    {error}")
        return
    print(f"\n{label}: usable")
    for key, value in facts.items():
        if key not in ("backend", "processor", "instruction_set"):  # already printed
            print(f"    {key.replace('_', ' ')}: {value}")


def main() -> NoReturn:
    command_line.run(doctor, parse)
