"""Optimizer: the settings. OptimizerState: the vectors for one model, and its updates."""

from collections.abc import Mapping
from copy import copy
from dataclasses import KW_ONLY, fields
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np

from backends import Backend, InputError
from backends.reference.optimizers import RATE, UPDATES
from backends.reference.signatures import OptimizerStep
from dnn.optimizers.schedules import Schedule
from dnn.parameters import Parameters
from dnn.settings.base import Named
from dnn.settings.checks import or_none, require_number, require_positive

Limit = Annotated[float | None, or_none(require_positive)]


class Optimizer(Named):
    """Base of optimizers: the settings. Several models may share one object, since each has its own state.

    A subclass declares further settings as fields, in the order of its kernel's settings.

    Args:
        learning_rate: a Schedule, or a finite number of at least 0; the first setting of each optimizer.
        clip_norm: maximum norm of the gradient of all parameters together, as in
            torch.nn.utils.clip_grad_norm_ (Keras's global_clipnorm). None: no limit.
        clip_value: maximum absolute value of each element of the gradient, as in
            torch.nn.utils.clip_grad_value_. None: no limit. Give at most one of the two.
    Raises InputError: a setting out of range, or both kinds of clipping.
    """

    explained_as = "optimizer"
    learning_rate: float | Schedule
    _: KW_ONLY
    clip_norm: Limit = None
    clip_value: Limit = None

    slots: ClassVar[tuple[str, ...]]  # names of the state vectors, in the order of the kernel's arguments
    # Boolean setting -> name of the vector it adds, by which the kernel knows that it is True.
    variants: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.learning_rate, Schedule):
            require_number("learning_rate", self.learning_rate, 0.0)
        if self.clip_norm is not None and self.clip_value is not None:
            raise InputError("clip_norm and clip_value are both given", "at most one", "leave one out")

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the state vectors, those of the variants included."""
        return (*self.slots, *(slot for name, slot in self.variants.items() if getattr(self, name)))

    @classmethod
    def setting_names(cls) -> list[str]:
        """Return the fields in the kernel's order, without those of ``Optimizer`` and variants."""
        shared = {f.name for f in fields(Optimizer)} | set(cls.variants)
        return [f.name for f in fields(cls) if f.name not in shared]

    def settings(self) -> tuple[Any, ...]:
        """Return the kernel's settings."""
        return tuple(getattr(self, name) for name in self.setting_names())

    def rates(self) -> np.ndarray:
        """Return the learning rate of each update, (n,) float64 with n >= 1; the last one repeats."""
        rate = self.learning_rate
        return rate.rates() if isinstance(rate, Schedule) else np.asarray([rate], np.float64)

    def bind(self, backend: Backend) -> OptimizerStep:
        """Return the rule: a kernel of ``backends.reference.optimizers``, or any function like these.

        Its arguments are parameters (n,), gradients (n,), slots, control (4,) and settings.
        """
        name = getattr(self, "name", type(self).__name__)
        raise NotImplementedError(
            f"optimizer {name!r} has no bind: in place of Keras's methods write name, slots = () and "
            "bind(self, backend), without __init__; bind returns rule(parameters, gradients, slots, control, "
            "settings), which does parameters -= control[RATE] * gradients or the like, and "
            "control[UPDATES] += 1, with RATE and UPDATES of backends.reference.optimizers"
        )


class OptimizerState:
    """State vectors and control array of an optimizer for one model.

    Attributes:
        optimizer: the settings, as compiled.
        vectors: slot name -> (n,) vector with the layout of the parameters.
        control: (4,) on the device; ``backends.reference.optimizers`` names its elements.
        rates: (R,) learning rate of each update; the last one repeats.
    """

    def __init__(self, optimizer: Optimizer, parameters: Parameters, backend: Backend) -> None:
        rule = optimizer.bind(backend)
        self.optimizer = optimizer
        self.vectors = {slot: backend.zeros(parameters.vector.shape[0]) for slot in optimizer.slot_names}
        self.control = backend.zeros(4)
        rates = optimizer.rates()
        self.rates = backend.from_host(rates.astype(backend.dtype_name))
        self.control[RATE] = self.rates[0:1]
        self._last_rate = backend.zeros(1)
        self._last_rate[...] = float(rates.size - 1)
        self._backend = backend
        gradients = parameters.gradient_vector
        kernels = backend.kernels
        limits = (kernels.clip_norm, optimizer.clip_norm), (kernels.clip_value, optimizer.clip_value)
        self._calls = [partial(clip, gradients, limit) for clip, limit in limits if limit is not None]
        arrays = parameters.vector, gradients, tuple(self.vectors.values()), self.control
        self._calls.append(partial(rule, *arrays, optimizer.settings()))

    @property
    def rate(self) -> float:
        """Learning rate of the last update. Setting it changes the rate of the next update."""
        return float(self._backend.to_host(self.control[RATE])[0])

    @rate.setter
    def rate(self, value: float) -> None:
        self.control[RATE] = value

    @property
    def current(self) -> Optimizer:
        """The settings. If a callback has changed a constant learning rate, they hold the current one."""
        if self.rates.shape[0] > 1 or self.rate == float(self._backend.to_host(self.rates)[0]):
            return self.optimizer
        made = copy(self.optimizer)
        made.store("learning_rate", self.rate)
        return made

    def require_room(self, updates: int) -> None:
        """Raise InputError if the dtype cannot count this many more updates exactly; waits for the device."""
        limit = int(2 / np.finfo(self._backend.dtype_name).eps)
        done = int(self._backend.to_host(self.control)[UPDATES][0])
        if done + updates > limit:
            got = f"the training would end at update {done + updates}"
            cure = "train fewer epochs, in larger batches, or with dtype='float64'"
            raise InputError(got, f"at most {limit}, up to which {self._backend.dtype_name} can count", cure)

    def take_rate(self) -> None:
        """Take the learning rate of the next update from the settings."""
        xp = self._backend.xp
        index = xp.astype(xp.minimum(self.control[UPDATES], self._last_rate), xp.int64)
        self._backend.kernels.gather_rows(self.rates, index, self.control[RATE], 1.0)

    def step(self) -> None:
        """Update the parameters from the current gradients; read nothing back from the device."""
        if self.rates.shape[0] > 1:
            self.take_rate()
        for call in self._calls:
            call()
