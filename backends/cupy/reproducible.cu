// Products for the reproducible precision (backends/reproducible/sums.py). This text follows rows.cu.
// The functions ending in _rn are rounded to nearest, and NVRTC never fuses them to a multiply-add.

namespace {

#if defined(__CUDA_ARCH__)
__device__ float rounded_product(float a, float b) { return __fmul_rn(a, b); }
__device__ double rounded_product(double a, double b) { return __dmul_rn(a, b); }
__device__ float rounded_sum(float a, float b) { return __fadd_rn(a, b); }
__device__ double rounded_sum(double a, double b) { return __dadd_rn(a, b); }
#else
template <class T>
T rounded_product(T a, T b) { return a * b; }
template <class T>
T rounded_sum(T a, T b) { return a + b; }
#endif

}  // namespace

extern "C" {

// out = a b for a (n, depth) and b (depth, m): one element per thread, terms in the order of depth.
__global__ void multiply_in_order(const REAL* a, const REAL* b, REAL* out, int n, int depth, int m) {
    const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= static_cast<long long>(n) * m) return;
    const REAL* row = a + i / m * depth;
    const REAL* column = b + i % m;
    REAL total = rounded_product(row[0], column[0]);
    for (int k = 1; k < depth; ++k)
        total = rounded_sum(total, rounded_product(row[k], column[static_cast<long long>(k) * m]));
    out[i] = total;
}

}
