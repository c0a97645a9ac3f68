// What an update of a planned network does beside its products, for one REAL; rows.cu comes first.
// numbers is the device array that dnn::optimize describes.

namespace {

// A thread of blockDim.x a column, blockIdx.y a row.
template <class X>
__device__ void pick(const X* x, const long long* y, const long long* order, const long long* position, int batch,
                     int width, const REAL* numbers, REAL* batch_x, long long* batch_y) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    const long long row = blockIdx.y, chosen = order[*position * batch + row];
    if (column < width)
        batch_x[row * width + column] = static_cast<REAL>(x[chosen * width + column]) * numbers[0];
    if (column == 0) batch_y[row] = y[chosen];
}

// Whether no other class of the row is larger than the target's; all lanes get it.
__device__ bool is_right(Logits z, long long target, int classes) {
    const REAL of_target = z(static_cast<int>(target));
    REAL others = 0;
    for (int c = threadIdx.x; c < classes; c += 32)
        if (c != target && dnn::beats(z(c), of_target, c < target)) others += REAL(1);
    return warp_sum(others) == REAL(0);
}

// The control array after one more update.
struct Control {
    REAL rate, c1, c2, updates;
};

__device__ Control advanced(const REAL* control, const REAL* rates, int changes, const REAL* numbers) {
    const REAL done = control[3], last = static_cast<REAL>(changes - 1);
    REAL made[4] = {changes > 1 ? rates[static_cast<int>(done < last ? done : last)] : control[0]};
    for (int i = 1; i < 4; ++i)
        made[i] = dnn::advance(i, control[i], numbers[1], numbers[2], numbers[3], numbers[4]);
    return {made[0], made[1], made[2], made[3]};
}

}  // namespace

extern "C" {

__global__ void pick_bytes(const unsigned char* x, const long long* y, const long long* order,
                           const long long* position, int batch, int width, const REAL* numbers, REAL* batch_x,
                           long long* batch_y) {
    pick(x, y, order, position, batch, width, numbers, batch_x, batch_y);
}

__global__ void pick_floats(const REAL* x, const long long* y, const long long* order, const long long* position,
                            int batch, int width, const REAL* numbers, REAL* batch_x, long long* batch_y) {
    pick(x, y, order, position, batch, width, numbers, batch_x, batch_y);
}

// y = f(y + b)
__global__ void bias_activation(int kind, const REAL* b, int width, REAL* y) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    const long long at = static_cast<long long>(blockIdx.y) * width + column;
    if (column < width) y[at] = dnn::activated(kind, y[at] + b[column]);
}

// The last bias, softmax, loss and its gradient, written over z, and whether the answer is right (1 or 0).
__global__ void classify(REAL* z, const REAL* b, const long long* targets, int batch, int classes, REAL* losses,
                         REAL* right) {
    const long long row = row_of_warp();
    if (row >= batch) return;
    const Logits logits = {z + row * classes, b};
    const bool answer = is_right(logits, targets[row], classes);
    softmax_cross_entropy(logits, ClassNumbers{targets, classes}, row, batch, classes, losses, z);
    if (threadIdx.x == 0) right[row] = answer ? REAL(1) : REAL(0);
}

// An update's sums, the next position, and the control array: one block of (32, 8) threads.
__global__ void account(const REAL* losses, const REAL* right, int batch, int accuracy, const REAL* rates,
                        int changes, const REAL* numbers, REAL* sums, REAL* control, long long* position) {
    __shared__ REAL partial[2][8];
    REAL loss = 0, answers = 0;
    for (int i = threadIdx.y * 32 + threadIdx.x; i < batch; i += 256) {
        loss += losses[i];
        answers += right[i];
    }
    loss = warp_sum(loss);
    answers = warp_sum(answers);
    if (threadIdx.x == 0) {
        partial[0][threadIdx.y] = loss;
        partial[1][threadIdx.y] = answers;
    }
    __syncthreads();
    if (threadIdx.x != 0 || threadIdx.y != 0) return;
    for (int warp = 1; warp < 8; ++warp) {
        loss += partial[0][warp];
        answers += partial[1][warp];
    }
    sums[0] += loss;
    if (accuracy) sums[1] += answers;
    *position += 1;
    const Control next = advanced(control, rates, changes, numbers);
    control[0] = next.rate;
    control[1] = next.c1;
    control[2] = next.c2;
    control[3] = next.updates;
}

// A step of an optimizer, control having been advanced; first and second are its slots.
__global__ void optimizer(int kind, const REAL* numbers, const REAL* control, const REAL* g, int n, REAL* p,
                          REAL* first, REAL* second) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        dnn::optimize(kind, numbers, control[0], control[1], control[2], control[3], p[i], g[i], first[i], second[i]);
}

}  // extern "C"
