"""A cost model of an update: arithmetic that workers share, what each does whole, and the exchange.

    t(W) = fixed + example n / W + block B / W + 2 log2(W) latency + 2 (W - 1) / W bytes / bandwidth

with n examples and B blocks of a batch and W workers, each on a core of its own. All of it is measured on
this machine (``Costs``); for another network its latency and bandwidth are given. It predicts, no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path

from _figures import picture

WORKERS = tuple(2**k for k in range(13))
STRONG = 32768
"""Examples of a batch that is shared by more and more workers, in 4,096 blocks."""
WEAK = 800
"""Examples for each worker, where the batch grows with them."""


@dataclass(frozen=True)
class Costs:
    """In seconds, but for ``bandwidth``, in bytes a second, and ``size``, the bytes of what is summed."""

    fixed: float  # the optimizer, picking
    example: float  # forward and backward, one
    block: float  # what a block costs more than its examples
    latency: float  # of one exchange of neighbours
    bandwidth: float
    size: float

    def exchange(self, workers: int) -> float:
        """Sums over the workers, by recursive halving and doubling."""
        sent = 2 * (workers - 1) / workers * self.size
        return 2 * log2(workers) * self.latency + sent / self.bandwidth

    def update(self, workers: int, batch: int, blocks: int) -> float:
        """One update."""
        own = self.fixed + self.example * batch / workers + self.block * blocks / workers
        return own + self.exchange(workers)


def predictions(costs: Costs) -> list[tuple[str, str, str, str, str]]:
    """Workers, and for strong and weak scaling ms and efficiency in percent, as rows of a table."""
    rows = []
    for w in WORKERS:
        strong, weak = costs.update(w, STRONG, 4096), costs.update(w, WEAK * w, 8 * w)
        ideal = costs.update(1, STRONG, 4096) / w, costs.update(1, WEAK, 8)
        share = [f"{100 * best / took:.0f}" for best, took in zip(ideal, (strong, weak), strict=True)]
        rows.append((str(w), f"{1e3 * strong:.1f}", share[0], f"{1e3 * weak:.1f}", share[1]))
    return rows


def draw(path: Path, networks: dict[str, Costs], measured: Sequence[float], batch: int) -> None:
    """Three panels: the CPU time that was measured with 1, 2, ... workers, in ms, beside what the model says
    of it; and predictions to 4,096 workers."""
    with picture(path, 12, 4) as figure:
        small, strong, weak = figure.subplots(1, 3)
        (_, costs), *_ = networks.items()
        few = [w for w in WORKERS if w <= 8]
        small.plot(few, [1e3 * costs.update(w, batch, 8) for w in few], "--", label="model, a core for each")
        small.plot(WORKERS[: len(measured)], measured, "o", label="measured, CPU time of a worker")
        small.set_title(f"this machine, batch {batch}")
        small.set_ylim(bottom=0)
        for name, costs in networks.items():
            took = [costs.update(w, STRONG, 4096) for w in WORKERS]
            strong.plot(WORKERS, [took[0] / t for t in took], "--", label=name)
            grown = [costs.update(w, WEAK * w, 8 * w) for w in WORKERS]
            weak.plot(WORKERS, [100 * grown[0] / t for t in grown], "--", label=name)
        strong.plot(WORKERS, WORKERS, color="lightgrey", label="ideal")
        strong.set_title(f"predicted: speed-up, batch {STRONG:,}")
        weak.set_title(f"predicted: efficiency, {WEAK} examples each")
        small.set_ylabel("ms an update")
        strong.set_ylabel("times one worker")
        weak.set_ylabel("percent of one worker's speed")
        weak.set_ylim(0, 105)
        strong.set_yscale("log", base=2)
        for axes in (small, strong, weak):
            axes.set_xscale("log", base=2)
            axes.set_xlabel("workers")
            axes.legend()
            axes.spines[["top", "right"]].set_visible(False)
