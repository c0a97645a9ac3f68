"""What a model adds to a layer, and the error of a layer that is used without a model."""

from typing import TYPE_CHECKING, Any, ClassVar

from backends import Backend, InputError


class NotInModel(InputError, AttributeError):
    """A layer was used before it was part of a model."""

    def __init__(self, part: "ModelPart") -> None:
        super().__init__(f"a {type(part).__name__} layer is in no model yet", "Sequential([...]) around it")


class ModelPart:
    """Base of objects that work only as part of a model, which sets ``_backend`` when it builds them."""

    _backend: ClassVar[Backend | None] = None

    @property
    def backend(self) -> Backend:
        """Backend of the model. Raises InputError: the layer is in no model."""
        if self._backend is None:
            raise NotInModel(self)
        return self._backend

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Raise an error: layers are not called, as those of Keras are."""
        got = f"a {type(self).__name__} layer was called like a function"
        raise InputError(got, "Sequential([...]) with all layers", "Residual and Parallel make branches")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise an error that explains why an attribute set by ``build`` is missing."""
            is_set_by_build = name == "backend" or (name.startswith("_") and not name.startswith("__"))
            if is_set_by_build and self._backend is None:
                raise NotInModel(self)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
