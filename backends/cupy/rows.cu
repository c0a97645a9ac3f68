// The loss, which reduces rows. This text follows arithmetic.cuh; REAL is defined before: float or double.
// There are no atomics: sums have a fixed order, so a run can be repeated bit for bit.

namespace {

const unsigned int ALL_LANES = 0xffffffffu;

__device__ REAL warp_larger(REAL value) {
    for (int offset = 16; offset > 0; offset /= 2)
        value = dnn::larger(value, __shfl_xor_sync(ALL_LANES, value, offset));
    return value;
}

__device__ REAL warp_sum(REAL value) {
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(ALL_LANES, value, offset);
    return value;
}

// Loss of one row and its gradient (softmax - target) / batch: one row per warp, blockDim = (32, rows per block). dz
// may be z.
__device__ void row_cross_entropy(const REAL* z, int target, int batch, int classes, REAL* loss, REAL* dz) {
    // Every lane starts from a number of the row; reading column 0 twice does not change the maximum.
    REAL maximum = z[threadIdx.x < classes ? threadIdx.x : 0], total = 0;
    for (int c = threadIdx.x; c < classes; c += 32) maximum = dnn::larger(maximum, z[c]);
    maximum = warp_larger(maximum);
    for (int c = threadIdx.x; c < classes; c += 32) total += exp(z[c] - maximum);
    total = warp_sum(total);
    for (int c = threadIdx.x; c < classes; c += 32) {
        const REAL shifted = z[c] - maximum;
        if (c == target) *loss = log(total) - shifted;
        dz[c] = (exp(shifted) / total - REAL(c == target)) / batch;
    }
}

}  // namespace

extern "C" {

__global__ void softmax_cross_entropy(const REAL* logits, const long long* targets, int batch, int classes,
                                      REAL* losses, REAL* dlogits) {
    const long long row = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y, at = row * classes;
    if (row < batch) row_cross_entropy(logits + at, targets[row], batch, classes, losses + row, dlogits + at);
}

}  // extern "C"
