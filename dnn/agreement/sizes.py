"""Amount of work of each level, for the full check and the quick one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of the comparisons."""

    sweep: int = 20000  # inputs in L0's sweep
    batch: int = 100  # batch size of L1 and L2
    candidates: int = 160  # rows from which a batch without kinks is chosen
    hidden: tuple[int, ...] = (500, 500)  # hidden layers of L2's network for relu and cross-entropy
    # Hidden layers of L2's other networks; equal widths, so that a transposed W fits.
    small: tuple[int, ...] = (64, 64)
    batches: int = 8  # batches of L2
    trajectory: int = 100  # updates of L4
    partners: int = 99  # maximum number of activations for each optimizer of L4
    tiny: tuple[int, ...] = (16, 16)  # hidden layers of L4
    tiny_batch: int = 32  # batch size of L4
    large: int = 1 << 20  # each kernel gets once more numbers than these


FULL = Sizes(large=1 << 24)
QUICK = Sizes(sweep=2000, batches=2, trajectory=10, partners=3)
