"""How far the probabilities of answers can be trusted: calibration, and when a network is sure."""

from pathlib import Path

import numpy as np

from dnn.commands.figures import picture

RIGHT = 0.999  # share of right answers from which on a network is said to be sure
BINS = 15  # as Guo et al. 2017 take


def reliability(p: np.ndarray, y: np.ndarray) -> list[tuple[float, float, int]]:
    """(mean probability, share right, number) of the answers in each of BINS equal parts of 0 to 1."""
    sure = p.max(axis=1)
    right = p.argmax(axis=1) == y
    part = np.minimum((sure * BINS).astype(int), BINS - 1)
    inside = [part == i for i in range(BINS) if np.any(part == i)]
    return [(float(sure[i].mean()), float(right[i].mean()), int(i.sum())) for i in inside]


def calibration_error(p: np.ndarray, y: np.ndarray) -> float:
    """The expected calibration error: the distance of sureness and share of right answers, over the bins."""
    return sum(n * abs(right - sure) for sure, right, n in reliability(p, y)) / len(y)


def sure_from(p: np.ndarray, y: np.ndarray) -> float | None:
    """The lowest probability from which on RIGHT of the answers are right; None: there is none."""
    sure = p.max(axis=1)
    right = p.argmax(axis=1) == y
    order = np.argsort(-sure, kind="stable")
    holds = np.cumsum(right[order]) >= RIGHT * np.arange(1, len(y) + 1)
    # As low as its equals: of answers that are equally sure all are taken, or none.
    last = np.append(sure[order][1:] != sure[order][:-1], True)
    good = np.flatnonzero(holds & last)
    return float(sure[order][good[-1]]) if len(good) else None


def sureness(p: np.ndarray, y: np.ndarray, least: float) -> dict[str, float]:
    """Of answers from this probability on the share that is right; and the share of others, refused."""
    kept = p.max(axis=1) >= least
    right = float(np.mean(p.argmax(axis=1)[kept] == y[kept])) if kept.any() else 1.0
    return {"right": right, "refused": float(1.0 - kept.mean())}


def draw_reliability(p: np.ndarray, y: np.ndarray, title: str, path: Path) -> None:
    """The reliability diagram: share right over mean probability, with standard errors, and the numbers."""
    from matplotlib.ticker import PercentFormatter

    sure, right, many = np.asarray(reliability(p, y)).T
    error = np.sqrt((right * many + 1) * ((1 - right) * many + 1) / (many + 2) ** 3)  # of rare ones not 0
    with picture(path, 5.0, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], "--", color="0.6", label="perfect calibration")
        upper.errorbar(sure, right, error, fmt="o", capsize=3, color="tab:blue", label=title)
        upper.set(ylabel="accuracy", ylim=(-0.03, 1.03))
        figure.legend(loc="outside upper center", ncols=2)
        lower.bar(sure, many, width=0.8 / BINS, color="tab:blue")
        lower.set(yscale="log", ylim=(0.5, None))
        lower.yaxis.set_major_formatter("{x:,.0f}")
        lower.set_ylabel("predictions")
        lower.set_xlabel("confidence (probability of the predicted class)")
        for axis in (upper.xaxis, upper.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        upper.grid(alpha=0.3)
        lower.grid(alpha=0.3)
