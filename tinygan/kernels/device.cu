// The ops of a training step on a GPU, float32. A thread serves one number, or one column of a few rows.
//
// No thread waits for another, and no two write to one place: results do not depend on the order in which threads run,
// and this very source also compiles as C++, where a loop stands in for the threads (tests/kernels/emulator.py).
// The formulas are those of ops/; each kernel is tested equal to its namesake there.

#define KERNEL extern "C" __global__ void
#define EACH(i, n) unsigned i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= (n)) return

// Pointwise.

KERNEL add_bias(const float* y, const float* b, float* out, unsigned c, unsigned n) {
    EACH(i, n);
    out[i] = y[i] + b[i % c];
}

KERNEL leaky_relu(const float* x, float* y, float slope, unsigned n) {
    EACH(i, n);
    y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

KERNEL leaky_relu_d1(const float* t, const float* x, float* y, float slope, unsigned n) {
    EACH(i, n);
    y[i] = (x[i] > 0 ? 1.0f : slope) * t[i];
}

KERNEL sigmoid(const float* x, float* y, unsigned n) {
    EACH(i, n);
    float e = expf(-fabsf(x[i]));       // at most 1: nothing overflows
    y[i] = (x[i] >= 0 ? 1.0f : e) / (1 + e);
}

// Cross-entropy of sigmoid(l) with target t, each term of the mean and its derivative; mean: 1/n.
KERNEL bce_with_logits(const float* logits, float* terms, float* d, float t, float mean, unsigned n) {
    EACH(i, n);
    float l = logits[i], e = expf(-fabsf(l));
    terms[i] = fmaxf(l, 0.0f) + log1pf(e) - t * l;
    d[i] = ((l >= 0 ? 1.0f : e) / (1 + e) - t) * mean;
}

// Bits of counter i under a key of two words (ops/random.py); each word serves two elements, sixteen bits each.
KERNEL dropout(const float* x, float* y, float* mask, const unsigned* key, unsigned limit, float scale, unsigned n) {
    EACH(i, n / 2 + n % 2);
    unsigned bits = i ^ key[0];
    bits ^= bits >> 17; bits *= 0xED5AD4BBu; bits ^= key[1];
    bits ^= bits >> 11; bits *= 0xAC4C1B51u;
    bits ^= bits >> 15; bits *= 0x31848BABu;
    bits ^= bits >> 14;
    for (unsigned j = 2 * i; j < n && j < 2 * i + 2; j++, bits >>= 16) {
        mask[j] = (bits & 0xFFFFu) < limit ? scale : 0.0f;
        y[j] = x[j] * mask[j];
    }
}

// Adam on theta. What changes from step to step, the rate and both bias corrections, is read from the device, so that a
// captured step can be replayed. a = 1 - beta comes from the host, where it is computed in float64.
KERNEL adam(float* theta, const float* g, float* m, float* v, const float* lr, const float* c1, const float* c2,
            float beta1, float a1, float beta2, float a2, float eps, unsigned n) {
    EACH(i, n);
    m[i] = beta1 * m[i] + a1 * g[i];
    v[i] = beta2 * v[i] + a2 * (g[i] * g[i]);
    theta[i] -= *lr * (m[i] / *c1 / (sqrtf(v[i] / *c2) + eps));
}

// Sums over the rows of x (n, c), as a tree: a thread adds a few rows of one column, a block of them; the sums of all
// blocks are rows in their turn, until there is one. Short sums are quick, and round little.

#define EACH_BLOCK(i, j, from, to) EACH(i, blocks * c); \
    unsigned j = i % c, from = i / c * rows, to = from + rows < n ? from + rows : n

KERNEL sum_rows(const float* x, float* out, unsigned rows, unsigned n, unsigned c, unsigned blocks) {
    EACH_BLOCK(i, j, from, to);
    float sum = 0;
    for (unsigned r = from; r < to; r++) sum += x[r * c + j];
    out[i] = sum;
}

// Mean and sum of (x - mean)^2 of each block, side by side in out (blocks, 2, c); of all samples the mean and the variance.
// A row of x stands for `each` of the `total` samples, the last for what is left: a sample itself, or (2, c) numbers
// as this kernel writes them. About the common mean, squares about a part's own gain its samples times distance^2.
KERNEL moments(const float* x, unsigned each, unsigned total, float* out, unsigned rows, unsigned n, unsigned c,
               unsigned blocks) {
    EACH_BLOCK(i, j, from, to);
    unsigned wide = each > 1 ? 2 * c : c;
    float mean = 0, squares = 0;
    for (unsigned r = from; r < to; r++) mean += x[r * wide + j] * (r + 1 < n ? each : total - r * each);
    mean /= (to < n ? to * each : total) - from * each;
    for (unsigned r = from; r < to; r++) {
        float gap = x[r * wide + j] - mean;
        squares += gap * gap * (r + 1 < n ? each : total - r * each) + (each > 1 ? x[r * wide + c + j] : 0);
    }
    out[i / c * 2 * c + j] = mean;
    out[i / c * 2 * c + c + j] = blocks > 1 ? squares : squares / total;
}

// Sums of t and of xhat t, side by side in out (blocks, 2, c).
KERNEL sum_products(const float* t, const float* xhat, float* out, unsigned rows, unsigned n, unsigned c,
                    unsigned blocks) {
    EACH_BLOCK(i, j, from, to);
    float sum = 0, along = 0;
    for (unsigned r = from; r < to; r++) {
        sum += t[r * c + j];
        along += xhat[r * c + j] * t[r * c + j];
    }
    out[i / c * 2 * c + j] = sum;
    out[i / c * 2 * c + c + j] = along;
}

// Batch normalisation of x (n, c).

KERNEL update_running(float* running, const float* batch, float momentum, float share, unsigned n) {
    EACH(i, n);
    running[i] = momentum * running[i] + share * batch[i];
}

KERNEL normalize(const float* x, const float* mean, const float* s, const float* gamma, const float* beta, float* y,
                 float* xhat, unsigned c, unsigned n) {
    EACH(i, n);
    unsigned j = i % c;
    xhat[i] = (x[i] - mean[j]) / s[j];
    y[i] = gamma[j] * xhat[i] + beta[j];
}

KERNEL project(const float* t, const float* xhat, const float* scale, const float* sum, const float* along, float* y,
               float m, unsigned c, unsigned n) {
    EACH(i, n);
    unsigned j = i % c;
    y[i] = (t[i] - sum[j] / m - xhat[i] * (along[j] / m)) * scale[j];
}
