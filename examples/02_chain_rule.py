# %% [markdown]
# # 2. How does one backward pass give the gradients of a whole network?
#
# You will see every number of a small network's forward and backward pass, check them with a pencil and by differences,
# and count why the backward pass goes from the loss to the input and not the other way. At the end the same pass runs
# through a discriminator into a generator, which is how a generator learns.
#
# **The chain rule.** A network is a composition: $x_k = f_k(x_{k-1}; \theta_k)$ for the layers $k = 1 \dots K$, then a
# loss $L(x_K)$. Write $J_k = \partial x_k/\partial x_{k-1}$ for the Jacobian of layer $k$, as many rows as $x_k$ has
# numbers, and $dx_k = \partial L/\partial x_k$. Then
#
# $$ dx_{k-1} = J_k^T\, dx_k , \qquad
#    d\theta_k = \Big(\frac{\partial x_k}{\partial \theta_k}\Big)^{\!T} dx_k , \qquad k = K, \dots, 1 . $$
#
# So a layer needs $dx_k$ from the layer after it and nothing else about the rest of the network. Both products are what
# its `backward` returns; it never builds $J_k$. (For `Dense` they are $dy\,W^T$ and $x^T dy$ of
# [chapter 1](01_dense_layer.md); for ReLU, $dx = dy$ where $x > 0$, and 0 elsewhere.)
#
# **With a pencil.** Two inputs, three hidden units, one logit $\ell$ and the loss $\tfrac12(\ell - 1)^2$:
#
# $$ x = (1, 2), \quad W_1 = \begin{pmatrix} 2 & -1 & 0 \\ 0 & 1 & -1 \end{pmatrix}, \quad
#    W_2 = \begin{pmatrix} 1 \\ -2 \\ 3 \end{pmatrix}, \quad b_1 = 0, \quad b_2 = 3 . $$
#
# | forward, downwards | backward, upwards |
# |---|---|
# | $x = (1, 2)$ | $dx = dh\,W_1^T = (8, -4)$ |
# | $h = xW_1 = (2, 1, -2)$ | $dh = (2, -4, 0)$, as $h_3 < 0$; $dW_1 = x^T dh$ |
# | $a = \max(h, 0) = (2, 1, 0)$ | $da = d\ell\,W_2^T = (2, -4, 6)$ |
# | $\ell = aW_2 + b_2 = 3$ | $d\ell = \ell - 1 = 2$; $dW_2 = a^T d\ell = (4, 2, 0)^T$ |
# | $L = \tfrac12 (3 - 1)^2 = 2$ | start: $\partial L/\partial L = 1$ |
#
# The third unit is off: no gradient passes it, and neither its column of $W_1$ nor its row of $W_2$ is changed.

# %%
import numpy as np

from tinygan import Sequential, gradcheck, inspect, losses, models
from tinygan.layers import Dense, Pointwise, ReLU

net = Sequential([Dense(2, 3), ReLU(), Dense(3, 1)], dtype="float64")
net.params["0.W"], net.params["0.b"] = np.array([[2.0, -1, 0], [0, 1, -1]]), 0
net.params["2.W"], net.params["2.b"] = np.array([[1.0], [-2], [3]]), 3
x = np.array([[1.0, 2]])
loss = losses.get("least_squares").g_loss       # ½ mean (ℓ − 1)² and its gradient

logit, cache = net.forward(x)
value, dlogit = loss(logit)
grads = net.zero_grads()
dx = net.backward(dlogit, cache, grads)
print("loss", value, "  dx", dx.astype(int).tolist())
for name, array in grads.items():
    print(f"d{name}", array.astype(int).tolist())


def loss_at(x, theta):
    """The loss of the network for other inputs or parameters."""
    other = net.copy()
    other.theta = theta
    return float(loss(other.forward(x)[0])[0])


def differences(f, a, h=0.25):
    """∂f/∂a by central differences. The loss is quadratic up to the next kink of ReLU, so h may be large."""
    steps = h * np.eye(a.size).reshape(-1, *a.shape)
    return np.array([(f(a + e) - f(a - e)) / (2 * h) for e in steps]).reshape(a.shape)


print("largest difference from numerical gradients:",
      max(abs(differences(lambda a: loss_at(a, net.theta), x) - dx).max(),
          abs(differences(lambda a: loss_at(x, a), net.theta) - grads.vector).max()))
records = inspect.layers(net, x, dlogit)        # each layer's output and the gradient that comes back to it
inspect.figure(records).savefig("02_chain_rule.png")

# %% [markdown]
# ![outputs and gradients of the input and of three layers, with their norms](02_chain_rule.png)
#
# `tinygan.inspect` draws the table above for any network: on the left what the forward pass gives, in the middle the
# gradient that the backward pass brings, on the right their Euclidean norms.
#
# **Why caches.** `Dense.backward` needs its input $x$ for $dW$, `ReLU.backward` the sign of its input. `forward`
# returns these in its cache. Without caches, the input of layer $k$ would have to be computed again from $x_0$ by
# $k - 1$ forward maps, in all $K(K-1)/2$ instead of none. The price is memory: the outputs of all layers are kept until
# the backward pass. (Between the two: keep every $\sqrt K$-th output and compute each segment again; Chen et al. 2016.)
#
# **Why from the loss.** Written out, the gradient is a product of Jacobians, $dx_0^T = dx_K^T J_K \cdots J_2 J_1$. It
# does not depend on the order of multiplication, but the cost does. From the left, each step is a row vector times a
# matrix (a vector-Jacobian product, VJP). From the right, the first products have as many columns as the network has
# inputs, which is the same as pushing each unit vector of the input through the network (Jacobian-vector products,
# JVP). For the small network, with $m \cdot k \cdot n$ multiplications for (m × k)(k × n), and then for the
# discriminator of README's example, once more from both sides:

# %%
jacobians = [net.params["2.W"].T, np.diag((records[1].output[0] > 0).astype(float)), net.params["0.W"].T]


def product(matrices, from_left):
    """The product of the matrices and the number of multiplications in this order."""
    rest, count = list(matrices), 0
    while len(rest) > 1:
        i = 0 if from_left else len(rest) - 2
        a, b = rest[i:i + 2]
        count += a.shape[0] * a.shape[1] * b.shape[1]
        rest[i:i + 2] = [a @ b]
    return rest[0], count


for from_left in (True, False):
    J, count = product(jacobians, from_left)
    print(f"from the {'loss ' if from_left else 'input'}: {count} multiplications,",
          "dx", (dlogit @ J).astype(int).tolist())


def multiplications(records):
    """Of one VJP or JVP of one sample: the size of W for a Dense, the number of outputs for a pointwise layer."""
    return sum(record.output[0].size if isinstance(record.layer, Pointwise) else record.layer.params["W"].size
               for record in records if isinstance(record.layer, (Dense, Pointwise)))


G, D = models.mlp(rng=0, dtype="float64")       # the networks of README's example
rng = np.random.default_rng(1)
image = rng.uniform(-1, 1, (1, 28, 28, 1))
one_pass = inspect.layers(D, image, np.ones_like)
_, cache = D.forward(np.repeat(image, 784, axis=0))
slopes, _ = D.jvp(np.eye(784).reshape(784, 28, 28, 1), cache)       # all unit vectors, as one batch
print("D's 784 slopes agree:", np.allclose(slopes.ravel(), one_pass[0].gradient.ravel(), rtol=1e-9, atol=1e-12))
print(f"1 VJP: {multiplications(one_pass):,} multiplications;  784 JVPs: {784 * multiplications(one_pass):,}")
print(f"parameters of D: {D.theta.size:,}")

# %% [markdown]
# One VJP costs as much as one forward pass, whatever the number of inputs. The gradients of all parameters come with
# it, for one more contraction in each layer; JVPs would need one pass for each parameter. Hence training uses reverse
# mode: one number, the loss, depends on very many. (Griewank & Walther 2008 prove for any program that its gradient
# costs at most a small multiple of the program itself.) Where the derivative along one direction is wanted, one JVP
# gives it for all outputs; gradient penalties use this.
#
# **Through D into G.** The generator's loss is a function of $D(G(z))$. G has no data of its own to compare with: its
# gradient is that of D's input, $\nabla_x D$ times the loss's derivative, passed back through G. A network of two
# networks shows it:

# %%
both, loss = Sequential([G, D], dtype="float64"), losses.get("non_saturating").g_loss
z = rng.standard_normal((16, 100))
records = inspect.layers(both, z, lambda logits: loss(logits)[1])
for record in records:
    print(f"{record.name:14} {str(record.output.shape):16} norms: output {record.norms[0]:5.2g}",
          f"  gradient {record.norms[1]:.2g}")
print(f"numbers in all outputs: {sum(record.output.size for record in records):,}; parameters: {both.theta.size:,}")
shrink = [before.norms[1] / after.norms[1] for before, after in zip(records, records[1:]) if "Leaky" in after.name]
print("factor across each LeakyReLU:", *(f"{factor:.2f}" for factor in shrink),
      f"  √((1 + 0.2²)/2) = {((1 + 0.2**2) / 2)**0.5:.2f}")

direction = rng.standard_normal(z.shape)
slope, _ = gradcheck.derivative(lambda h: loss(both.forward(z + h * direction)[0])[0])
print("slope along a direction agrees:", np.isclose(slope, (records[0].gradient * direction).sum(), rtol=1e-7))
inspect.figure(records).savefig("02_chain_rule-gan.png")

# %% [markdown]
# ![outputs and gradients of all layers of a generator followed by a discriminator](02_chain_rule-gan.png)
#
# G's layers are 0.0 to 0.6, D's are 1.0 to 1.3. Read the gradients from the bottom up: one number for each sample at
# the logit, an image in `0.6 Reshape` (how the loss rises with each pixel; descent goes the other way), then G's hidden
# units, then $z$. The norms fall on the way: LeakyReLU with slope 0.2 multiplies about half of the entries by 0.2, so
# the norm by about $\sqrt{(1 + 0.2^2)/2}$, and a `Dense` layer by a factor that its initial weights decide. In a deep
# network these factors multiply, which is why initialisation and normalisation matter.
#
# **Reference.** The network's gradients equal differences, the pencil's integers and, for the last line, the slope of
# the loss of D∘G along a random direction of $z$, found by five-point differences.
#
# ## Exercises
# 1. Set $b_2 = 1$, predict all gradients, then run the code. Then set $x = (1, 0)$ with $b_2 = 3$: at which entries do
#    the differences disagree with `backward`, and why is neither of the two wrong?
# 2. A network has widths $n_0, n_1, \dots, n_K$ of `Dense` layers without bias. Derive the number of multiplications of
#    the full Jacobian $J_K \cdots J_1$ from the left and from the right. For which widths is the right end the better
#    start? Check with `product`.
# 3. Put `Parallel([Identity(), Dense(3, 3)], "sum")` after the ReLU and run `inspect.layers`. Show from the records
#    that the gradient of `1 ReLU` is now a sum of two terms. Why do gradients add where the forward pass copies?
