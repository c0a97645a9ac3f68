"""Native PyTorch as a contender: torch.nn, autograd and torch.optim, without our arithmetic."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import replace

import dnn.interop.torch as twin
from backends import Array, Backend, get_backend
from dnn.agreement.call import Call
from dnn.agreement.cases import Case, Data
from dnn.agreement.contender import Batches, Contender, LayerPasses, Tensors
from dnn.agreement.tensors import receive
from dnn.interop import NoTwin
from dnn.interop.torch import convert
from dnn.interop.torch.layers import ACTIVATION_TWINS, LAYER_TWINS
from dnn.interop.torch.losses_and_optimizers import LOSS_TWINS, OPTIMIZER_TWINS
from dnn.layers import LAYERS, Layer
from dnn.parameters import Parameters
from dnn.sequential import Sequential
from dnn.typing import HostArrays


class PyTorchContender(Contender):
    """torch.nn and autograd. The torch Backend only moves data and checks results."""

    is_partial = True

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

    def tensors(self, model: Sequential, x: Array, y: Array) -> Tensors:
        module = twin.to_torch(model, self.backend.device)
        trained = {name.split(".")[0] for name, _, _ in convert.twin_parameters(module)}
        h = x
        for name, child in module.named_children():
            h = child(h)
            if name in trained:
                yield f"z {name}", h.detach()
        yield "outputs", h.detach()
        twin.torch_loss(model.objective)(h, y).backward()
        for name, p, axes in convert.twin_parameters(module):
            yield f"d {name}", p.grad.permute(axes)

    def train(self, case: Case, batches: Batches) -> HostArrays:
        module = twin.to_torch(case.model(self.builder), self.backend.device)
        loss = twin.torch_loss(case.loss)
        optimizer = twin.torch_optimizer(case.optimizer, module)
        for x, y in batches:
            optimizer.zero_grad(set_to_none=True)
            loss(module(self.move(x)[0]), self.backend.from_host(y)).backward()
            optimizer.step()
        parameters = convert.twin_parameters(module)
        return receive(self.backend, ((name, p.detach().permute(axes)) for name, p, axes in parameters))

    def kernel(self, call: Call) -> HostArrays:
        import torch

        if call.optimizer is None:
            self.raise_no_twin()
        control = call.arrays["control"]
        values, gradient, *slots = self.move(*call.arrays.values())[:-1]
        module = torch.nn.Module()
        module.p = p = torch.nn.Parameter(values)
        optimizer = twin.torch_optimizer(replace(call.optimizer, learning_rate=float(control[0])), module)
        p.grad = gradient
        keys = [OPTIMIZER_TWINS[call.optimizer.name].slots[slot] for slot in call.optimizer.slot_names]
        optimizer.state[p] = {"step": torch.tensor(float(control[3])), **dict(zip(keys, slots, strict=True))}
        for _ in range(call.repeat):
            optimizer.step()
        after = (self.backend.to_host(array) for array in (p.detach(), gradient, *slots))
        return dict(zip(call.arrays, after, strict=False))  # torch has no control

    def accuracy(self, case: Case, train: Data, test: Data, epochs: int) -> float:
        module = twin.to_torch(case.model(self.builder), self.backend.device)
        history = twin.fit(
            module, train.x, train.y, epochs=epochs, seed=case.seed,
            loss=case.loss, optimizer=case.optimizer, validation_data=(test.x, test.y),
        )  # fmt: skip
        return history.history["val_accuracy"][-1]
