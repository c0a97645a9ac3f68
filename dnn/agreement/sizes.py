"""How much each level does: the full check, and the quick one for every day."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of things."""

    sweep: int = 20000  # numbers in L0's sweep
    batch: int = 100  # examples in a batch of L1 to L3
    candidates: int = 160  # rows drawn to find them
    hidden: tuple[int, ...] = (500, 500)  # of L2's network for relu and cross-entropy
    # Of L2's other combinations and of L3; two of them equal, so that a transposed weight fits.
    small: tuple[int, ...] = (64, 64)
    batches: int = 8  # of L2's gradients
    resynchronised: int = 50  # steps of L3
    trajectory: int = 100  # updates of L4
    partners: int = 99  # activations, at most, with each of its optimizers
    tiny: tuple[int, ...] = (16, 16)  # its hidden layers
    tiny_batch: int = 32  # its batch


FULL = Sizes()
QUICK = Sizes(sweep=2000, batches=2, resynchronised=8, trajectory=12, partners=3)
