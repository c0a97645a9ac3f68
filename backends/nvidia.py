"""NVIDIA's driver and GPUs as nvidia-smi reports them, and the extra of pyproject.toml that fits them.

Run as a script it prints the extra's name, or nothing. The Makefile runs it before anything is installed.
"""

import re
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

NVIDIA_SMI_QUERY = ("nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader")
MIN_DRIVERS = {12: 525, 13: 580}  # CUDA's major version -> major version of the driver
MIN_CAPABILITIES = {12: (5, 0), 13: (7, 5)}


class Card(NamedTuple):
    """One GPU: its driver's major version, and its compute capability such as (9, 0)."""

    driver: int
    capability: tuple[int, int]


def query_cards() -> list[Card]:
    """Return all GPUs; an empty list if nvidia-smi is missing or fails."""
    try:
        done = subprocess.run(NVIDIA_SMI_QUERY, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r"^(\d+)\.[\d.]+, *(\d+)\.(\d+)\s*$", done.stdout, re.MULTILINE)
    return [Card(int(driver), (int(major), int(minor))) for driver, major, minor in found]


def find_obstacle(cuda: int, cards: Sequence[Card]) -> str | None:
    """Return why this major version of CUDA cannot run on all of these GPUs; None if it can.

    >>> find_obstacle(13, [Card(580, (6, 1))])
    'CUDA 13 needs compute capability 7.5 or newer, and this card has 6.1'
    """
    for card in cards:
        if card.driver < MIN_DRIVERS.get(cuda, 0):
            return f"CUDA {cuda} needs NVIDIA driver {MIN_DRIVERS[cuda]} or newer, and this is {card.driver}"
        if card.capability < MIN_CAPABILITIES.get(cuda, (0, 0)):
            needed, found = (f"{major}.{minor}" for major, minor in (MIN_CAPABILITIES[cuda], card.capability))
            return f"CUDA {cuda} needs compute capability {needed} or newer, and this card has {found}"
    return None


def find_extra(cards: Sequence[Card]) -> str | None:
    """Return "cuda13" or "cuda12", the newest that runs on all GPUs; None if there is none.

    >>> find_extra([Card(580, (9, 0))]), find_extra([Card(580, (6, 1))]), find_extra([])
    ('cuda13', 'cuda12', None)
    """
    fitting = (f"cuda{cuda}" for cuda in (13, 12) if cards and find_obstacle(cuda, cards) is None)
    return next(fitting, None)


if __name__ == "__main__":
    print(find_extra(query_cards()) or "")
