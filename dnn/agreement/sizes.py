"""How much each level does: the full check, and the quick one for every day."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of things.

    Attributes:
        sweep: numbers in L0's sweep.
        batch: examples in a batch of L1 to L3; candidates: rows drawn to find them.
        hidden: the network of L2, for relu and cross-entropy (784-500-500-10 on MNIST).
        small: the hidden layers of L2's other combinations and of L3; two of them equal, so that a
            transposed weight fits.
        batches: of L2's gradients.
        resynchronised: steps of L3.
        trajectory: updates of L4; tiny: its hidden layers; tiny_batch: its batch.
        drift: steps of the picture.
    """

    sweep: int = 20000
    batch: int = 100
    candidates: int = 160
    hidden: tuple[int, ...] = (500, 500)
    small: tuple[int, ...] = (64, 64)
    batches: int = 8
    resynchronised: int = 50
    trajectory: int = 100
    tiny: tuple[int, ...] = (16, 16)
    tiny_batch: int = 32
    drift: int = 200


FULL = Sizes()
QUICK = Sizes(sweep=2000, batches=2, resynchronised=8, trajectory=20, drift=60)
