"""Native PyTorch as a contender: torch.nn, autograd and torch.optim, without our arithmetic."""

from collections import OrderedDict
from dataclasses import replace

import dnn.interop.torch as twin
from backends import Array
from dnn.agreement.calls.call import Call
from dnn.agreement.cases import Case, FitCase
from dnn.agreement.contenders.contender import Batches, Contender, Passes, Tensors, receive
from dnn.agreement.textbook.training import learning_rate
from dnn.interop import NoTwin
from dnn.interop.torch import convert
from dnn.interop.torch.layouts import Layout
from dnn.interop.torch.losses_and_optimizers import OPTIMIZER_TWINS
from dnn.layers import Layer
from dnn.parameters import Parameters
from dnn.sequential import Sequential
from dnn.typing import HostArrays


class PyTorchContender(Contender):
    """torch.nn and autograd. The torch Backend only moves data and weights, and checks results."""

    is_partial = True

    def layer_tensors(self, layer: Layer, parameters: Parameters, passes: Passes) -> Tensors:
        import torch

        if layer.random:
            raise NoTwin(f"layer {type(layer).__name__} draws its own random numbers in torch")
        modules = convert.layer_modules(layer, Layout())
        module = torch.nn.Sequential(OrderedDict(modules)).to(self.backend.device)
        for suffix, x, dy in passes:
            module.zero_grad()
            y = module(x.requires_grad_())
            y.backward(dy)
            yield f"y{suffix}", y.detach()
            if x.grad is not None:
                yield f"dx{suffix}", x.grad
            for name, _, gradient in convert.twin_tensors(module):
                if gradient is not None:  # None: a buffer
                    yield f"d{name.partition('.')[2]}{suffix}", gradient
        yield "y in evaluation", module.eval()(x).detach()
        for name, tensor, _ in convert.twin_tensors(module):
            if (short := name.partition(".")[2]) in layer.state:
                yield short, tensor

    def tensors(self, model: Sequential, x: Array, y: Array) -> Tensors:
        module = twin.to_torch(model, logits=model.reads_logits)
        h = x
        for name, child in module.named_children():
            h = child(h)
            if list(child.parameters()):
                yield f"z {name}", h.detach()
        yield "outputs", h.detach()
        twin.torch_loss(model.objective)(h, y).backward()
        for name, _, gradient in convert.twin_tensors(module):
            yield f"d {name}", gradient

    def train(self, case: Case, batches: Batches) -> HostArrays:
        model = case.model(self.backend)
        module = twin.to_torch(model, logits=model.reads_logits)
        loss = twin.torch_loss(case.loss)
        optimizer = twin.torch_optimizer(case.optimizer, module)
        for step, (x, y) in enumerate(batches):
            optimizer.param_groups[0]["lr"] = learning_rate(case.optimizer.learning_rate, step)
            optimizer.zero_grad(set_to_none=True)
            loss(module(self.move(x)[0]), self.backend.from_host(y)).backward()
            optimizer.step()
        tensors = convert.twin_tensors(module)
        return receive(self.backend, ((name, tensor) for name, tensor, _ in tensors))

    def kernel(self, call: Call) -> HostArrays:
        import torch

        if call.optimizer is None:
            raise NoTwin(f"torch has no kernel {call.kernel}")
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

    def fit(self, case: FitCase) -> HostArrays:
        raise NoTwin("torch has no fit")
