"""L1 and L2 regularisation: a penalty on large weights, added to the loss."""

from backends import Array
from dnn.parameters import Parameters
from dnn.settings.checks import require_number


class Penalty:
    """``l1 sum |w| + l2 sum w^2`` over the weights, as Keras's L1L2.

    There is no factor 1/2, so torch's weight_decay is 2 l2. Weights are the parameters with two or more
    axes; biases, and the scale and shift of a normalisation, have no penalty.

    Args:
        parameters: of the model.
        l1, l2: finite numbers of at least 0.
    Raises InputError: l1 or l2 is out of range.
    """

    def __init__(self, parameters: Parameters, l1: float, l2: float) -> None:
        self.l1 = require_number("l1", l1, 0.0)
        self.l2 = require_number("l2", l2, 0.0)
        self._backend = parameters.backend
        names = [name for name, shape in parameters.shapes.items() if len(shape) >= 2]
        both = parameters.by_name, parameters.gradient_by_name
        self._weights = [[self._backend.view(views[n], (-1,)) for n in names] for views in both]

    def value(self) -> Array:
        """Return the penalty, (1,) on the device."""
        xp = self._backend.xp
        total = self._backend.zeros(1)
        for w in self._weights[0]:
            total += self.l1 * xp.sum(xp.abs(w)) + self.l2 * xp.sum(w * w)
        return total

    def add_gradients(self) -> None:
        """Add ``l1 sign(w) + 2 l2 w`` to the gradients, with sign(0) = 0."""
        for w, gradient in zip(*self._weights, strict=True):
            self._backend.kernels.penalty(w, gradient, self.l1, self.l2)
