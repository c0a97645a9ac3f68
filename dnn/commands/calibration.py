"""Calibration: how well a network's confidence agrees with its accuracy, and a confidence threshold.

The confidence of a prediction is the probability of the predicted class. p (N, C) holds the probabilities
of N examples, y (N,) their classes.
"""

from pathlib import Path

import numpy as np

from dnn.commands.figures import picture

MIN_ACCURACY = 0.999  # of the predictions at or above the confidence threshold
N_BINS = 15  # as in Guo et al. 2017


def reliability_bins(p: np.ndarray, y: np.ndarray) -> list[tuple[float, float, int]]:
    """Return (mean confidence, accuracy, count) of each non-empty bin; N_BINS equal bins divide [0, 1]."""
    sure = p.max(axis=1)
    right = p.argmax(axis=1) == y
    part = np.minimum((sure * N_BINS).astype(int), N_BINS - 1)
    inside = [part == i for i in range(N_BINS) if np.any(part == i)]
    return [(float(sure[i].mean()), float(right[i].mean()), int(i.sum())) for i in inside]


def calibration_error(p: np.ndarray, y: np.ndarray) -> float:
    """Return the expected calibration error: the mean of |accuracy - confidence| over all predictions."""
    return sum(n * abs(right - sure) for sure, right, n in reliability_bins(p, y)) / len(y)


def confidence_threshold(p: np.ndarray, y: np.ndarray) -> float | None:
    """Return the lowest threshold at which accuracy is MIN_ACCURACY, or None.

    The accuracy is that of all predictions whose confidence is at least the threshold.
    """
    sure = p.max(axis=1)
    right = p.argmax(axis=1) == y
    order = np.argsort(-sure, kind="stable")
    holds = np.cumsum(right[order]) >= MIN_ACCURACY * np.arange(1, len(y) + 1)
    # A threshold cannot separate equal confidences, so only the last of equal ones is a candidate.
    last = np.append(sure[order][1:] != sure[order][:-1], True)
    good = np.flatnonzero(holds & last)
    return float(sure[order][good[-1]]) if len(good) else None


def selective_accuracy(p: np.ndarray, y: np.ndarray, least: float) -> dict[str, float]:
    """Return the accuracy at or above a threshold ("right"), and the share of y below it ("refused")."""
    kept = p.max(axis=1) >= least
    right = float(np.mean(p.argmax(axis=1)[kept] == y[kept])) if kept.any() else 1.0
    return {"right": right, "refused": float(1.0 - kept.mean())}


def draw_reliability(p: np.ndarray, y: np.ndarray, title: str, path: Path) -> None:
    """Draw the reliability diagram: accuracy over confidence with standard errors, and the bin counts."""
    from matplotlib.ticker import PercentFormatter

    sure, right, many = np.asarray(reliability_bins(p, y)).T
    # The standard error with one success and one failure added: not 0 for small bins.
    error = np.sqrt((right * many + 1) * ((1 - right) * many + 1) / (many + 2) ** 3)
    with picture(path, 5.0, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], "--", color="0.6", label="perfect calibration")
        upper.errorbar(sure, right, error, fmt="o", capsize=3, color="tab:blue", label=title)
        upper.set(ylabel="accuracy", ylim=(-0.03, 1.03))
        figure.legend(loc="outside upper center", ncols=2)
        lower.bar(sure, many, width=0.8 / N_BINS, color="tab:blue")
        lower.set(yscale="log", ylim=(0.5, None))
        lower.yaxis.set_major_formatter("{x:,.0f}")
        lower.set_ylabel("predictions")
        lower.set_xlabel("confidence (probability of the predicted class)")
        for axis in (upper.xaxis, upper.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        upper.grid(alpha=0.3)
        lower.grid(alpha=0.3)
