// The arithmetic of all CUDA kernels: each function computes one element, or merges one pair.
//
// CuPy (NVRTC) compiles this text in front of its ElementwiseKernels and of kernels.cu. The tests compile it with
// nvcc, and with the host's C++ compiler to compare it with the reference kernels of backends/reference, whose formulas
// and names it follows.

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define DNN_HD __host__ __device__ inline
#else
#define DNN_HD inline
#include <cmath>
using std::exp;
using std::fabs;
using std::log;
using std::sqrt;
using std::tanh;
#endif

namespace dnn {

// ----- activations; kind is an index into sources.FUSED_ACTIVATIONS: linear, sigmoid, tanh, relu; NaN stays NaN

template <class T>
DNN_HD T activate(int kind, T z) {
    if (kind == 1) {
        const T e = exp(-fabs(z));  // of negative numbers only: nothing overflows, and small results stay accurate
        return (z < T(0) ? e : T(1)) / (T(1) + e);
    }
    if (kind == 2) return tanh(z);
    return kind == 3 && z < T(0) ? T(0) : z;
}

// f'(z) dy, computed from y = f(z)
template <class T>
DNN_HD T activate_backward(int kind, T dy, T y) {
    if (kind == 1) return dy * y * (T(1) - y);
    if (kind == 2) return dy * (T(1) - y * y);
    return kind == 3 && y <= T(0) ? T(0) : dy;
}

// ----- softmax with cross-entropy

// The larger of two numbers; NaN if either is NaN, which fmax would ignore.
template <class T>
DNN_HD T larger(T a, T b) {
    return (a > b || a != a) ? a : b;
}

// Whether z of another class ranks before the target's, as in argmax: NaN is the largest; `before` breaks ties.
template <class T>
DNN_HD bool ranks_before(T z, T of_target, bool before) {
    if (of_target != of_target) return before && z != z;
    return !(z < of_target || (!before && z == of_target));
}

// ----- optimizers

// Elements of an optimizer's control array, as in backends/reference/optimizers.py.
enum { RATE, BIAS_1, BIAS_2, UPDATES, CONTROL_SIZE };

// An optimizer's moment; every FLUSH_EVERY-th update, 0 if it is below MOMENT_FLOOR.
template <class T>
DNN_HD T flush(T moment, T updates) {
    return (fabs(moment) < T(1e-36) && static_cast<long long>(updates) % 32 == 0) ? T(0) : moment;
}

// Element i of the control array after one more update.
template <class T>
DNN_HD T advance(int i, T value, T beta1, T rest1, T beta2, T rest2) {
    if (i == BIAS_1) return beta1 * value + rest1;
    if (i == BIAS_2) return beta2 * value + rest2;
    return i == UPDATES ? value + T(1) : value;
}

// One step of an optimizer. kind is an index into sources.OPTIMIZERS; numbers, from
// optimizers.optimizer_numbers, are [scale of x, beta1, 1 - beta1, beta2, 1 - beta2, the other settings]; control is
// after `advance`; first and second are slots.
template <class T>
DNN_HD void optimize(int kind, const T* numbers, const T* control, T& p, T g, T& first, T& second) {
    const T rate = control[RATE], updates = control[UPDATES], *rest = numbers + 5;
    if (kind == 0) {  // sgd; rest = [momentum, nesterov]
        if (rest[0] != T(0)) {
            first = flush(rest[0] * first + g, updates);
            g = rest[1] != T(0) ? g + rest[0] * first : first;
        }
        p = p - rate * g;
    } else if (kind == 1) {  // adagrad; rest = [epsilon]
        first = flush(first + g * g, updates);
        p = p - rate * (g / (sqrt(first) + rest[0]));
    } else if (kind == 2) {  // rmsprop; rest = [decay, 1 - decay, epsilon, momentum]
        first = flush(rest[0] * first + rest[1] * (g * g), updates);
        T step = g / (sqrt(first) + rest[2]);
        if (rest[3] != T(0)) step = second = flush(rest[3] * second + step, updates);
        p = p - rate * step;
    } else {  // adam; rest = [epsilon, weight decay of AdamW or 0]
        p = p * (T(1) - rate * rest[1]);
        first = flush(numbers[1] * first + numbers[2] * g, updates);
        second = flush(numbers[3] * second + numbers[4] * (g * g), updates);
        // Divide first: rate times a small moment may be a denormal number, which CuPy's CUDA code flushes to 0.
        p = p - rate / control[BIAS_1] * (first / (sqrt(second) / sqrt(control[BIAS_2]) + rest[0]));
    }
}

// ----- windows of images (B, height, width, channels), unfolded into a matrix: row (b, p, q) has the pixels of the
// window that begins at row p s - top and column q t - left, d rows and e columns apart, with all channels of each

// Index into the images of number `at` of the matrix; -1: in the border.
DNN_HD long long unfold_index(long long at, int height, int width, int channels, int h, int w, int rows, int columns,
                               int s, int t, int d, int e, int top, int left) {
    const int c = at % channels, j = (at /= channels) % w, i = (at /= w) % h, q = (at /= h) % columns;
    const int p = (at /= columns) % rows, y = p * s + d * i - top, x = q * t + e * j - left;
    if (y < 0 || y >= height || x < 0 || x >= width) return -1;
    return ((at / rows * height + y) * width + x) * channels + c;
}

// The sum of all numbers of the matrix that belong to number `at` of the images.
template <class T>
DNN_HD T fold_sum(const T* matrix, long long at, int height, int width, int channels, int h, int w, int rows,
                int columns, int s, int t, int d, int e, int top, int left) {
    const int c = at % channels, x = (at /= channels) % width + left, y = (at /= width) % height + top;
    T sum = 0;
    for (int i = 0; i < h && d * i <= y; ++i) {
        const int p = (y - d * i) / s;
        for (int j = 0; j < w && e * j <= x; ++j) {
            const int q = (x - e * j) / t;
            if (p * s + d * i == y && q * t + e * j == x && p < rows && q < columns)
                sum += matrix[((((at / height * rows + p) * columns + q) * h + i) * w + j) * channels + c];
        }
    }
    return sum;
}

// ----- Threefry-2x32, 20 rounds (Salmon et al. 2011)

// T is a signed 64-bit integer; each argument is below 2^32. It calls no other function, since torch compiles its text
// too (sources.function).
template <class T>
DNN_HD T threefry(T high, T low, T key0, T key1) {
    const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const unsigned int word0 = static_cast<unsigned int>(key0), word1 = static_cast<unsigned int>(key1);
    const unsigned int keys[3] = {word0, word1, word0 ^ word1 ^ 0x1BD11BDAu};
    unsigned int x0 = static_cast<unsigned int>(high) + keys[0];
    unsigned int x1 = static_cast<unsigned int>(low) + keys[1];
    for (int group = 0; group < 5; ++group) {
        for (int r = 0; r < 4; ++r) {
            x0 += x1;
            const int bits = rotations[group % 2][r];
            x1 = ((x1 << bits) | (x1 >> (32 - bits))) ^ x0;
        }
        x0 += keys[(group + 1) % 3];
        x1 += keys[(group + 2) % 3] + group + 1;
    }
    return (static_cast<T>(x0 >> 1) << 32) | x1;
}

}  // namespace dnn
