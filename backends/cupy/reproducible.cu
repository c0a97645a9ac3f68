// Products for the reproducible precision (backends/reproducible/sums.py). This text follows rows.cu.
// The compiler never fuses these operations to a multiply-add. In float32 they are written as PTX without .ftz: CuPy
// compiles with -ftz=true, and __fmul_rn and __fadd_rn would then flush denormal numbers to 0.

namespace {

#if defined(__CUDA_ARCH__)
__device__ float rounded_product(float a, float b) {
    asm("mul.rn.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
    return a;
}
__device__ float rounded_sum(float a, float b) {
    asm("add.rn.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
    return a;
}
__device__ double rounded_product(double a, double b) { return __dmul_rn(a, b); }
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
