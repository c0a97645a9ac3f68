// Kernels with pointers. REAL is float or double, PIXEL the type of the examples' numbers: unsigned char or REAL. This
// text follows arithmetic.cuh. Sums have a fixed order, so a run can be repeated bit for bit.
//
// One update of dense layers without cuBLAS takes few launches, and CuPy can record it as a CUDA graph. A product also
// gathers its rows, adds the bias and applies f or f'; the product for a weight's gradient also makes the optimizer's
// step.

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

// Warps per block, as in update.py: what registers and shared memory allow. In `step` most instructions do not depend
// on the depth, so fewer threads with more numbers each execute less of them.
const int WARPS = sizeof(REAL) == 4 ? 16 : 8, STEP_WARPS = 8;
const int TILE = 32;              // columns of a product per block; also the rows of a weight gradient
const int ROWS = 16;              // rows of a forward product per block: more blocks than with 32
const int SUM_STRIDE = TILE + 8;  // of the sums that groups of threads leave in shared memory: no bank conflicts

__device__ int thread_number() { return threadIdx.y * 32 + threadIdx.x; }

// The matrix x; GATHERED: its rows with these numbers, times scale. update.py plans no other matrix of 2^31 numbers.
template <class NUMBER, bool GATHERED>
struct Rows {
    typedef NUMBER Number;
    static const bool PICKED = GATHERED;
    const NUMBER* x;
    int rows, width;
    const long long* numbers;
    REAL scale;
    __device__ long long row(unsigned int i) const { return (GATHERED ? numbers[i] : i) * width; }
    __device__ REAL value(NUMBER n) const { return GATHERED ? static_cast<REAL>(n) * scale : n; }
};
typedef Rows<REAL, false> Matrix;
typedef Rows<PIXEL, true> Batch;

// A factor of a product: SIZE lines, of which CHUNK numbers are read at a time. ALONG: lines are rows of the matrix,
// otherwise columns. Indices beyond the matrix are those of its last row or column: nobody uses their results. ONES: a
// line of ones follows the last one. load keeps the numbers in registers, to overlap with a multiplication.
template <class M, bool ALONG, int SIZE, int N_WARPS, bool ONES = false>
struct Factor {
    static const int WARPS = N_WARPS, CHUNK = 4 * WARPS;
    static const int COUNT = SIZE / 8;                     // numbers per thread and chunk
    static const int STRIDE = (ALONG ? CHUNK : SIZE) + 4;  // in shared memory: 4 numbers are one load
    static const int TILE_SIZE = (ALONG ? SIZE : CHUNK) * STRIDE;
    static const bool BY_ROW = M::PICKED && !ALONG;  // each step has another row
    const M matrix;
    const int line, step;  // this thread's first number
    const bool is_ones;
    const int column;
    const typename M::Number* pointers[COUNT];  // ALONG: to the next numbers
    unsigned int places[COUNT];                 // otherwise: indices of the next numbers, or rows if BY_ROW
    typename M::Number numbers[COUNT];

    __device__ Factor(const M& m, int first)
        : matrix(m), line(ALONG ? thread_number() / CHUNK : threadIdx.x),
          step(ALONG ? thread_number() % CHUNK : threadIdx.y), is_ones(ONES && first + line == m.width),
          column(min(ALONG ? step : first + line, m.width - 1)) {
        for (int e = 0; e < COUNT; ++e) {
            const int row = min(ALONG ? first + line + 8 * e : step + WARPS * e, m.rows - 1);
            pointers[e] = m.x + m.row(row) + column;
            places[e] = BY_ROW ? row : m.row(row) + column;
        }
    }
    // Loads a chunk that begins n steps after the last one.
    __device__ void load(int n) {
        for (int e = 0; e < COUNT; ++e) {
            pointers[e] += n;
            places[e] += n * (BY_ROW ? 1 : matrix.width);
            numbers[e] = ALONG ? *pointers[e] : matrix.x[BY_ROW ? matrix.row(places[e]) + column : places[e]];
        }
    }
    __device__ void store(REAL* tile) const {
        for (int e = 0; e < COUNT; ++e)
            tile[index(line + (ALONG ? 8 * e : 0), step + (ALONG ? 0 : WARPS * e))] =
                is_ones ? REAL(1) : matrix.value(numbers[e]);
    }
    __device__ static int index(int line, int step) { return ALONG ? line * STRIDE + step : step * STRIDE + line; }
    // The i-th of the 4 lines that a thread multiplies: the threads of a warp read from different banks.
    __device__ static int line_of(int part, int i) { return ALONG ? part + SIZE / 4 * i : 4 * part + i; }
};

// The tile of a product with the lines of a and b as rows and columns. result has the numbers of its rows
// threadIdx.y + WARPS e, column threadIdx.x. The groups of threads share the steps of each chunk.
template <class A, class B>
__device__ void multiply(A a, B b, int depth, REAL* shared, REAL (&result)[8 * A::COUNT / A::WARPS]) {
    const int WARPS = A::WARPS, CHUNK = A::CHUNK, HEIGHT = 8 * A::COUNT, STEPS = HEIGHT / 4, GROUPS = CHUNK / STEPS;
    const int group = thread_number() / (2 * HEIGHT), r = thread_number() % (2 * HEIGHT) / 8, c = threadIdx.x % 8;
    REAL sums[4][4] = {};
    REAL *const left = shared, *const right = shared + A::TILE_SIZE;
    const auto add = [&](int step) {
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
                sums[i][j] += left[A::index(A::line_of(r, i), step)] *
                              right[B::index(B::line_of(c, j), step)];
    };
    a.load(0);
    b.load(0);
    for (int rest = depth;; rest -= CHUNK) {
        a.store(left);
        b.store(right);
        __syncthreads();
        if (rest <= CHUNK) break;
        // The last chunk may overlap the one before it, so that it is within the matrices.
        a.load(min(CHUNK, rest - CHUNK));
        b.load(min(CHUNK, rest - CHUNK));
#pragma unroll
        for (int i = 0; i < STEPS; ++i) add(group * STEPS + i);
        __syncthreads();
    }
    const int end = min(CHUNK, depth);
#pragma unroll 1
    for (int step = end - 1 - (depth - 1) % CHUNK + group; step < end; step += GROUPS) add(step);
    __syncthreads();
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j)
            shared[(group * HEIGHT + A::line_of(r, i)) * SUM_STRIDE + B::line_of(c, j)] = sums[i][j];
    __syncthreads();
    for (int e = 0; e < HEIGHT / WARPS; ++e) {
        result[e] = 0;
        for (int g = 0; g < GROUPS; ++g)
            result[e] += shared[(g * HEIGHT + threadIdx.y + WARPS * e) * SUM_STRIDE + threadIdx.x];
    }
}

// Calls store(row, column, number) for this block's ROWS x TILE numbers of a product. a and b: see multiply.
template <class A, class B, class F>
__device__ void product(const A& a, const B& b, int depth, int rows, int columns, const F& store) {
    __shared__ __align__(16) REAL shared[16 * WARPS * SUM_STRIDE];
    REAL numbers[ROWS / WARPS];
    multiply(a, b, depth, shared, numbers);
    for (int e = 0; e < ROWS / WARPS; ++e) {
        const int i = blockIdx.y * ROWS + threadIdx.y + WARPS * e, j = blockIdx.x * TILE + threadIdx.x;
        if (i < rows && j < columns) store(i, j, numbers[e]);
    }
}

// y = f(x W + b)
template <class M>
__device__ void forward(const M& x, int kind, const REAL* W, const REAL* b, int n_out, REAL* y) {
    const Factor<M, true, ROWS, WARPS> examples(x, blockIdx.y * ROWS);
    const Factor<Matrix, false, TILE, WARPS> weights({W, x.width, n_out}, blockIdx.x * TILE);
    product(examples, weights, x.width, x.rows, n_out, [=](int i, int j, REAL z) {
        y[static_cast<long long>(i) * n_out + j] = dnn::activate(kind, z + b[j]);
    });
}

// The control array after one more update.
__device__ void advance(const REAL* control, const REAL* rates, int changes, const REAL* numbers, REAL* next) {
    const REAL done = control[dnn::UPDATES], last = static_cast<REAL>(changes - 1);
    next[dnn::RATE] = changes > 1 ? rates[static_cast<int>(done < last ? done : last)] : control[dnn::RATE];
    for (int i = dnn::BIAS_1; i <= dnn::UPDATES; ++i)
        next[i] = dnn::advance(i, control[i], numbers[1], numbers[2], numbers[3], numbers[4]);
}

// Columns of the layer table: addresses (0: no such array), sizes, and the index of the layer's first block.
enum { X, DZ, W, W_FIRST, W_SECOND, B, B_FIRST, B_SECOND, N_IN, N_OUT, FIRST_BLOCK, ENTRIES };

__device__ REAL* address(const long long* layer, int entry) { return reinterpret_cast<REAL*>(layer[entry]); }

// Whether this block is the last one of the grid to get here; no other block then reads what it may change.
__device__ bool is_last_block(long long* tickets) {
    __shared__ bool last;
    __syncthreads();
    if (thread_number() == 0) {
        __threadfence();
        const unsigned long long ticket = atomicAdd(reinterpret_cast<unsigned long long*>(tickets), 1ULL);
        last = ticket % gridDim.x == gridDim.x - 1;
    }
    __syncthreads();
    return last;
}

}  // namespace

extern "C" {

__global__ void softmax_cross_entropy(const REAL* logits, const long long* targets, int batch, int classes,
                                      REAL* losses, REAL* dlogits) {
    const long long row = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y, at = row * classes;
    if (row < batch) row_cross_entropy(logits + at, targets[row], batch, classes, losses + row, dlogits + at);
}

// out = a b for a (n, depth) and b (depth, m): one element per thread, terms in the order of depth. sources.OPTIONS
// forbids fused multiply-adds.
__global__ void multiply_in_order(const REAL* a, const REAL* b, REAL* out, int n, int depth, int m) {
    const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= static_cast<long long>(n) * m) return;
    const REAL* row = a + i / m * depth;
    const REAL* column = b + i % m;
    REAL total = row[0] * column[0];
    for (int k = 1; k < depth; ++k) total += row[k] * column[static_cast<long long>(k) * m];
    out[i] = total;
}

__global__ void forward_gathered(const PIXEL* x, const long long* order, const long long* position, int batch, int n_in,
                               const REAL* numbers, int kind, const REAL* W, const REAL* b, int n_out, REAL* y) {
    forward(Batch{x, batch, n_in, order + *position * batch, numbers[0]}, kind, W, b, n_out, y);
}

__global__ void forward_hidden(const REAL* x, int batch, int n_in, int kind, const REAL* W, const REAL* b, int n_out,
                               REAL* y) {
    forward(Matrix{x, batch, n_in}, kind, W, b, n_out, y);
}

// The output layer: logits, softmax, loss and its gradient, whether the prediction is correct (1 or 0), and dz of the
// hidden layer before, whose y this layer reads as x: dz = (dlogits W^T) f'. One block per example.
__global__ void output_hidden(const REAL* x, const long long* targets, const long long* order,
                              const long long* position, int batch, int n_in, const REAL* W, const REAL* b,
                              int classes, REAL* losses, REAL* correct, REAL* dlogits, int kind, REAL* dz_before) {
    __shared__ REAL sums[32 * WARPS], z[32 * WARPS];
    const long long row = blockIdx.x, first = row * n_in;
    const int t = thread_number(), parts = 32 * WARPS / classes, target = targets[order[*position * batch + row]];
    REAL sum = 0;  // of one class and every parts-th weight: neighbouring threads read neighbouring weights
    for (int k = t / classes; k < n_in && t < parts * classes; k += parts)
        sum += x[first + k] * W[k * classes + t % classes];
    sums[t] = sum;
    __syncthreads();
    for (int c = threadIdx.y; c < classes; c += WARPS) {
        sum = 0;
        for (int part = threadIdx.x; part < parts; part += 32) sum += sums[part * classes + c];
        sum = warp_sum(sum);
        if (threadIdx.x == 0) z[c] = sum + b[c];
    }
    __syncthreads();
    if (threadIdx.y == 0) {
        const REAL of_target = z[target];
        REAL n_before = 0;  // number of classes that rank before the target
        for (int c = threadIdx.x; c < classes; c += 32)
            if (c != target && dnn::ranks_before(z[c], of_target, c < target)) n_before += REAL(1);
        n_before = warp_sum(n_before);
        row_cross_entropy(z, target, batch, classes, losses + row, z);
        if (threadIdx.x == 0) correct[row] = n_before == REAL(0) ? REAL(1) : REAL(0);
    }
    __syncthreads();
    if (t < classes) dlogits[row * classes + t] = z[t];
    for (int k = t; k < n_in; k += 32 * WARPS) {
        REAL dy = 0;
        for (int c = 0; c < classes; ++c) dy += z[c] * W[k * classes + c];
        dz_before[first + k] = dnn::activate_backward(kind, dy, x[first + k]);
    }
}

// dz of the previous layer: (dz W^T) f'
__global__ void hidden_gradient(int kind, const REAL* dz, const REAL* W, const REAL* y, int batch, int n_in, int n_out,
                      REAL* dz_hidden) {
    const Factor<Matrix, true, ROWS, WARPS> rows({dz, batch, n_out}, blockIdx.y * ROWS);
    const Factor<Matrix, true, TILE, WARPS> weights({W, n_in, n_out}, blockIdx.x * TILE);
    product(rows, weights, n_out, batch, n_in, [=](int i, int j, REAL dy) {
        const long long at = static_cast<long long>(i) * n_in + j;
        dz_hidden[at] = dnn::activate_backward(kind, dy, y[at]);
    });
}

// The gradient of every weight and bias, and the optimizer's step with it; each block has one tile of one layer. The
// last block to finish also adds the sums over the batch, and writes the next position and control array.
__global__ void step(const PIXEL* x, const long long* order, long long* position, int batch, int kind,
                     const long long* table, int layers, const REAL* numbers, REAL* control, const REAL* rates,
                     int changes, const REAL* losses, const REAL* correct, int accuracy, REAL* sums,
                     long long* tickets) {
    __shared__ __align__(16) REAL shared[16 * STEP_WARPS * SUM_STRIDE];
    const int COUNT = TILE / STEP_WARPS;  // gradients per thread
    const long long* layer = table;
    for (int i = 1; i < layers && blockIdx.x >= table[i * ENTRIES + FIRST_BLOCK]; ++i) layer += ENTRIES;
    const int n_in = layer[N_IN], n_out = layer[N_OUT], across = (n_out + TILE - 1) / TILE;
    const int block = blockIdx.x - layer[FIRST_BLOCK], row = block / across * TILE, column = block % across * TILE;
    const Factor<Matrix, false, TILE, STEP_WARPS> dz({address(layer, DZ), batch, n_out}, column);
    REAL g[COUNT], *places[COUNT][3], values[COUNT][3];  // the gradient; a parameter and its slots
    // Line n_in of x^T is all ones: its product is the gradient of the bias.
    if (layer[X]) {
        const Matrix y = {address(layer, X), batch, n_in};
        multiply(Factor<Matrix, false, TILE, STEP_WARPS, true>(y, row), dz, batch, shared, g);
    } else {
        const Batch examples = {x, batch, n_in, order + *position * batch, numbers[0]};
        multiply(Factor<Batch, false, TILE, STEP_WARPS, true>(examples, row), dz, batch, shared, g);
    }
    for (int e = 0; e < COUNT; ++e) {
        const int i = row + threadIdx.y + STEP_WARPS * e, j = column + threadIdx.x, entry = i < n_in ? W : B;
        const bool exists = i <= n_in && j < n_out && layer[entry];
        for (int s = 0; s < 3; ++s) {
            places[e][s] = exists ? address(layer, entry + s) + (i < n_in ? i * n_out : 0) + j : nullptr;
            if (exists) values[e][s] = *places[e][s];  // all are loaded before the first is used
        }
    }
    REAL next[dnn::CONTROL_SIZE];
    advance(control, rates, changes, numbers, next);
    for (int e = 0; e < COUNT; ++e) {
        if (!places[e][0]) continue;
        dnn::optimize(kind, numbers, next, values[e][0], g[e], values[e][1], values[e][2]);
        for (int s = 2; s >= 0; --s) *places[e][s] = values[e][s];  // an only slot is also passed as the second
    }
    if (!is_last_block(tickets) || threadIdx.y != 0) return;
    REAL loss = 0, n_correct = 0;
    for (int i = threadIdx.x; i < batch; i += 32) {
        loss += losses[i];
        n_correct += correct[i];
    }
    loss = warp_sum(loss);
    n_correct = warp_sum(n_correct);
    if (threadIdx.x != 0) return;
    sums[0] += loss;
    if (accuracy) sums[1] += n_correct;
    *position += 1;
    for (int i = 0; i < dnn::CONTROL_SIZE; ++i) control[i] = next[i];
}

}  // extern "C"
