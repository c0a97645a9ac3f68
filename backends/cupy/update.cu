// One update of dense layers without cuBLAS: it takes few launches, and CuPy can record it as a CUDA graph. A product
// also gathers its rows, adds the bias and applies f or f'; the product for a weight's gradient also makes the
// optimizer's step. This text follows rows.cu. PIXEL is the type of the examples' numbers: unsigned char or REAL. All
// blocks have (32, 8) threads.

namespace {

const int TILE = 32;                // columns of a product per block, and steps of the inner axis at a time
const int ROWS = 16;                // rows per block of a forward product: more blocks than with 32
const int STRIDE = TILE + 4;        // of a tile's rows in shared memory: 4 numbers are then one load
const int SHARED_SIZE = 4 * TILE * TILE;  // numbers of shared memory: two tiles, afterwards the groups' sums

__device__ int clamp_index(int i, int n) { return i < n ? i : n - 1; }

// Matrices that are 0 outside their bounds. load reads from a clamped index without a branch; value applies bounds and
// scale later. So the next tile's loads can run while the current one is multiplied.
struct Matrix {
    typedef REAL Raw;
    const REAL* x;
    int rows, width;
    __device__ REAL load(int row, int column) const {
        return x[static_cast<long long>(clamp_index(row, rows)) * width + clamp_index(column, width)];
    }
    __device__ REAL value(REAL raw, int row, int column) const {
        return row < rows && column < width ? raw : REAL(0);
    }
};

struct GatheredRows {
    typedef PIXEL Raw;
    const PIXEL* x;
    const long long* batch_rows;
    int rows, width;
    REAL scale;
    __device__ PIXEL load(int row, int column) const {
        return x[batch_rows[clamp_index(row, rows)] * width + clamp_index(column, width)];
    }
    __device__ REAL value(PIXEL raw, int row, int column) const {
        return row < rows && column < width ? static_cast<REAL>(raw) * scale : REAL(0);
    }
};

// With an extra column of ones: the product with it is the bias's gradient.
template <class M>
struct WithOnes {
    typedef typename M::Raw Raw;
    M matrix;
    __device__ Raw load(int row, int column) const { return matrix.load(row, column); }
    __device__ REAL value(Raw raw, int row, int column) const {
        return column == matrix.width && row < matrix.rows ? REAL(1) : matrix.value(raw, row, column);
    }
};

template <class M>
struct Transposed {
    typedef typename M::Raw Raw;
    M matrix;
    __device__ Raw load(int row, int column) const { return matrix.load(column, row); }
    __device__ REAL value(Raw raw, int row, int column) const { return matrix.value(raw, column, row); }
};

// The tile of a b that begins at (row, column), HEIGHT x TILE numbers. A thread gets HEIGHT / 8 of them: rows
// threadIdx.y + 8 e, column threadIdx.x. Each group of 2 HEIGHT threads sums a part of the inner axis.
// A_INNER, B_INNER: whether the inner axis is contiguous in memory.
template <int HEIGHT, bool A_INNER, bool B_INNER, class A, class B>
__device__ void product(const A& a, int row, const B& b, int column, int depth, REAL* shared,
                        REAL (&result)[HEIGHT / 8]) {
    static_assert(A_INNER || HEIGHT == TILE, "the threads of a warp load TILE rows");
    const int GROUPS = 128 / HEIGHT, INNER = TILE / GROUPS;
    const int t = threadIdx.y * 32 + threadIdx.x, group = t / (2 * HEIGHT);
    const int r = t % (2 * HEIGHT) / 8 * 4, c = t % 8 * 4;
    REAL *left = shared, *right = shared + TILE * STRIDE;
    const int fast = threadIdx.x, slow = threadIdx.y;
    typename A::Raw next_a[HEIGHT / 8];
    typename B::Raw next_b[4];
    REAL sums[4][4] = {};
    const auto fetch = [&](int k) {
        for (int e = 0; e < HEIGHT / 8; ++e) {
            const int later = slow + 8 * e;
            next_a[e] = A_INNER ? a.load(row + later, k + fast) : a.load(row + fast, k + later);
        }
        for (int e = 0; e < 4; ++e) {
            const int later = slow + 8 * e;
            next_b[e] = B_INNER ? b.load(k + fast, column + later) : b.load(k + later, column + fast);
        }
    };
    fetch(0);
    for (int k = 0; k < depth; k += TILE) {
        for (int e = 0; e < HEIGHT / 8; ++e) {
            const int later = slow + 8 * e;
            left[A_INNER ? fast * STRIDE + later : later * STRIDE + fast] =
                A_INNER ? a.value(next_a[e], row + later, k + fast) : a.value(next_a[e], row + fast, k + later);
        }
        for (int e = 0; e < 4; ++e) {
            const int later = slow + 8 * e;
            right[B_INNER ? fast * STRIDE + later : later * STRIDE + fast] =
                B_INNER ? b.value(next_b[e], k + fast, column + later) : b.value(next_b[e], k + later, column + fast);
        }
        __syncthreads();
        if (k + TILE < depth) fetch(k + TILE);
#pragma unroll
        for (int inner = group * INNER; inner < (group + 1) * INNER; ++inner)
            for (int i = 0; i < 4; ++i)
                for (int j = 0; j < 4; ++j) sums[i][j] += left[inner * STRIDE + r + i] * right[inner * STRIDE + c + j];
        __syncthreads();
    }
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) shared[(group * HEIGHT + r + i) * TILE + c + j] = sums[i][j];
    __syncthreads();
    for (int e = 0; e < HEIGHT / 8; ++e) {
        result[e] = 0;
        for (int part = 0; part < GROUPS; ++part) result[e] += shared[part * HEIGHT * TILE + t + 256 * e];
    }
}

// y = f(x W + b)
template <class M>
__device__ void forward(const M& x, int kind, const REAL* W, const REAL* b, int n_out, REAL* y) {
    __shared__ __align__(16) REAL shared[SHARED_SIZE];
    REAL z[ROWS / 8];
    const int row = blockIdx.y * ROWS, column = blockIdx.x * TILE + threadIdx.x;
    product<ROWS, true, false>(x, row, Matrix{W, x.width, n_out}, blockIdx.x * TILE, x.width, shared, z);
    for (int e = 0; e < ROWS / 8; ++e) {
        const int i = row + threadIdx.y + 8 * e;
        if (i < x.rows && column < n_out)
            y[static_cast<long long>(i) * n_out + column] = dnn::activate(kind, z[e] + b[column]);
    }
}

// The output layer: logits, softmax, loss and its gradient, and whether the prediction is correct (1 or 0). One warp
// per row.
__device__ void output_layer(const Matrix& x, const REAL* W, const REAL* b, const long long* targets,
                             const long long* batch_rows, int classes, REAL* losses, REAL* correct, REAL* dlogits) {
    const int CLASSES_PER_PASS = 8;
    const long long row = row_of_warp();
    if (row >= x.rows) return;
    REAL* z = dlogits + row * classes;
    for (int first = 0; first < classes; first += CLASSES_PER_PASS) {
        REAL sums[CLASSES_PER_PASS] = {};
        for (int k = threadIdx.x; k < x.width; k += 32) {
            const REAL value = x.load(row, k);
            for (int c = 0; c < CLASSES_PER_PASS; ++c)
                if (first + c < classes) sums[c] += value * W[static_cast<long long>(k) * classes + first + c];
        }
        for (int c = 0; c < CLASSES_PER_PASS && first + c < classes; ++c) {
            const REAL sum = warp_sum(sums[c]) + b[first + c];
            if (threadIdx.x == (first + c) % 32) z[first + c] = sum;
        }
    }
    __syncwarp();
    const int target = targets[batch_rows[row]];
    const REAL of_target = z[target];
    REAL n_before = 0;  // number of classes that rank before the target
    for (int c = threadIdx.x; c < classes; c += 32)
        if (c != target && dnn::ranks_before(z[c], of_target, c < target)) n_before += REAL(1);
    n_before = warp_sum(n_before);
    row_cross_entropy(z, target, x.rows, classes, losses + row, z);
    if (threadIdx.x == 0) correct[row] = n_before == REAL(0) ? REAL(1) : REAL(0);
}

// dz = (dlogits W^T) f' of the hidden layer before, whose y the output layer reads as x. One warp per row; it has just
// written the row's dlogits.
__device__ void gradient_before(const Matrix& x, int kind, const REAL* W, const REAL* dlogits, int classes, REAL* dz) {
    const long long row = row_of_warp();
    if (row >= x.rows) return;
    __syncwarp();
    for (int k = threadIdx.x; k < x.width; k += 32) {
        REAL dy = 0;
        for (int c = 0; c < classes; ++c)
            dy += dlogits[row * classes + c] * W[static_cast<long long>(k) * classes + c];
        dz[row * x.width + k] = dnn::activate_backward(kind, dy, x.load(row, k));
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
    const int n_in = layer[N_IN], n_out = layer[N_OUT], across = (n_out + TILE - 1) / TILE;
    const int block = blockIdx.x - layer[FIRST_BLOCK];
    const int row = block / across * TILE, first = block % across * TILE, column = first + threadIdx.x;
    const Matrix dz = {address(layer, DZ), x.rows, n_out};
    REAL g[4];
    product<TILE, false, false>(Transposed<WithOnes<M>>{{x}}, row, dz, first, x.rows, shared, g);
    for (int e = 0; e < 4; ++e) {
        const int i = row + threadIdx.y + 8 * e, p = i < n_in ? W : B;
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
    if (threadIdx.x == 0 && threadIdx.y == 0) {
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
    __shared__ REAL partial[2][8];
    REAL loss = 0, n_correct = 0;
    for (int i = threadIdx.y * 32 + threadIdx.x; i < batch; i += 256) {
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
    if (threadIdx.x != 0 || threadIdx.y != 0) return;
    for (int warp = 1; warp < 8; ++warp) {
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
    forward(GatheredRows{x, order + *position * batch, batch, n_in, numbers[0]}, kind, W, b, n_out, y);
}

__global__ void forward_hidden(const REAL* x, int batch, int n_in, int kind, const REAL* W, const REAL* b, int n_out,
                               REAL* y) {
    forward(Matrix{x, batch, n_in}, kind, W, b, n_out, y);
}

__global__ void output_hidden(const REAL* x, const long long* targets, const long long* order,
                              const long long* position, int batch, int n_in, const REAL* W, const REAL* b,
                              int classes, REAL* losses, REAL* correct, REAL* dlogits, int kind, REAL* dz_before) {
    const Matrix rows = {x, batch, n_in};
    output_layer(rows, W, b, targets, order + *position * batch, classes, losses, correct, dlogits);
    gradient_before(rows, kind, W, dlogits, classes, dz_before);
}

// dz of the previous layer: (dz W^T) f'
__global__ void hidden_gradient(int kind, const REAL* dz, const REAL* W, const REAL* y, int batch, int n_in, int n_out,
                      REAL* dz_hidden) {
    __shared__ __align__(16) REAL shared[SHARED_SIZE];
    REAL dy[ROWS / 8];
    const int row = blockIdx.y * ROWS, column = blockIdx.x * TILE + threadIdx.x;
    const Transposed<Matrix> transposed = {{W, n_in, n_out}};
    product<ROWS, true, true>(Matrix{dz, batch, n_out}, row, transposed, blockIdx.x * TILE, n_out, shared, dy);
    for (int e = 0; e < ROWS / 8; ++e) {
        const int i = row + threadIdx.y + 8 * e;
        const long long at = static_cast<long long>(i) * n_in + column;
        if (i < batch && column < n_in) dz_hidden[at] = dnn::activate_backward(kind, dy[e], y[at]);
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
        step_layer(GatheredRows{x, order + *position * batch, batch, n_in, numbers[0]}, layer, kind, numbers, next,
                   shared);
    if (is_last_block(tickets)) finish_update(losses, correct, batch, accuracy, next, sums, control, position);
}

}  // extern "C"
