// One update of dense layers without cuBLAS: it takes few launches, and CuPy can record it as a CUDA graph. A product
// also gathers its rows, adds the bias and applies f or f'; the product for a weight's gradient also makes the
// optimizer's step. This text follows rows.cu. PIXEL is the type of the examples' numbers: unsigned char or REAL.

namespace {

const int WARPS = sizeof(REAL) == 4 ? 16 : 8;  // per block, as in update.py; what registers and shared memory allow
const int THREADS = 32 * WARPS;                // (32, WARPS)
const int CHUNK = 4 * WARPS;                   // steps of the inner axis at a time
const int TILE = 32;                           // columns of a product per block; also the rows of a weight gradient
const int ROWS = 16;                           // rows of a forward product per block: more blocks than with 32
const int SUM_STRIDE = TILE + 8;               // of a group's sums: without bank conflicts
const int SHARED_SIZE = 16 * WARPS * SUM_STRIDE;  // numbers of shared memory: two tiles, afterwards all groups' sums

__device__ int thread_number() { return threadIdx.y * 32 + threadIdx.x; }

struct Matrix {
    typedef REAL Number;
    static const bool GATHERED = false;
    const REAL* x;
    int rows, width;  // update.py plans no matrices of 2^31 numbers
    __device__ int row(int i) const { return i * width; }
    __device__ REAL value(REAL number) const { return number; }
};

struct GatheredRows {
    typedef PIXEL Number;
    static const bool GATHERED = true;
    const PIXEL* x;
    int rows, width;
    const long long* batch_rows;
    REAL scale;
    __device__ long long row(unsigned int i) const { return batch_rows[i] * width; }
    __device__ REAL value(PIXEL number) const { return static_cast<REAL>(number) * scale; }
};

// A factor of a product: SIZE lines, of which CHUNK numbers are read at a time. ALONG: the lines are rows of the matrix,
// otherwise columns. Indices beyond the matrix are those of its last row or column: nobody uses their results. ONES: a
// line of ones follows the last one. load keeps the numbers in registers, to overlap with a multiplication.
template <class M, bool ALONG, int SIZE, bool ONES = false>
struct Factor {
    static const int COUNT = SIZE / 8;                     // numbers per thread and chunk
    static const int STRIDE = (ALONG ? CHUNK : SIZE) + 4;  // in shared memory: 4 numbers are one load
    static const int TILE_SIZE = (ALONG ? SIZE : CHUNK) * STRIDE;
    static const bool BY_ROW = M::GATHERED && !ALONG;  // each step has another row
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

// The tile of a product with the lines of a and b as rows and columns. result has its rows threadIdx.y + WARPS e, column
// threadIdx.x. The groups of threads share the steps of each chunk.
template <class A, class B>
__device__ void multiply(A a, B b, int depth, REAL* shared, REAL (&result)[8 * A::COUNT / WARPS]) {
    const int HEIGHT = 8 * A::COUNT, STEPS = HEIGHT / 4, GROUPS = CHUNK / STEPS;
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

// y = f(x W + b)
template <class M>
__device__ void forward(const M& x, int kind, const REAL* W, const REAL* b, int n_out, REAL* y) {
    __shared__ __align__(16) REAL shared[SHARED_SIZE];
    REAL z[ROWS / WARPS];
    const int row = blockIdx.y * ROWS, column = blockIdx.x * TILE;
    multiply(Factor<M, true, ROWS>(x, row), Factor<Matrix, false, TILE>({W, x.width, n_out}, column), x.width, shared, z);
    for (int e = 0; e < ROWS / WARPS; ++e) {
        const int i = row + threadIdx.y + WARPS * e, j = column + threadIdx.x;
        if (i < x.rows && j < n_out) y[static_cast<long long>(i) * n_out + j] = dnn::activate(kind, z[e] + b[j]);
    }
}

// The output layer of one example: logits, softmax, loss and its gradient, whether the prediction is correct (1 or 0),
// and dz = (dlogits W^T) f' of the hidden layer before, whose y this layer reads as x.
__device__ void output_layer(const REAL* x, int width, const REAL* W, const REAL* b, int target, int batch, int classes,
                             REAL* loss, REAL* correct, REAL* dlogits, int kind, REAL* dz_before) {
    __shared__ REAL sums[THREADS];
    REAL* z = dlogits;
    // Each thread sums for one class; neighbouring threads read neighbouring weights.
    const int t = thread_number(), rows = THREADS / classes;
    sums[t] = 0;
    for (int k = t / classes; k < width && t < rows * classes; k += rows)
        sums[t] += x[k] * W[static_cast<long long>(k) * classes + t % classes];
    __syncthreads();
    for (int c = threadIdx.y; c < classes; c += WARPS) {
        REAL sum = 0;
        for (int i = threadIdx.x; i < rows; i += 32) sum += sums[i * classes + c];
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
        row_cross_entropy(z, target, batch, classes, loss, z);
        if (threadIdx.x == 0) *correct = n_before == REAL(0) ? REAL(1) : REAL(0);
    }
    __syncthreads();
    for (int k = t; k < width; k += THREADS) {
        REAL dy = 0;
        for (int c = 0; c < classes; ++c) dy += dlogits[c] * W[static_cast<long long>(k) * classes + c];
        dz_before[k] = dnn::activate_backward(kind, dy, x[k]);
    }
}

// The control array after one more update.
__device__ void advance(const REAL* control, const REAL* rates, int changes, const REAL* numbers, REAL (&next)[dnn::CONTROL_SIZE]) {
    const REAL done = control[dnn::UPDATES], last = static_cast<REAL>(changes - 1);
    next[dnn::RATE] = changes > 1 ? rates[static_cast<int>(done < last ? done : last)] : control[dnn::RATE];
    for (int i = dnn::BIAS_1; i <= dnn::UPDATES; ++i)
        next[i] = dnn::advance(i, control[i], numbers[1], numbers[2], numbers[3], numbers[4]);
}

// Columns of the layer table: addresses (0: no such array), sizes, and the index of the layer's first block.
enum { X, DZ, W, W_FIRST, W_SECOND, B, B_FIRST, B_SECOND, N_IN, N_OUT, FIRST_BLOCK, ENTRIES };

__device__ REAL* address(const long long* layer, int entry) { return reinterpret_cast<REAL*>(layer[entry]); }

template <class M>
__device__ void step_layer(const M& x, const long long* layer, int kind, const REAL* numbers, const REAL* control,
                           REAL* shared) {
    const int n_in = x.width, n_out = layer[N_OUT], across = (n_out + TILE - 1) / TILE;
    const int block = blockIdx.x - layer[FIRST_BLOCK];
    const int row = block / across * TILE, first = block % across * TILE, column = first + threadIdx.x;
    REAL g[TILE / WARPS];
    // Line n_in of x^T is all ones: its product is the gradient of the bias.
    multiply(Factor<M, false, TILE, true>(x, row),
             Factor<Matrix, false, TILE>({address(layer, DZ), x.rows, n_out}, first), x.rows, shared, g);
    for (int e = 0; e < TILE / WARPS; ++e) {
        const int i = row + threadIdx.y + WARPS * e, p = i < n_in ? W : B;
        if (i > n_in || column >= n_out || !layer[p]) continue;
        const long long at = i < n_in ? static_cast<long long>(i) * n_out + column : column;
        dnn::optimize(kind, numbers, control, address(layer, p)[at], g[e], address(layer, p + 1)[at],
                      address(layer, p + 2)[at]);
    }
}

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

// Adds the sums over the batch, and writes the next position and control array; one block.
__device__ void finish_update(const REAL* losses, const REAL* correct, int batch, int accuracy, const REAL (&next)[dnn::CONTROL_SIZE],
                              REAL* sums, REAL* control, long long* position) {
    __shared__ REAL partial[2][WARPS];
    REAL loss = 0, n_correct = 0;
    for (int i = thread_number(); i < batch; i += THREADS) {
        loss += losses[i];
        n_correct += correct[i];
    }
    loss = warp_sum(loss);
    n_correct = warp_sum(n_correct);
    if (threadIdx.x == 0) {
        partial[0][threadIdx.y] = loss;
        partial[1][threadIdx.y] = n_correct;
    }
    __syncthreads();
    if (thread_number() != 0) return;
    for (int warp = 1; warp < WARPS; ++warp) {
        loss += partial[0][warp];
        n_correct += partial[1][warp];
    }
    sums[0] += loss;
    if (accuracy) sums[1] += n_correct;
    *position += 1;
    for (int i = 0; i < dnn::CONTROL_SIZE; ++i) control[i] = next[i];
}

}  // namespace

extern "C" {

__global__ void forward_gathered(const PIXEL* x, const long long* order, const long long* position, int batch, int n_in,
                               const REAL* numbers, int kind, const REAL* W, const REAL* b, int n_out, REAL* y) {
    forward(GatheredRows{x, batch, n_in, order + *position * batch, numbers[0]}, kind, W, b, n_out, y);
}

__global__ void forward_hidden(const REAL* x, int batch, int n_in, int kind, const REAL* W, const REAL* b, int n_out,
                               REAL* y) {
    forward(Matrix{x, batch, n_in}, kind, W, b, n_out, y);
}

__global__ void output_hidden(const REAL* x, const long long* targets, const long long* order,
                              const long long* position, int batch, int n_in, const REAL* W, const REAL* b,
                              int classes, REAL* losses, REAL* correct, REAL* dlogits, int kind, REAL* dz_before) {
    const long long row = blockIdx.x;
    output_layer(x + row * n_in, n_in, W, b, targets[order[*position * batch + row]], batch, classes, losses + row,
                 correct + row, dlogits + row * classes, kind, dz_before + row * n_in);
}

// dz of the previous layer: (dz W^T) f'
__global__ void hidden_gradient(int kind, const REAL* dz, const REAL* W, const REAL* y, int batch, int n_in, int n_out,
                      REAL* dz_hidden) {
    __shared__ __align__(16) REAL shared[SHARED_SIZE];
    REAL dy[ROWS / WARPS];
    const int row = blockIdx.y * ROWS, column = blockIdx.x * TILE;
    multiply(Factor<Matrix, true, ROWS>({dz, batch, n_out}, row), Factor<Matrix, true, TILE>({W, n_in, n_out}, column),
             n_out, shared, dy);
    for (int e = 0; e < ROWS / WARPS; ++e) {
        const int i = row + threadIdx.y + WARPS * e, j = column + threadIdx.x;
        const long long at = static_cast<long long>(i) * n_in + j;
        if (i < batch && j < n_in) dz_hidden[at] = dnn::activate_backward(kind, dy[e], y[at]);
    }
}

// The gradient of every weight and bias, and the optimizer's step with it; each block has one tile of one layer. The
// last block to finish also writes the sums, position and control.
__global__ void step(const PIXEL* x, const long long* order, long long* position, int batch, int kind,
                     const long long* table, int layers, const REAL* numbers, REAL* control, const REAL* rates,
                     int changes, const REAL* losses, const REAL* correct, int accuracy, REAL* sums,
                     long long* tickets) {
    __shared__ __align__(16) REAL shared[SHARED_SIZE];
    const long long* layer = table;
    for (int i = 1; i < layers && blockIdx.x >= table[i * ENTRIES + FIRST_BLOCK]; ++i) layer += ENTRIES;
    const int n_in = layer[N_IN];
    REAL next[dnn::CONTROL_SIZE];
    advance(control, rates, changes, numbers, next);
    if (layer[X])
        step_layer(Matrix{address(layer, X), batch, n_in}, layer, kind, numbers, next, shared);
    else
        step_layer(GatheredRows{x, batch, n_in, order + *position * batch, numbers[0]}, layer, kind, numbers, next,
                   shared);
    if (is_last_block(tickets)) finish_update(losses, correct, batch, accuracy, next, sums, control, position);
}

}  // extern "C"
