"""torch's kernels of dense networks: fused calls that write into existing tensors.

The backward functions make the calls that autograd makes.
"""

import torch

from backends.processor import this_processor
from backends.reference import Kernels
from backends.reference.activations import SATURATION_BOUND
from backends.reference.signatures import Array, Arrays

aten = torch.ops.aten
LARGE_PRODUCT = 2**24  # multiplications
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
HAS_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
PREFERS_ONEDNN = HAS_ONEDNN and HAS_AVX512 and "Intel" not in this_processor().name
ONEDNN_COMPUTES_DW = PREFERS_ONEDNN and this_processor().family >= 26  # AMD's Zen 5 and later ones


class TorchDense(Kernels):
    """Dense layers, activations and rows by index.

    On AMD's processors with AVX-512 oneDNN computes ``x W`` and ``dz W^T`` if they are large and float32.
    Otherwise torch calls MKL. On 2 cores of an AMD EPYC (Zen 4) oneDNN takes 5 to 20 % less time for these
    products, although it allocates its result. It is slower for dW, and for small products, since each call
    takes 12 microseconds longer. Zen 5 computes 512 bits at once, of which MKL uses 256: there oneDNN takes
    half of MKL's time, for dW too. With MKL an update of the lecture's network takes 15 % less time on 2
    cores of an Intel Xeon (AVX-512), and large networks take up to 5 % less on an AMD EPYC with AVX2.
    """

    def gather_rows(self, rows: Array, index: Array, out: Array, scale: float) -> None:
        """Convert and scale the rows in ``out``, which takes half the time of new arrays."""
        if rows.dtype == out.dtype:
            torch.index_select(rows, 0, index, out=out)
        else:
            out.copy_(torch.index_select(rows, 0, index))
        if scale != 1.0:
            out.mul_(scale)

    def scatter_rows(self, rows: Array, index: Array, out: Array) -> None:
        out.zero_().index_add_(0, index, rows)

    def activation(self, name: str, z: Array, y: Array) -> None:
        if name == "sigmoid":
            torch.sigmoid(z, out=y)
        elif name == "relu":
            torch.clamp_min(z, 0.0, out=y)
        elif name == "gelu":  # outside of this bound torch's calls give NaN: -inf times 0, and z z overflows
            aten.gelu.out(z.clamp_min(-SATURATION_BOUND), approximate="tanh", out=y)
        else:
            super().activation(name, z, y)

    def activation_backward(self, name: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
        if name == "sigmoid":
            aten.sigmoid_backward.grad_input(dy, y, grad_input=dz)
        elif name == "relu":
            aten.threshold_backward.grad_input(dy, z, 0.0, grad_input=dz)
        elif name == "gelu":
            z = z.clamp(-SATURATION_BOUND, SATURATION_BOUND)
            aten.gelu_backward.grad_input(dy, z, approximate="tanh", grad_input=dz)
        else:
            super().activation_backward(name, dy, z, y, dz)

    def softmax_cross_entropy(self, logits: Array, targets: Array, losses: Array, dlogits: Array) -> None:
        if targets.ndim == 2:
            return super().softmax_cross_entropy(logits, targets, losses, dlogits)
        index = targets[:, None]
        torch.neg(torch.log_softmax(logits, 1).gather(1, index)[:, 0], out=losses)
        torch.softmax(logits, 1, out=dlogits)
        dlogits.scatter_(1, index, dlogits.gather(1, index) - 1.0).div_(logits.shape[0])

    def dense(self, x: Array, W: Array, b: Array, z: Array) -> None:
        if _suits_onednn(x, W):
            z.copy_(_onednn_linear(x, W.T, b))
        else:
            torch.addmm(b, x, W, out=z)

    def dense_backward(self, dz: Array, x: Array, W: Array, gradients: Arrays) -> None:
        dW, db, dx = gradients
        if ONEDNN_COMPUTES_DW and _suits_onednn(dz, W):
            dW.copy_(_onednn_linear(x.T, dz.T, None))
        else:
            torch.mm(x.T, dz, out=dW)
        torch.sum(dz, 0, out=db)
        if dx is None:
            return
        if _suits_onednn(dz, W):
            dx.copy_(_onednn_linear(dz, W, None))
        else:
            torch.mm(dz, W.T, out=dx)


def _suits_onednn(rows: Array, W: Array) -> bool:
    """Return whether oneDNN can make the product of the rows and W, or x, and takes less time."""
    suits = PREFERS_ONEDNN and rows.is_cpu and rows.dtype == torch.float32
    return suits and rows.shape[0] * W.numel() >= LARGE_PRODUCT


def _onednn_linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """Return ``x weight^T + bias`` as a new tensor. The call is private to torch; torch.compile makes it."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
