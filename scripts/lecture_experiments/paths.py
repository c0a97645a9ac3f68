"""How weights change in training: a film of single hidden units, and two paths on the loss surface."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backends import Backend
from dnn.datasets import Dataset
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.training.callback import Callback, Progress
from lecture_experiments.experiments import EXPERIMENTS, LECTURE
from lecture_experiments.run import build, limit_examples

FILM_UPDATES = (0, 10, 30, 100, 300, 1000, 3000)
"""Numbers of updates after which the film has a frame; the last frame is at the end."""
SURFACE_IMAGES, SURFACE_EPOCHS, SURFACE_POINTS = 1000, 60, 31
"""Images of the loss surface, passes of both paths over them, and points of the surface in each direction."""
Film = Mapping[int, np.ndarray]
"""Updates -> the weights (n_in, units) from the image to the first layer."""


class _Recorder(Callback):
    """Records the model's flat parameters at given numbers of updates, and at the end."""

    every = 10

    def __init__(self, moments: tuple[int, ...]) -> None:
        self._moments = moments
        self.snapshots = dict[int, np.ndarray]()

    def _record(self, updates: int) -> None:
        self.snapshots[updates] = np.array(self.model.backend.to_host(self.model.parameters.values))

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._record(0)

    def on_progress(self, progress: Progress) -> None:
        updates = (progress.epoch - 1) * progress.updates_per_epoch + progress.updates
        if updates in self._moments or updates == progress.epochs * progress.updates_per_epoch:
            self._record(updates)


def record_film(data: Dataset, backend: Backend, epochs: int, seed: int) -> Film:
    """Train the lecture's network again and return its film."""
    model = build(LECTURE, data, backend, seed)
    recorder = _Recorder(FILM_UPDATES)
    x = data.x_train
    y = data.y_train
    model.fit(x, y, batch_size=LECTURE.batch, epochs=epochs, verbose=0, callbacks=[recorder])
    name = next(iter(model.parameters.shapes))
    views = (model.parameters.views(backend.from_host(flat))[name] for flat in recorder.snapshots.values())
    return {n: np.array(backend.to_host(W)) for n, W in zip(recorder.snapshots, views, strict=True)}


@dataclass(frozen=True)
class Surface:
    """The mean loss in the plane through the start that contains most of both paths' movement."""

    across: np.ndarray  # (GRID,) and (GRID,): distances from the start
    up: np.ndarray
    loss: np.ndarray  # (GRID, GRID): row i is at up[i]
    paths: Mapping[str, np.ndarray]  # name -> (steps, 2): how far across and up


def compute_surface(data: Dataset, backend: Backend, seed: int) -> Surface:
    """Compute the loss surface of the lecture's network over SURFACE_IMAGES images.

    The paths are those of Adam with mini-batches and of full-batch L-BFGS. The plane's axes are the first two
    principal directions of all their points relative to the start.
    """
    some = limit_examples(data, SURFACE_IMAGES)
    x = some.x_train
    y = some.y_train
    adam, newton = (build(EXPERIMENTS[name], some, backend, seed) for name in ("lecture", "lbfgs"))
    batches = -(-len(x) // LECTURE.batch)
    recorder = _Recorder(tuple(range(0, SURFACE_EPOCHS * batches, max(batches, 10))))
    adam.fit(x, y, batch_size=LECTURE.batch, epochs=SURFACE_EPOCHS, verbose=0, callbacks=[recorder])
    start = np.array(backend.to_host(newton.parameters.values))
    steps = [start]
    fit_lbfgs(
        newton, x, y, settings=LBFGS(max_evaluations=SURFACE_EPOCHS),
        watch=lambda state: steps.append(np.array(backend.to_host(state.point))),
    )  # fmt: skip
    found = {"Adam": np.stack(list(recorder.snapshots.values())) - start, "L-BFGS": np.stack(steps) - start}
    moves = np.concatenate(list(found.values()))
    _, mixtures = np.linalg.eigh(moves @ moves.T)  # small: one row per move, not per weight
    axes = mixtures[:, :-3:-1].T @ moves
    axes /= np.linalg.norm(axes, axis=1, keepdims=True) * np.sign(axes @ moves.sum(axis=0))[:, None]
    paths = {name: far @ axes.T for name, far in found.items()}
    ends = np.concatenate(list(paths.values()))
    low = ends.min(axis=0)
    high = ends.max(axis=0)
    across, up = np.linspace(low - 0.25 * (high - low), high + 0.25 * (high - low), SURFACE_POINTS).T
    loss = np.empty((SURFACE_POINTS, SURFACE_POINTS))
    for i, b in enumerate(up):
        for j, a in enumerate(across):
            point = (start + a * axes[0] + b * axes[1]).astype(start.dtype)
            adam.parameters.values[...] = backend.from_host(point)
            loss[i, j] = adam.evaluate(x, y, batch_size=1000).loss
    return Surface(across, up, loss, paths)
