"""The settings of a benchmark, shared by all contenders and passed to workers as JSON."""

from dataclasses import dataclass

from dnn.validation.settings import look_up, positive_integer

DATASETS = ("mnist", "fashion_mnist", "kmnist", "digits", "random")
ACTIVATIONS = ("sigmoid", "tanh", "relu")


@dataclass(frozen=True)
class Settings:
    """The lecture's network by default: 784-500-500-10, cross-entropy, Adam 1e-3, float32.

    Raises InputError: a setting out of range.
    """

    dataset: str = "mnist"  # a name of ``dnn.datasets``, or "random" (6,000 noise images of 784 pixels)
    data_dir: str | None = None  # data folder; None: DNN_DATA_DIR, else ./data
    hidden: tuple[int, ...] = (500, 500)  # units of each hidden layer; may be empty
    activation: str = "sigmoid"  # of the hidden layers: "sigmoid", "tanh" or "relu"
    batch: int = 100  # batch size
    # Number of timed updates. The warm-up before is one epoch, or ``updates`` if that is fewer: it brings
    # Adam's moments to the values of a real training, where they decay into denormals.
    updates: int = 1200
    # Updates per slice. Contenders that train full epochs in one call are timed an epoch at a time.
    slice: int = 100
    threads: int | None = None  # threads per matrix product; None: the library's default

    def __post_init__(self) -> None:
        look_up("dataset", self.dataset, dict.fromkeys(DATASETS))
        look_up("activation", self.activation, dict.fromkeys(ACTIVATIONS))
        object.__setattr__(self, "hidden", tuple(positive_integer("hidden", n) for n in self.hidden))
        for name in ("batch", "updates"):
            positive_integer(name, getattr(self, name))
        if self.threads is not None:
            positive_integer("threads", self.threads)
