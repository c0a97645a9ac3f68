"""Where results differ from what such lectures usually tell, and why: sentences, from the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lecture_experiments.noise import NOISE
from lecture_experiments.run import Outcome

CHANCE = 0.2
"""An accuracy below it is no better than guessing."""


@dataclass(frozen=True)
class Remark:
    """What is usually told, and what came out.

    Args:
        told: the claim.
        needs: experiments that it takes.
        found: (their accuracies as percentages in words, as shares) -> the sentences after it.
    """

    told: str
    needs: tuple[str, ...]
    found: Callable[[Mapping[str, str], Mapping[str, float]], str]


def _squares(said: Mapping[str, str], a: Mapping[str, float]) -> str:
    text = (
        f"Gradient descent got to {said['mse-sgd']} with squared error, {said['ce-sgd']} with cross-entropy."
    )
    if a["mse-sgd"] < a["ce-sgd"] - 0.05:
        text += (
            " So far as told: the gradient of squared error through a softmax holds p (1 - p), and each"
            " sigmoid multiplies it by a quarter at most, so that the updates are tiny."
        )
    if a["mse-adam"] > a["ce-sgd"]:
        text += (
            f" But with Adam, whose steps do not depend on the gradient's size, squared error gave"
            f" {said['mse-adam']}, next to {said['lecture']} with cross-entropy: the search failed, not the"
            f" goal."
        )
    return text


def _relu(said: Mapping[str, str], a: Mapping[str, float]) -> str:
    text = (
        f"With gradient descent sigmoids gave {said['ce-sgd']} and ReLU {said['relu-sgd']}; with Adam"
        f" {said['lecture']} and {said['relu-adam']}."
    )
    if abs(a["relu-adam"] - a["lecture"]) < 0.005:
        text += " ReLU has larger gradients, which Adam does not need: in two layers little is left to gain."
    return text


def _depth(said: Mapping[str, str], a: Mapping[str, float]) -> str:
    text = (
        f"Two layers of sigmoids gave {said['depth-2-sigmoid']}, five {said['depth-5-sigmoid']}, seven"
        f" {said['depth-7-sigmoid']}, ten {said['depth-10-sigmoid']}; ten of ReLU {said['depth-10-relu']}."
    )
    if a["depth-10-sigmoid"] < CHANCE:
        text += (
            " Ten are no better than guessing, as told: each layer of sigmoids takes three quarters of the"
            " gradient or more."
        )
    if a["depth-5-sigmoid"] > 0.9:
        text += " But the wall comes late, since Adam takes the gradient's size out of the step."
    return text


def _quasi_newton(said: Mapping[str, str], a: Mapping[str, float]) -> str:
    text = (
        f"L-BFGS took a hundred passes over all images and got to {said['lbfgs']}; Adam with batches of 100"
        f" got to {said['lecture']} in ten."
    )
    if a["lbfgs"] < a["lecture"]:
        text += (
            " Its steps are better, but it makes one where the other makes 600, on images so much alike that"
            " a hundred of them say nearly where to go."
        )
    return text


def _batches(said: Mapping[str, str], a: Mapping[str, float]) -> str:
    return (
        f"At the same rate batches of 10 gave {said['batch-10']}, of 100 {said['lecture']}, of 1000"
        f" {said['batch-1000']}, of all images {said['batch-all']}, and of one image {said['batch-1']} (one"
        f" epoch). Number of updates and size of batch cannot be told apart here: all at once is ten updates"
        f" in ten epochs, and a batch of one is 60,000 in one, each as noisy as a single image."
    )


REMARKS = (
    Remark("Squared error cannot train a classifier.",
           ("mse-sgd", "ce-sgd", "mse-adam", "lecture"), _squares),
    Remark("ReLU is far better than sigmoid.", ("ce-sgd", "relu-sgd", "lecture", "relu-adam"), _relu),
    Remark("Deep networks of sigmoids do not train.",
           ("depth-2-sigmoid", "depth-5-sigmoid", "depth-7-sigmoid", "depth-10-sigmoid", "depth-10-relu"),
           _depth),
    Remark("Quasi-Newton methods converge faster.", ("lbfgs", "lecture"), _quasi_newton),
    Remark("Small batches are better.",
           ("batch-1", "batch-10", "lecture", "batch-1000", "batch-all"), _batches),
)  # fmt: skip


def remarks(outcomes: Mapping[str, Outcome]) -> list[tuple[str, str]]:
    """(what is told, what came out) for each claim whose experiments are all there."""
    accuracies = {name: o.test_accuracy for name, o in outcomes.items()}
    said = {name: f"{100 * a:.2f} %" for name, a in accuracies.items()}
    return [(r.told, r.found(said, accuracies)) for r in REMARKS if set(r.needs) <= set(outcomes)]


def on_noise(noisy: Mapping[str, list[float]]) -> str:
    """What the noise did; empty without the lecture's network."""
    if "lecture" not in noisy:
        return ""
    strength = 0.3
    i = NOISE.index(strength)
    names = {
        "lecture": "the lecture's network",
        "relu-adam": "the one with ReLU",
        "linear": "no hidden layer",
    }
    each = ", ".join(f"{names[n]} {100 * v[0]:.1f} to {100 * v[i]:.1f} %" for n, v in noisy.items())
    text = f"Noise of standard deviation {strength} takes the accuracies down: {each}."
    if noisy["lecture"][i] < noisy["lecture"][0] - 0.1:
        text += (
            " So noise is not absorbed by itself: a network ignores what it saw in training, and"
            " GaussianNoise and Dropout are there to show it some."
        )
    return text
