// Kernels that reduce rows or columns. This text follows arithmetic.cuh; REAL is defined before: float or double.
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

// A row's targets: a class number, or probabilities.
struct OneClass {
    long long target;
    __device__ REAL operator()(int c) const { return target == c ? REAL(1) : REAL(0); }
};

struct Probabilities {
    const REAL* targets;
    __device__ REAL operator()(int c) const { return targets[c]; }
};

__device__ long long row_of_warp() { return static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y; }

// One row per warp: blockDim = (32, rows per block). dz may be z.
template <class Target>
__device__ void softmax_cross_entropy(const REAL* z, Target target, int batch, int classes, REAL* row_loss,
                                      REAL* dz) {
    // Every lane starts from a number of the row; reading column 0 twice does not change the maximum.
    REAL maximum = z[threadIdx.x < classes ? threadIdx.x : 0];
    for (int c = threadIdx.x; c < classes; c += 32) maximum = dnn::larger(maximum, z[c]);
    maximum = warp_larger(maximum);
    REAL total = 0, sum_t = 0;
    for (int c = threadIdx.x; c < classes; c += 32) {
        total += exp(z[c] - maximum);
        sum_t += target(c);
    }
    total = warp_sum(total);
    sum_t = warp_sum(sum_t);
    REAL loss = 0;
    for (int c = threadIdx.x; c < classes; c += 32) {
        const REAL t = target(c), z_c = z[c];
        loss += dnn::cross_entropy_term(t, z_c, maximum, total);
        dz[c] = dnn::cross_entropy_gradient(t, sum_t, z_c, maximum, total, static_cast<REAL>(batch));
    }
    loss = warp_sum(loss);
    if (threadIdx.x == 0) *row_loss = loss;
}

}  // namespace

extern "C" {

__global__ void softmax_cross_entropy_integer(const REAL* logits, const long long* targets, int batch, int classes,
                                              REAL* losses, REAL* dlogits) {
    const long long row = row_of_warp(), at = row * classes;
    if (row >= batch) return;
    softmax_cross_entropy(logits + at, OneClass{targets[row]}, batch, classes, losses + row, dlogits + at);
}

__global__ void softmax_cross_entropy_dense(const REAL* logits, const REAL* targets, int batch, int classes,
                                            REAL* losses, REAL* dlogits) {
    const long long row = row_of_warp(), at = row * classes;
    if (row >= batch) return;
    softmax_cross_entropy(logits + at, Probabilities{targets + at}, batch, classes, losses + row, dlogits + at);
}

// dz = f'(z) dy and its column sums: blockDim = (32 columns, 32); each thread sums every 32nd row.
__global__ void __launch_bounds__(1024)
    backward_and_sums(int kind, const REAL* dy, const REAL* y, int batch, int n, REAL* dz, REAL* db) {
    __shared__ REAL partial[32][33];
    const int column = blockIdx.x * 32 + threadIdx.x;
    REAL sum = 0;
    if (column < n) {
        for (long long row = threadIdx.y; row < batch; row += 32) {
            const long long at = row * n + column;
            const REAL value = dnn::activate_backward(kind, dy[at], y[at]);
            dz[at] = value;
            sum += value;
        }
    }
    partial[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    for (int half = 16; half > 0; half /= 2) {
        if (threadIdx.y < half) partial[threadIdx.y][threadIdx.x] += partial[threadIdx.y + half][threadIdx.x];
        __syncthreads();
    }
    if (threadIdx.y == 0 && column < n) db[column] = partial[0][threadIdx.x];
}

}  // extern "C"
