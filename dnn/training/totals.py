"""Sums of losses and metrics over an epoch, on the device; they are read once at its end."""

from itertools import accumulate, pairwise

from backends import Array
from dnn.network import Network


class Totals:
    """Sums on the device over the examples so far: losses, metrics, and weights if there are any.

    Args:
        network: compiled.
        weighted: whether the examples have weights.
        classes: whether the targets are class numbers; the default metrics depend on it.
    Attributes:
        names: "loss", then the names of the metrics.
    """

    def __init__(self, network: Network, weighted: bool = False, classes: bool = True) -> None:
        self.network = network
        self.classes = classes
        metrics = network.metrics_for(classes)
        self.names = ("loss", *(metric.name for metric in metrics))
        self._ignored = network.objective.ignored_class if classes else None
        # The sums are [loss, *metrics, weight, counted examples]. Plans add to the first two.
        ends = [*accumulate((metric.size(network.outputs) for metric in metrics), initial=1)]
        self.sums = network.backend.zeros(ends[-1] + 2)
        self.loss = self.sums[0:1]
        self.weight = self.sums[-2:-1] if weighted else None
        self._metrics = [
            (metric, slice(start, stop))
            for metric, (start, stop) in zip(metrics, pairwise(ends), strict=True)
        ]

    def add(self, loss_inputs: Array, y: Array, losses: Array, weights: Array | None) -> None:
        """Add one batch.

        Args:
            loss_inputs: (B, C), outputs or logits.
            y: targets.
            losses: (B,) loss of each example times its weight.
            weights: (B,) or None.
        """
        backend = self.network.backend
        loss = self.network.objective
        xp = backend.xp
        self.loss += xp.sum(losses)
        if weights is not None:
            self.weight += xp.sum(weights)
        counts = None
        if self._ignored is not None:
            counts = xp.ones_like(losses) if y.ndim == 2 else xp.astype(y != self._ignored, backend.dtype)
            self.sums[-1:] += xp.sum(counts)
        for metric, entries in self._metrics:
            takes_inputs = metric.takes_logits or not self.network.reads_logits
            outputs = loss_inputs if takes_inputs else self.network.activate(loss_inputs)
            metric.add(backend, loss, self.sums[entries], outputs, y, counts)

    def join(self, sums: Array, other: Array) -> None:
        """Add the sums of other examples to ``sums``; both have the layout of ``self.sums``."""
        for entries in (slice(0, 1), slice(-2, None)):
            sums[entries] += other[entries]
        for metric, entries in self._metrics:
            metric.join(self.network.backend, sums[entries], other[entries])

    def clear(self) -> None:
        self.sums[...] = 0.0

    def read(self, examples: int) -> tuple[float, ...]:
        """Return (mean loss, each metric) over this many examples; waits for the device."""
        sums = self.network.backend.to_host(self.sums)
        weight = float(examples) if self.weight is None else float(sums[-2])
        loss = float(sums[0]) / weight if weight else 0.0
        counted = examples if self._ignored is None else max(1, int(sums[-1]))
        return loss, *(metric.value(sums[entries], counted) for metric, entries in self._metrics)
