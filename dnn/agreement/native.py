"""Native PyTorch as a contender: torch.nn, autograd and torch.optim; no line of our arithmetic."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

import numpy as np

import dnn.interop.torch as twin
from backends import Array, get_backend
from backends.reference import ACTIVATIONS
from backends.reference.control import RATE, UPDATES
from dnn.agreement import native_fit
from dnn.agreement.cases import Case, Data, FitCase
from dnn.agreement.contender import Batches, Contender, Network, built
from dnn.agreement.state import Named, State
from dnn.interop.torch import convert
from dnn.interop.torch.layers import ACTIVATION_TWINS, LAYER_TWINS
from dnn.interop.torch.losses_and_optimizers import LOSS_TWINS, OPTIMIZER_TWINS
from dnn.interop.torch.twins import NoTwin
from dnn.layers import LAYERS, Layer
from dnn.losses import LOSSES, Loss
from dnn.optimizers import OPTIMIZERS


class NativeNetwork(Network):
    """The twin of the case's model, and a torch.optim optimizer."""

    def __init__(self, owner: Contender, case: Case) -> None:
        super().__init__(owner, case)
        # From a NumPy model, so that the twin's weights never were in our torch code.
        model = case.model(get_backend("numpy", dtype=self.dtype))
        self.module = twin.to_torch(model, self.backend.device)
        self.loss = twin.torch_loss(case.loss)
        self.optimizer = twin.torch_optimizer(case.optimizer, self.module)
        keys = OPTIMIZER_TWINS[case.optimizer.name].slots
        self.slots = {slot: keys[slot] for slot in case.optimizer.kept}
        self.start = np.array(model.optimizer_state.control, dtype=np.float64)
        self.updates = 0

    def _put(self, target: Array, values: np.ndarray, axes: tuple[int, ...]) -> None:
        import torch

        with torch.no_grad():
            target.permute(axes).copy_(torch.from_numpy(values.astype(self.dtype)))

    def _get(self, name: str, tensor: Array, axes: tuple[int, ...]) -> np.ndarray:
        array = tensor.detach().permute(axes)
        return self.receive(name, array, array.shape)

    def load(self, state: State) -> None:
        import torch

        self.updates = int(state.control[UPDATES][0])
        for group in self.optimizer.param_groups:
            group["lr"] = float(state.control[RATE][0])
        for name, p, axes in convert.twin_parameters(self.module):
            self._put(p, state.values[name], axes)
            own: dict[str, Array] = {"step": torch.tensor(float(self.updates))}
            for slot, key in self.slots.items():
                own[key] = torch.zeros_like(p)
                self._put(own[key], state.slots[slot][name], axes)
            self.optimizer.state[p] = own

    def state(self) -> State:
        import torch

        values: Named = {}
        slots: dict[str, Named] = {slot: {} for slot in self.slots}
        for name, p, axes in convert.twin_parameters(self.module):
            values[name] = self._get(name, p, axes)
            for slot, key in self.slots.items():
                vector = self.optimizer.state[p].get(key)
                vector = torch.zeros_like(p) if vector is None else vector
                slots[slot][name] = self._get(f"{slot} {name}", vector, axes)
        control = np.array(self.start)
        control[UPDATES] = self.updates
        return State(values, slots, control)

    def _batch(self, x: np.ndarray) -> Array:
        return self.backend.from_host(x.astype(self.dtype))

    def pre_activations(self, x: np.ndarray) -> Named:
        import torch

        layers = {name.split(".")[0] for name, _, _ in convert.twin_parameters(self.module)}
        found: Named = {}
        h = self._batch(x)
        with torch.no_grad():
            for name, child in self.module.named_children():
                h = child(h)
                if name in layers:
                    found[name] = self.receive(f"z {name}", h, h.shape)
        return found

    def predict(self, x: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            outputs = self.module(self._batch(x))
        return self.receive("outputs", outputs, (len(x), self.case.classes))

    def _backward(self, x: np.ndarray, y: np.ndarray) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.module(self._batch(x)), self.backend.from_host(y)).backward()

    def gradients(self, x: np.ndarray, y: np.ndarray) -> Named:
        self._backward(x, y)
        return {name: self._get(name, p.grad, axes) for name, p, axes in convert.twin_parameters(self.module)}

    def repeat(self, gradients: Named, n: int) -> None:
        import torch

        for name, p, axes in convert.twin_parameters(self.module):
            p.grad = torch.zeros_like(p)
            self._put(p.grad, gradients[name], axes)
        for _ in range(n):
            self._adapt()

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        self._backward(x, y)
        self._adapt()

    def _adapt(self) -> None:
        self.optimizer.step()
        self.updates += 1


class PyTorchContender(Contender):
    """torch.nn and autograd; the torch Backend is used to move data and to compare at the door only."""

    kinks = False  # of hinge: torch's clamp passes the gradient on where both are equal

    def missing_parts(self) -> list[str]:
        layers = [name for name, layer in LAYERS.items() if not layer.random]  # random ones are not compared
        tables: tuple[tuple[str, Iterable[str], Collection[str]], ...] = (
            ("activation", ACTIVATIONS, {"linear", *ACTIVATION_TWINS}),
            ("layer", layers, LAYER_TWINS),
            ("loss", LOSSES, LOSS_TWINS),
            ("optimizer", OPTIMIZERS, OPTIMIZER_TWINS),
        )
        return [f"{kind} {name!r}" for kind, ours, twins in tables for name in ours if name not in twins]

    def loss(self, loss: str | Loss, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        (outputs_,) = self.move(outputs)
        wanted = self.backend.from_host(targets) if targets.ndim == 1 else self.move(targets)[0]
        value = twin.torch_loss(loss)(outputs_.requires_grad_(), wanted)
        value.backward()
        mean = self.receive("loss", value.detach(), ())
        return float(mean), self.receive("dy", outputs_.grad, outputs.shape)

    def use(
        self, layer: Layer, shape: tuple[int, ...], values: Mapping[str, np.ndarray], batches: Batches
    ) -> Named:
        import torch

        if layer.random:
            raise NoTwin(f"layer {type(layer).__name__} draws its own random numbers in torch")
        backend = self.backend
        host = get_backend("numpy", dtype=backend.dtype_name)
        parameters = built(layer, shape, host, values)
        module = torch.nn.Sequential(OrderedDict(convert.layer_modules(layer, backend.dtype, backend.device)))
        found: Named = {}
        for i, (x, dy) in enumerate(batches):
            mark = f" {i + 1}" if i else ""
            x_, dy_ = self.move(x, dy)
            module.zero_grad()
            y = module(x_.requires_grad_())
            y.backward(dy_)
            found[f"y{mark}"] = self.receive("y", y.detach(), (len(x), *layer.output_shape))
            if x_.grad is not None:
                found[f"dx{mark}"] = self.receive("dx", x_.grad, x.shape)
            for name, p, axes in convert.twin_parameters(module):
                short = name.partition(".")[2]
                gradient = None if p.grad is None else p.grad.permute(axes)
                found[f"d{short}{mark}"] = self.receive(f"d{short}", gradient, parameters.shapes[short])
        with torch.no_grad():
            y = module.eval()(*self.move(x))
        found["y in evaluation"] = self.receive("y", y, (len(x), *layer.output_shape))
        for name, buffer, _ in convert.twin_parameters(module, state=True):
            short = name.partition(".")[2]
            found[short] = self.receive(short, buffer, tuple(layer.state[short].shape))
        return found

    def fit(self, case: FitCase) -> Named:
        return native_fit.fit(case, self.backend)

    def open(self, case: Case) -> NativeNetwork:
        return NativeNetwork(self, case)

    def accuracy(self, case: Case, train: Data, test: Data, epochs: int, batch_size: int) -> float:
        module = twin.to_torch(case.model(get_backend("numpy")), self.backend.device)
        history = twin.fit(
            module, train.x, train.y, batch_size=batch_size, epochs=epochs, seed=case.seed,
            loss=case.loss, optimizer=case.optimizer, validation_data=(test.x, test.y),
        )  # fmt: skip
        return history.history["val_accuracy"][-1]
