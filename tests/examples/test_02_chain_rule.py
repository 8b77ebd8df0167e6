"""The chain rule: the pencil's integers, the order of the product, the gradient through D into G."""

import numpy as np
import pytest

from tinygan import gradcheck, losses


@pytest.fixture
def chain(chapter):
    return chapter("02_chain_rule").names


def test_the_integers_of_the_table(chain):
    assert chain["value"] == 2 and chain["dlogit"] == [[2]]
    np.testing.assert_array_equal(chain["dx"], [[8, -4]])
    grads = chain["grads"]
    np.testing.assert_array_equal(grads["0.W"], [[2, -4, 0], [4, -8, 0]])
    np.testing.assert_array_equal(grads["2.W"].T, [[4, 2, 0]])
    np.testing.assert_array_equal(grads["0.b"], [2, -4, 0])
    np.testing.assert_array_equal(grads["2.b"], [2])


def test_gradients_are_derivatives(chain):
    """With the loss of the small network: the name `loss` is later that of the generator."""
    loss, net = losses.get("least_squares").g_loss, chain["net"].copy()

    def at(theta):
        net.theta = theta
        return float(loss(net.forward(chain["x"])[0])[0])
    theta = chain["net"].theta.copy()
    np.testing.assert_array_equal(chain["differences"](at, theta), chain["grads"].vector)


@pytest.mark.parametrize("widths, left, right", [((2, 3, 3, 1), 15, 24), ((5, 4, 3, 1), 12 + 20, 60 + 15),
                                                 ((1, 4, 3, 6), 72 + 24, 12 + 18)])
def test_the_order_changes_the_cost_alone(chain, widths, left, right):
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal(shape) for shape in zip(widths[:0:-1], widths[-2::-1])]
    (a, from_left), (b, from_right) = (chain["product"](matrices, side) for side in (True, False))
    assert (from_left, from_right) == (left, right)
    np.testing.assert_allclose(a, b)
    np.testing.assert_allclose(a, np.linalg.multi_dot(matrices))


def test_the_jacobians_are_those_of_the_layers(chain):
    J, _ = chain["product"](chain["jacobians"], True)
    np.testing.assert_array_equal(chain["dlogit"] @ J, chain["dx"])


def test_multiplications_of_one_pass(chain):
    assert chain["multiplications"](chain["one_pass"]) == 784 * 256 + 256 + 256


def test_the_gradient_of_G_comes_through_D(chain):
    """Both networks in a row, against D.backward alone and against the difference in the chapter."""
    G, D, both, records = (chain[name] for name in ("G", "D", "both", "records"))
    fake, g_cache = G.forward(chain["z"])
    logits, d_cache = D.forward(fake)
    dfake = D.backward(chain["loss"](logits)[1], d_cache)
    found = {record.name: record.gradient for record in records}
    np.testing.assert_array_equal(found["0.6 Reshape"], dfake)
    np.testing.assert_array_equal(found["input"], G.backward(dfake, g_cache))
    assert found["1.3 Dense"].shape == (16, 1) and both.theta.size == G.theta.size + D.theta.size
    assert chain["slope"] == pytest.approx((found["input"] * chain["direction"]).sum(), rel=1e-8)
    gradcheck.check_backward(chain["net"], chain["x"] + 0.5).raise_if_wrong()


def test_agreements_are_printed(chapter):
    output = chapter("02_chain_rule").output
    assert "False" not in output and output.count("True") == 2 and "numerical gradients: 0.0" in output
