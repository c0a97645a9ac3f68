// The arithmetic of each CUDA kernel, one element (or one pair to be merged) a call.
//
// The same text is compiled three times: by CuPy (NVRTC) in front of its ElementwiseKernels and of rows.cu, by
// the tests with nvcc, and by the tests with the C++ compiler of the host, where it is run against the reference
// kernels of backends/reference. Formulas and names follow those files.
#ifndef DNN_ARITHMETIC
#define DNN_ARITHMETIC

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define DNN_HD __host__ __device__ inline
#else
#define DNN_HD inline
#include <cmath>
using std::exp;
using std::fabs;
using std::fmod;
using std::log;
using std::sqrt;
using std::tanh;
#endif

namespace dnn {

// ----- activations; NaN passes through

template <class T>
DNN_HD T linear(T z) {
    return z;
}

// exp of a negative number only: nothing overflows, and small results keep their digits.
template <class T>
DNN_HD T sigmoid(T z) {
    const T e = exp(-fabs(z));
    return (z < T(0) ? e : T(1)) / (T(1) + e);
}

template <class T>
DNN_HD T hyperbolic_tangent(T z) {
    return tanh(z);
}

template <class T>
DNN_HD T relu(T z) {
    return z < T(0) ? T(0) : z;
}

// f'(z) dy, from y = f(z)
template <class T>
DNN_HD T linear_backward(T dy, T y) {
    return dy;
}

template <class T>
DNN_HD T sigmoid_backward(T dy, T y) {
    return dy * y * (T(1) - y);
}

template <class T>
DNN_HD T hyperbolic_tangent_backward(T dy, T y) {
    return dy * (T(1) - y * y);
}

template <class T>
DNN_HD T relu_backward(T dy, T y) {
    return y <= T(0) ? T(0) : dy;
}

// The same by number, as sources.FUSED_KINDS counts them.
template <class T>
DNN_HD T activated(int kind, T z) {
    return kind == 1 ? sigmoid(z) : kind == 2 ? hyperbolic_tangent(z) : kind == 3 ? relu(z) : z;
}

template <class T>
DNN_HD T activated_backward(int kind, T dy, T y) {
    return kind == 1   ? sigmoid_backward(dy, y)
           : kind == 2 ? hyperbolic_tangent_backward(dy, y)
           : kind == 3 ? relu_backward(dy, y)
                       : dy;
}

// ----- softmax with cross-entropy: one row is reduced to its maximum and its sum of exponentials

// The larger of two, NaN if either is: fmax would drop it.
template <class T>
DNN_HD T larger(T a, T b) {
    return (a > b || a != a) ? a : b;
}

template <class T>
DNN_HD T shifted_exp(T z, T maximum) {
    return exp(z - maximum);
}

// What class c adds to a row's loss: t_c (log sum_k exp(z_k - max) - (z_c - max)); nothing where t_c is 0.
template <class T>
DNN_HD T cross_entropy_term(T t, T z, T maximum, T total) {
    return t == T(0) ? T(0) : t * (log(total) - (z - maximum));
}

// (p_c sum_k t_k - t_c) / B
template <class T>
DNN_HD T cross_entropy_gradient(T t, T sum_t, T z, T maximum, T total, T batch) {
    return (shifted_exp(z, maximum) / total * sum_t - t) / batch;
}

// Whether z of another class keeps the target's from being the row's first maximum, where NaN is the largest.
template <class T>
DNN_HD bool beats(T z, T of_target, bool before) {
    if (of_target != of_target) return before && z != z;
    return !(z < of_target || (!before && z == of_target));
}

// ----- optimizers; control = [rate, c1, c2, updates done]

// An optimizer's moment; on every FLUSH_EVERY-th update 0 where it is below MOMENT_FLOOR.
template <class T>
DNN_HD T flushed(T moment, T updates) {
    return (fabs(moment) < T(1e-36) && fmod(updates, T(32)) == T(0)) ? T(0) : moment;
}

// Element i of the control array after one more update.
template <class T>
DNN_HD T advance(int i, T value, T beta1, T rest1, T beta2, T rest2) {
    if (i == 1) return beta1 * value + rest1;
    if (i == 2) return beta2 * value + rest2;
    return i == 3 ? value + T(1) : value;
}

template <class T>
DNN_HD void sgd(T& p, T g, T& velocity, T rate, T momentum, bool nesterov, T updates) {
    if (momentum == T(0)) {
        p = p - rate * g;
        return;
    }
    velocity = flushed(momentum * velocity + g, updates);
    p = p - rate * (nesterov ? g + momentum * velocity : velocity);
}

template <class T>
DNN_HD void adam(T& p, T g, T& m, T& v, T rate, T c1, T c2, T updates, T beta1, T rest1, T beta2, T rest2,
                 T epsilon) {
    m = flushed(beta1 * m + rest1 * g, updates);
    v = flushed(beta2 * v + rest2 * (g * g), updates);
    // The division first: rate times a small moment may be a denormal number, which CUDA code of CuPy flushes.
    p = p - rate / c1 * (m / (sqrt(v) / sqrt(c2) + epsilon));
}

template <class T>
DNN_HD void adamw(T& p, T g, T& m, T& v, T rate, T c1, T c2, T updates, T beta1, T rest1, T beta2, T rest2,
                  T epsilon, T weight_decay) {
    p = p * (T(1) - rate * weight_decay);
    adam(p, g, m, v, rate, c1, c2, updates, beta1, rest1, beta2, rest2, epsilon);
}

template <class T>
DNN_HD void adagrad(T& p, T g, T& total, T rate, T updates, T epsilon) {
    total = flushed(total + g * g, updates);
    p = p - rate * (g / (sqrt(total) + epsilon));
}

template <class T>
DNN_HD void rmsprop(T& p, T g, T& v, T& velocity, T rate, T updates, T decay, T rest, T epsilon, T momentum) {
    v = flushed(decay * v + rest * (g * g), updates);
    T step = g / (sqrt(v) + epsilon);
    if (momentum != T(0)) {
        velocity = flushed(momentum * velocity + step, updates);
        step = velocity;
    }
    p = p - rate * step;
}

// The step of the optimizer with this number, as sources.OPTIMIZERS counts them; numbers are those of an update:
// [scale of x, beta1, 1 - beta1, beta2, 1 - beta2, then the rest of its settings].
template <class T>
DNN_HD void optimize(int kind, const T* numbers, T rate, T c1, T c2, T updates, T& p, T g, T& first, T& second) {
    const T *betas = numbers + 1, *rest = numbers + 5;
    if (kind == 0) sgd(p, g, first, rate, rest[0], rest[1] != T(0), updates);
    if (kind == 1) adagrad(p, g, first, rate, updates, rest[0]);
    if (kind == 2) rmsprop(p, g, first, second, rate, updates, rest[0], rest[1], rest[2], rest[3]);
    if (kind == 3) adam(p, g, first, second, rate, c1, c2, updates, betas[0], betas[1], betas[2], betas[3], rest[0]);
    if (kind == 4)
        adamw(p, g, first, second, rate, c1, c2, updates, betas[0], betas[1], betas[2], betas[3], rest[0], rest[1]);
}

// ----- penalty of large weights; NaN passes through

// g + l1 sign(w) + 2 l2 w; a factor of 0 leaves its term out.
template <class T>
DNN_HD T penalized(T g, T w, T l1, T l2) {
    if (l2 != T(0)) g = g + (T(2) * l2) * w;
    if (l1 != T(0)) g = g + l1 * (w > T(0) ? T(1) : (w < T(0) ? T(-1) : w));
    return g;
}

// ----- clipping; NaN passes through

// min(1, limit / (norm + 1e-6)), from the sum of squares.
template <class T>
DNN_HD T clip_factor(T square, T limit) {
    const T factor = limit / (sqrt(square) + T(1e-6));
    return factor > T(1) ? T(1) : factor;
}

template <class T>
DNN_HD T clip_value(T g, T limit) {
    return g > limit ? limit : (g < -limit ? -limit : g);
}

// ----- windows of images (B, height, width, channels): row (b, p, q) of a matrix has the pixels (i, j) of the window
// that begins at row p s - top and column q t - left, channel by channel

// Where number `at` of that matrix lies in the images; -1: in the border.
DNN_HD long long unfolded(long long at, int height, int width, int channels, int h, int w, int rows, int columns,
                          int s, int t, int top, int left) {
    const int c = at % channels, j = (at /= channels) % w, i = (at /= w) % h, q = (at /= h) % columns;
    const int p = (at /= columns) % rows, y = p * s + i - top, x = q * t + j - left;
    if (y < 0 || y >= height || x < 0 || x >= width) return -1;
    return ((at / rows * height + y) * width + x) * channels + c;
}

// The sum of all numbers of the matrix that lie at number `at` of the images.
template <class T>
DNN_HD T folded(const T* matrix, long long at, int height, int width, int channels, int h, int w, int rows,
                int columns, int s, int t, int top, int left) {
    const int c = at % channels, x = (at /= channels) % width + left, y = (at /= width) % height + top;
    T sum = 0;
    for (int i = y % s; i < h && i <= y; i += s) {
        const int p = (y - i) / s;
        for (int j = x % t; j < w && j <= x; j += t) {
            const int q = (x - j) / t;
            if (p < rows && q < columns)
                sum += matrix[((((at / height * rows + p) * columns + q) * h + i) * w + j) * channels + c];
        }
    }
    return sum;
}

// ----- Threefry-2x32, 20 rounds (Salmon et al. 2011)

// T is a signed 64-bit integer; each argument is below 2^32. One function without a helper, of which torch is given
// the text too.
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

#endif
