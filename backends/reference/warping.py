"""Image augmentation: warp images by an affine matrix and smooth random displacements."""

from backends.reference.arithmetic import clip
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array
from backends.reference.windows import pad

SMOOTHING_ROW_SUM = 4096
"""Sum of the smoothing weights of one row in ``displacements``. Weights are integers, so sums are exact."""
# Factor of the sums over the first axis; they are then below 2^11.
FIRST_SUM_SCALE = 2.0**-9
# Factor of the sums over the second axis: 1 over their bound, 2^8 SMOOTHING_ROW_SUM^2 FIRST_SUM_SCALE.
MOVES_SCALE = 2.0**-23


class WarpingKernels(KernelBase):
    """Displacements, and images moved by them."""

    @kernel(writes=("moves",))
    def displacements(self, bits: Array, rows: Array, columns: Array, strength: float, moves: Array) -> None:
        """``moves = strength * noise`` from -1 to 1, smoothed down and across (Simard et al. 2003).

        Noise is bytes, weights are integers, and all sums of their products are below 2^24. So the sums are
        exact in float32 in any order, and the moves have the same bits on every library.

        Reads bits (B, n) int64 in [0, 2^63), seven bytes each, n at least 2 H W / 7; rows (H, H) and columns
        (W, W), integer weights of place i in place j; a row sums to at most SMOOTHING_ROW_SUM. Writes moves
        (B, 2, H, W).
        """
        xp = self.xp
        height, width = moves.shape[2:]
        noise = xp.concat([(bits >> (8 * i)) & 0xFF for i in range(7)], axis=1)[:, : 2 * height * width]
        noise = xp.reshape(xp.astype(2 * noise - 255, moves.dtype), (-1, height))
        down = xp.floor(xp.matmul(noise, rows) * FIRST_SUM_SCALE + 0.5)
        transposed = xp.permute_dims(xp.reshape(down, (-1, width, height)), (0, 2, 1))
        across = xp.matmul(xp.reshape(transposed, (-1, width)), columns)
        moves[...] = xp.reshape(across, moves.shape) * (strength * MOVES_SCALE)

    @kernel(writes=("y",))
    def warp_images(self, x: Array, matrix: Array, moves: Array, y: Array) -> None:
        """``y[place] = x[matrix place + move]``; a place is (row, column) from the image's center.

        Interpolation is bilinear; pixels outside the image are 0. No product is fused with a sum, so that all
        libraries round alike.

        Reads x (B, H, W, C), matrix (B, 2, 2) and moves (B, 2, H, W), in pixels; writes y (B, H, W, C).
        """
        xp = self.xp
        batch, height, width, channels = x.shape
        down, right = (xp.arange(n, dtype=x.dtype, device=x.device) - 0.5 * (n - 1) for n in (height, width))
        weights = []
        places = []  # for rows, then columns: weights of the two neighbors; place of the first neighbor
        for i, n in enumerate((height, width)):
            to_row, to_column = (matrix[:, i, j, None, None] for j in (0, 1))
            place = to_row * down[:, None] + to_column * right + 0.5 * (n - 1) + moves[:, i, ...]
            place = clip(xp, place, -2.0, float(n))  # farther out all neighbors are border zeros
            begin = xp.floor(place)
            weights.append((1.0 - (place - begin), place - begin))
            places.append(xp.astype(begin, xp.int64) + 2)
        wide = xp.reshape(pad(xp, x, ((2, 2), (2, 2))), (-1, channels))
        line = width + 4
        first = xp.arange(batch, dtype=xp.int64, device=x.device)[:, None, None] * ((height + 4) * line)
        first = xp.reshape(first + places[0] * line + places[1], (-1,))
        total = 0.0
        for i in (0, 1):
            for j in (0, 1):
                pixels = xp.reshape(xp.take(wide, first + (i * line + j), axis=0), x.shape)
                total = total + pixels * (weights[0][i] * weights[1][j])[..., None]
        y[...] = total
