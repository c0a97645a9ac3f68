"""Native PyTorch as a contender: torch.nn, autograd and torch.optim, without our arithmetic."""

from collections import OrderedDict
from collections.abc import Collection, Mapping

import numpy as np

import dnn.interop.torch as twin
from backends import Array, Backend, get_backend
from backends.reference.control import RATE, UPDATES
from dnn.agreement.cases import Case, Data
from dnn.agreement.contender import Contender, LayerPasses, Network, Tensors
from dnn.agreement.state import Named, State
from dnn.interop.torch import convert
from dnn.interop.torch.layers import ACTIVATION_TWINS, LAYER_TWINS
from dnn.interop.torch.losses_and_optimizers import LOSS_TWINS, OPTIMIZER_TWINS
from dnn.interop.torch.twins import NoTwin
from dnn.layers import LAYERS, Layer
from dnn.parameters import Parameters


class NativeNetwork(Network):
    """The torch twin of the case's model with a torch.optim optimizer."""

    def __init__(self, owner: Contender, case: Case) -> None:
        super().__init__(owner, case)
        self.module = twin.to_torch(self.model, self.backend.device)
        self.loss = twin.torch_loss(case.loss)
        self.optimizer = twin.torch_optimizer(case.optimizer, self.module)
        keys = OPTIMIZER_TWINS[case.optimizer.name].slots
        self.slots = {slot: keys[slot] for slot in case.optimizer.slot_names}
        self.updates = 0

    def _put(self, target: Array, values: np.ndarray, axes: tuple[int, ...]) -> None:
        import torch

        with torch.no_grad():
            target.permute(axes).copy_(self.owner.move(values)[0])

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

        values: dict[str, Array] = {}
        slots: dict[str, dict[str, Array]] = {slot: {} for slot in self.slots}
        for name, p, axes in convert.twin_parameters(self.module):
            values[name] = p.detach().permute(axes)
            for slot, key in self.slots.items():
                vector = self.optimizer.state[p].get(key)
                slots[slot][name] = (torch.zeros_like(p) if vector is None else vector).permute(axes)
        control = np.array(self.model.optimizer_state.control, dtype=np.float64)
        control[UPDATES] = self.updates
        return State(self.receive(values), {k: self.receive(v) for k, v in slots.items()}, control)

    def tensors(self, x: Array, y: Array) -> Tensors:
        trained = {name.split(".")[0] for name, _, _ in convert.twin_parameters(self.module)}
        h = x
        for name, child in self.module.named_children():
            h = child(h)
            if name in trained:
                yield f"z {name}", h.detach()
        yield "outputs", h.detach()
        self._backward(x, y)
        for name, p, axes in convert.twin_parameters(self.module):
            yield f"d {name}", p.grad.permute(axes)

    def _backward(self, x: Array, y: Array) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.module(x), y).backward()

    def repeat(self, gradients: Named, n: int) -> None:
        import torch

        for name, p, axes in convert.twin_parameters(self.module):
            p.grad = torch.zeros_like(p)
            self._put(p.grad, gradients[name], axes)
        for _ in range(n):
            self._adapt()

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        self._backward(self.owner.move(x)[0], self.backend.from_host(y))
        self._adapt()

    def _adapt(self) -> None:
        self.optimizer.step()
        self.updates += 1


class PyTorchContender(Contender):
    """torch.nn and autograd. The torch Backend only moves data and checks results."""

    @property
    def builder(self) -> Backend:
        """NumPy, so that the twin's weights do not pass through our torch backend."""
        return get_backend("numpy", dtype=self.backend.dtype_name)

    def counterparts(self) -> Mapping[str, Collection[str]]:
        drawn = [name for name, layer in LAYERS.items() if layer.random]  # not compared
        return {
            "activation": {"linear", *ACTIVATION_TWINS},
            "layer": {*LAYER_TWINS, *drawn},
            "loss": LOSS_TWINS,
            "optimizer": OPTIMIZER_TWINS,
        }

    def open_layer(self, layer: Layer, parameters: Parameters) -> LayerPasses:
        import torch

        if layer.random:
            raise NoTwin(f"layer {type(layer).__name__} draws its own random numbers in torch")
        modules = convert.layer_modules(layer, self.backend.dtype, self.backend.device)
        module = torch.nn.Sequential(OrderedDict(modules))

        def train(x: Array, dy: Array) -> Tensors:
            module.zero_grad()
            y = module(x.requires_grad_())
            y.backward(dy)
            yield "y", y.detach()
            if x.grad is not None:
                yield "dx", x.grad
            for name, p, axes in convert.twin_parameters(module):
                yield f"d{name.partition('.')[2]}", p.grad.permute(axes)

        def evaluate(x: Array) -> Tensors:
            yield "y in evaluation", module.eval()(x).detach()
            for name, buffer, _ in convert.twin_parameters(module, state=True):
                yield name.partition(".")[2], buffer

        return train, evaluate

    def open(self, case: Case) -> NativeNetwork:
        return NativeNetwork(self, case)

    def accuracy(self, case: Case, train: Data, test: Data, epochs: int, batch_size: int) -> float:
        module = twin.to_torch(case.model(self.builder), self.backend.device)
        history = twin.fit(
            module, train.x, train.y, batch_size=batch_size, epochs=epochs, seed=case.seed,
            loss=case.loss, optimizer=case.optimizer, validation_data=(test.x, test.y),
        )  # fmt: skip
        return history.history["val_accuracy"][-1]
