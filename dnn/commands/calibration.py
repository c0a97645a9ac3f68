"""Calibration: how well a network's confidence agrees with its accuracy, and a confidence threshold.

The confidence of a prediction is the probability of the predicted class. p (N, C) holds the probabilities
of N examples, y (N,) their classes.
"""

from pathlib import Path

import numpy as np

from dnn.commands.figures import picture

MIN_ACCURACY = 0.999  # of the predictions at or above the confidence threshold
N_BINS = 15  # as in Guo et al. 2017


def reliability_bins(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (mean confidence, accuracy, count) of the non-empty bins; N_BINS equal bins divide [0, 1]."""
    confidence = p.max(axis=1)
    index = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    _, index, counts = np.unique(index, return_inverse=True, return_counts=True)
    correct = np.bincount(index, p.argmax(axis=1) == y)
    return np.bincount(index, confidence) / counts, correct / counts, counts


def calibration_error(p: np.ndarray, y: np.ndarray) -> float:
    """Return the expected calibration error: the mean of |accuracy - confidence| over all predictions."""
    confidence, accuracy, counts = reliability_bins(p, y)
    return float(np.average(np.abs(accuracy - confidence), weights=counts))


def confidence_threshold(p: np.ndarray, y: np.ndarray) -> float | None:
    """Return the lowest threshold at which accuracy is MIN_ACCURACY, or None.

    The accuracy is that of all predictions with a confidence of at least the threshold.
    """
    # Negative confidences, so that the highest comes first. A threshold cannot separate equal ones.
    levels, index, counts = np.unique(-p.max(axis=1), return_inverse=True, return_counts=True)
    accuracy = np.cumsum(np.bincount(index, p.argmax(axis=1) == y)) / np.cumsum(counts)
    good = levels[accuracy >= MIN_ACCURACY]
    return -float(good[-1]) if len(good) else None


def selective_accuracy(p: np.ndarray, y: np.ndarray, threshold: float) -> dict[str, float]:
    """Return the accuracy at or above a threshold ("right"), and the share of y below it ("refused")."""
    above = p.max(axis=1) >= threshold
    accuracy = float(np.mean(p.argmax(axis=1)[above] == y[above])) if above.any() else 1.0
    return {"right": accuracy, "refused": float(1.0 - above.mean())}


def draw_reliability(p: np.ndarray, y: np.ndarray, title: str, path: Path) -> None:
    """Draw the reliability diagram: accuracy over confidence with standard errors, and the bin counts."""
    confidence, accuracy, counts = reliability_bins(p, y)
    # The standard error with one success and one failure added: not 0 for small bins.
    error = np.sqrt((accuracy * counts + 1) * ((1 - accuracy) * counts + 1) / (counts + 2) ** 3)
    with picture(path, 5.0, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], "--", color="0.6", label="perfect calibration")
        upper.errorbar(confidence, accuracy, error, fmt="o", capsize=3, color="tab:blue", label=title)
        upper.set(ylabel="accuracy", ylim=(-0.03, 1.03))
        figure.legend(loc="outside upper center", ncols=2)
        lower.bar(confidence, counts, width=0.8 / N_BINS, color="tab:blue")
        about = "confidence (probability of the predicted class)"
        lower.set(yscale="log", ylim=(0.5, None), ylabel="predictions", xlabel=about)
        lower.yaxis.set_major_formatter("{x:,.0f}")
        for axis in (upper.xaxis, upper.yaxis):
            axis.set_major_formatter("{x:.0%}")
        upper.grid(alpha=0.3)
        lower.grid(alpha=0.3)
