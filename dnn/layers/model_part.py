"""What a model adds to a layer, and the error of a layer that is used without a model."""

from typing import TYPE_CHECKING, Any

from backends import Backend, InputError
from backends.errors import MissingAttribute
from dnn.keras_names import missing_attribute


class ModelPart:
    """Base of objects that work only as part of a model, which sets ``backend`` when it builds them."""

    backend: Backend

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Raise an error: layers are not called, as those of Keras are."""
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
