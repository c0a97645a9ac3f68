"""What an optimizer is: settings that can be written down, and a state over one flat vector."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any, ClassVar

import numpy as np

from backends import Backend, InputError
from backends.dispatch import Kernel
from backends.reference.control import RATE, UPDATES
from dnn.optimizers.schedules import Schedule
from dnn.parameters import Parameters
from dnn.validation.settings import Checked, require_number, require_positive


@dataclass(frozen=True)
class Optimizer(Checked):
    """Settings alone; one object may serve several models, since the state is the model's.

    A subclass declares settings of its own as fields, in the order in which its kernel takes them.

    Args:
        learning_rate: finite, at least 0, or a Schedule; the first setting of each optimizer.
        clip_norm: before each update the gradient of all parameters together is shortened to this length
            where it is longer, as by torch.nn.utils.clip_grad_norm_ (Keras's global_clipnorm).
        clip_value: each element of the gradient is cut off at plus and minus this, as by
            torch.nn.utils.clip_grad_value_. At most one of the two.
    Raises InputError: a setting out of range, or both clippings.
    """

    learning_rate: float | Schedule
    clip_norm: float | None = field(default=None, kw_only=True)
    clip_value: float | None = field(default=None, kw_only=True)

    name: ClassVar[str]  # in ``compile``; also the kernel's name
    slots: ClassVar[tuple[str, ...]]  # names of the state vectors, in the kernel's order
    # Settings with which the checks make the optimizer, each variant named after its last one.
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    decays: ClassVar[bool] = False  # the parameters are multiplied before the step: two more roundings
    # A setting that is True or False -> the vector that it adds; a kernel named after both does it.
    variants: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, Schedule):
            require_number("learning_rate", self.learning_rate, 0.0)
        limits = [name for name in ("clip_norm", "clip_value") if getattr(self, name) is not None]
        for name in limits:
            require_positive(name, getattr(self, name))
        if len(limits) == 2:
            raise InputError("clip_norm and clip_value are both given, expected at most one; leave one out")
        super().__post_init__()

    @property
    def kernel(self) -> str:
        """The name of its kernel."""
        return "_".join([self.name, *(name for name in self.variants if getattr(self, name))])

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the vectors that it keeps."""
        return (*self.slots, *(slot for name, slot in self.variants.items() if getattr(self, name)))

    @property
    def uses_plain_kernel(self) -> bool:
        """Whether its step is the usual kernel and nothing else."""
        return type(self).bind is Optimizer.bind and (self.clip_norm, self.clip_value) == (None, None)

    def settings(self) -> tuple[Any, ...]:
        """The kernel's settings: the fields in their order, without those that all optimizers have."""
        shared = {f.name for f in fields(Optimizer)} | set(self.variants)
        return tuple(getattr(self, f.name) for f in fields(self) if f.name not in shared)

    def bind(self, backend: Backend) -> Kernel:
        """The step: a function of parameters (n,), gradients (n,), slots, control (4,) and settings, as those
        in ``backends.reference.optimizers``. An optimizer of your own returns one here.
        """
        return backend.kernel(self.kernel)

    def config(self) -> dict[str, Any]:
        """Name and settings as JSON values."""
        rate = self.learning_rate.config() if isinstance(self.learning_rate, Schedule) else self.learning_rate
        return {"name": self.name, **asdict(self), "learning_rate": rate}


class OptimizerState:
    """An optimizer's vectors and control array for one model.

    Attributes:
        vectors: slot name -> (n,) vector beside the parameters.
        control: (4,) on the device; its places are named in ``backends.reference.control``.
        rates: (R,), the rate of each update, and of all after them.
        step: takes one update from the gradients that are there; no arguments, no host read.
    """

    def __init__(self, optimizer: Optimizer, parameters: Parameters, backend: Backend) -> None:
        self.optimizer = optimizer
        self.vectors = {slot: backend.zeros(parameters.values.shape[0]) for slot in optimizer.slot_names}
        self.control = backend.zeros(4)
        rate = optimizer.learning_rate
        table = rate.rates() if isinstance(rate, Schedule) else np.asarray([rate])
        self.rates = rates = backend.from_host(table.astype(backend.dtype_name))
        self.control[RATE] = rates[0:1]
        kernel = optimizer.bind(backend)
        arrays = (parameters.values, parameters.gradients, tuple(self.vectors.values()), self.control)
        parts: list[Callable[[], None]] = [partial(kernel, *arrays, optimizer.settings())]
        self.parts = parts  # of the step, one after another; the last is the kernel's
        for name in ("clip_norm", "clip_value"):
            limit = getattr(optimizer, name)
            if limit is not None:
                parts.insert(0, partial(backend.kernel(name), parameters.gradients, float(limit)))
        gather = backend.kernel("gather_rows")
        last = backend.zeros(1)
        last[...] = float(table.size - 1)

        def next_rate() -> None:
            xp = backend.xp
            control = self.control
            gather(rates, xp.astype(xp.minimum(control[UPDATES], last), xp.int64), control[RATE], 1.0)

        if table.size > 1:
            parts.insert(0, next_rate)

        def step() -> None:
            for part in parts:
                part()

        self.step: Callable[[], None] = step if len(parts) > 1 else parts[0]
