// Windows of x (N, H, W, C) laid out as the rows of a matrix, and the adjoint; see ops/windows.py.
//
// The geometry is compiled in, as divisions by constants are cheap. H W, OH OW, KH KW, SH SW: size, windows, kernel,
// stride; TOP LEFT: padding before; C: how many `vec` a pixel has, each of one float or, if FOUR, of four.

#define KERNEL extern "C" __global__ void
#define EACH(i, n) unsigned i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= (n)) return

#if FOUR
typedef float4 vec;
__device__ vec zero() { return make_float4(0, 0, 0, 0); }
__device__ vec plus(vec a, vec b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
#else
typedef float vec;
__device__ vec zero() { return 0; }
__device__ vec plus(vec a, vec b) { return a + b; }
#endif

// n: of X, whose rows (sample, window) hold taps, then channels.
KERNEL windows(const vec* x, vec* X, unsigned n) {
    EACH(k, n);
    unsigned c = k % C, r = k / C;
    int v = r % KW, u = r / KW % KH;
    r /= KW * KH;
    int i = r / OW % OH * SH + u - TOP, j = r % OW * SW + v - LEFT;
    X[k] = 0 <= i && i < H && 0 <= j && j < W ? x[((r / (OW * OH) * H + i) * W + j) * C + c] : zero();
}

// n: of x. Each pixel gathers from all windows that it stands in, tap by tap: the order of the sum is fixed.
KERNEL add_windows(const vec* X, vec* x, unsigned n) {
    EACH(k, n);
    unsigned c = k % C, r = k / C, sample = r / (W * H);
    int i = r / W % H + TOP, j = r % W + LEFT;
    vec sum = zero();
    for (int u = i % SH; u < KH && u <= i; u += SH) {
        int p = (i - u) / SH;
        if (p >= OH) continue;
        for (int v = j % SW; v < KW && v <= j; v += SW) {
            int q = (j - v) / SW;
            if (q < OW) sum = plus(sum, X[(((sample * OH + p) * OW + q) * KH * KW + u * KW + v) * C + c]);
        }
    }
    x[k] = sum;
}
