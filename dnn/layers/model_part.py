"""The attributes of a layer that are no settings, and the error of a layer that is used without a model."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backends import Array, Backend, InputError
from backends.errors import MissingAttribute
from dnn.keras_names import missing_attribute
from dnn.typing import Shape

NO_ARRAYS: Mapping[str, Array] = MappingProxyType({})


class ModelPart:
    """Base of layers. A class may override an attribute, or an object sets it once.

    Attributes:
        backend: of the model; missing until the model builds the layer.
        input_shape, output_shape: shapes of one example, once the layer is built.
        value, gradient: trained parameters and their gradients by short name; views of the flat vectors.
        state: arrays by short name that are saved with the weights but not trained, such as running means
            or the number of masks drawn.
        activation: applied last; a loss may contain it and take its input z, the logits, instead of y.
        random: whether the layer draws random numbers in training.
        uses_batch_statistics: whether the output for one example depends on the others in training.
        n_categories: inputs must be integers in [0, n_categories); None: any numbers.
    """

    backend: Backend
    input_shape: Shape = ()
    output_shape: Shape = ()
    value = gradient = state = NO_ARRAYS
    activation = "linear"
    random = False
    uses_batch_statistics = False
    n_categories: int | None = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Raise an error: unlike layers of Keras, these are not called."""
        got = f"a {type(self).__name__} layer was called like a function"
        raise InputError(got, "Sequential([...]) with all layers", "Residual and Parallel make branches")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise an error that explains why an attribute set by ``build`` is missing."""
            kind = type(self).__name__
            is_set_by_build = name == "backend" or (name.startswith("_") and not name.startswith("__"))
            if is_set_by_build and "backend" not in vars(self):
                raise MissingAttribute(f"a {kind} layer is in no model yet", "Sequential([...]) around it")
            raise missing_attribute("layer", self, name)
