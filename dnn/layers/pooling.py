"""GlobalAveragePooling2D: one number for each channel of an image."""

from backends import InputError
from dnn.layers.layer import Array, Layer, Shape


class GlobalAveragePooling2D(Layer):
    """The mean of each channel over the whole image: (H, W, C) -> (C,) (Lin et al. 2014); Keras's layer.

    Args:
        name: None: "global_average_pooling2d_1", ...

    >>> GlobalAveragePooling2D().shape_after((7, 7, 64))
    (64,)
    """

    def shape_after(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise InputError(
                f"layer {self.name!r} (GlobalAveragePooling2D) got examples of shape {input_shape}, expected "
                f"images (H, W, C); put Reshape((H, W, C)) before it"
            )
        return (input_shape[2],)

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        y = self.backend.zeros((batch, *self.output_shape))
        return {"y": y, "dx": self.dx_buffer(batch, training)}

    def forward(self, x: Array, *, training: bool) -> Array:
        """y_c = mean over the pixels of x_pqc; nothing need be kept."""
        y = self._buffers[x.shape[0]].y
        y[...] = self.backend.xp.mean(x, axis=(1, 2))
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx_pqc = dy_c / (H W), the same for every pixel."""
        dx = self._buffers[dy.shape[0]].dx
        if dx is not None:
            dx[...] = dy[:, None, None, :] / (dx.shape[1] * dx.shape[2])
        return dx
