// Enough of CUDA to run a kernel on the host: one block after the other, its threads as coroutines in lockstep.
//
// A thread gives way at each __syncthreads and __shfl_xor_sync; they are resumed in turn, so that when one goes
// on all others have come as far. That holds for kernels whose threads of a block (or warp) meet the same
// barriers, as CUDA demands.
#include <ucontext.h>

#include <cmath>
#include <functional>
#include <vector>

#define __global__ static
#define __device__
#define __shared__ static

struct Index {
    int x = 0, y = 0, z = 0;
};
static Index blockIdx, blockDim, threadIdx;

namespace host {

struct Thread {
    ucontext_t context;
    std::vector<char> stack;
    Index index;
    bool done = false;
};
static std::vector<Thread> threads;
static ucontext_t scheduler;
static Thread* running = nullptr;
static std::function<void()> body;

static void give_way() {
    Thread* self = running;
    swapcontext(&self->context, &scheduler);
}

static void entry() {
    body();
    running->done = true;  // uc_link goes back to the scheduler
}

static void launch(int blocks, int x, int y, std::function<void()> kernel) {
    body = kernel;
    blockDim = {x, y, 1};
    threads.resize(x * y);
    for (int block = 0; block < blocks; ++block) {
        blockIdx = {block, 0, 0};
        for (int t = 0; t < x * y; ++t) {
            Thread& thread = threads[t];
            thread.stack.resize(32768);
            thread.index = {t % x, t / x, 0};
            thread.done = false;
            getcontext(&thread.context);
            thread.context.uc_stack.ss_sp = thread.stack.data();
            thread.context.uc_stack.ss_size = thread.stack.size();
            thread.context.uc_link = &scheduler;
            makecontext(&thread.context, entry, 0);
        }
        for (bool alive = true; alive;) {
            alive = false;
            for (Thread& thread : threads) {
                if (thread.done) continue;
                running = &thread;
                threadIdx = thread.index;
                swapcontext(&scheduler, &thread.context);
                alive = alive || !thread.done;
            }
        }
    }
}

}  // namespace host

static inline void __syncthreads() { host::give_way(); }

template <class T>
static T __shfl_xor_sync(unsigned int, T value, int mask) {
    static T slots[32][32];
    const Index me = threadIdx;
    slots[me.y][me.x] = value;
    host::give_way();  // all have written
    const T other = slots[me.y][me.x ^ mask];
    host::give_way();  // all have read
    return other;
}
