// Emulates enough of CUDA to run a kernel on the host: block after block, with its threads as coroutines in lockstep.
//
// A thread waits at __syncthreads until all others of its block have reached one, or have ended. The threads of a warp
// yield at each __shfl_xor_sync and __syncwarp, and are resumed in turn: this requires that all of them meet the same
// calls, as CUDA does. CUDA defines no order between two barriers, so tests reverse it or run a single block, by
// host_order.
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

using std::min;

#define __global__ static
#define __device__
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))

struct Index {
    int x = 0, y = 0, z = 0;
};
static Index gridDim, blockIdx, blockDim, threadIdx;

namespace host {

static int backwards = 0;    // 1: start with the last block, and with its last thread
static int only_block = -1;  // the only block to run; -1: all

struct Thread {
    ucontext_t context;
    jmp_buf place;
    std::vector<char> stack;
    Index index;
    bool begun, done, at_barrier;
};
static std::vector<Thread> threads;
static ucontext_t start;
static jmp_buf scheduler;
static Thread* running = nullptr;
static std::function<void()> body;

// setjmp and longjmp are faster than swapcontext, which makes a system call for signals.
static void give_way() {
    if (_setjmp(running->place) == 0) _longjmp(scheduler, 1);
}

static void entry() {
    body();
    running->done = true;
    _longjmp(scheduler, 1);
}

static void resume(Thread& thread) {
    running = &thread;
    threadIdx = thread.index;
    if (_setjmp(scheduler) != 0) return;
    if (thread.begun) _longjmp(thread.place, 1);
    thread.begun = true;
    swapcontext(&start, &thread.context);
}

static void run_block() {
    const int count = blockDim.x * blockDim.y;
    for (int t = 0; t < count; ++t) {
        Thread& thread = threads[t];
        thread.stack.resize(32768);
        thread.index = {t % blockDim.x, t / blockDim.x, 0};
        thread.begun = thread.done = thread.at_barrier = false;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = thread.stack.size();
        makecontext(&thread.context, entry, 0);
    }
    for (bool alive = true; alive;) {
        alive = false;
        bool moved = false;
        for (int t = 0; t < count; ++t) {
            Thread& thread = threads[backwards ? count - 1 - t : t];
            if (!thread.done && !thread.at_barrier) {
                resume(thread);
                moved = true;
            }
            alive = alive || !thread.done;
        }
        for (int t = 0; t < count && !moved; ++t) threads[t].at_barrier = false;
    }
}

static void launch(int columns, int rows, int x, int y, std::function<void()> kernel) {
    body = kernel;
    gridDim = {columns, rows, 1};
    blockDim = {x, y, 1};
    threads.resize(x * y);
    for (int i = 0; i < columns * rows; ++i) {
        const int block = backwards ? columns * rows - 1 - i : i;
        if (only_block >= 0 && block != only_block) continue;
        blockIdx = {block % columns, block / columns, 0};
        run_block();
    }
}

}  // namespace host

static inline void __syncthreads() {
    host::running->at_barrier = true;
    host::give_way();
}
static inline void __threadfence() {}

template <class T>
static T atomicAdd(T* place, T value) {
    const T old = *place;
    *place += value;
    return old;
}

static inline void __syncwarp() { host::give_way(); }

template <class T>
static T __shfl_xor_sync(unsigned int, T value, int mask) {
    static T slots[32][32];
    const Index me = threadIdx;
    slots[me.y][me.x] = value;
    host::give_way();  // until all have written
    const T other = slots[me.y][me.x ^ mask];
    host::give_way();  // until all have read
    return other;
}

extern "C" void host_order(int backwards, int only_block) {
    host::backwards = backwards;
    host::only_block = only_block;
}
