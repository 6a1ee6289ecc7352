"""Activations of training: their values, their gradients by the papers' formulas and by finite
differences, and what they become in a graph.
"""

from functools import partial

import numpy as np
import pytest

import eventsnn
from eventsnn.ann.forward import forward

torch = pytest.importorskip("torch", exc_type=ImportError)
from eventsnn.train import activations as made  # noqa: E402 (it needs torch)

pytestmark = pytest.mark.frameworks
Y = torch.tensor([-1.3, -0.1, 0.05, 0.3, 0.77, 1.1, 1.49, 1.51, 2.2, 9.0], dtype=torch.float64)
WEIGHTS = torch.linspace(0.5, 2, len(Y), dtype=torch.float64)
KINDS = ("relu", "tcl", "qcfs:4", "lsq:4", "slip:4", "rnl", "rts:4")


def module(text):
    """An activation whose threshold is 1.5, in evaluation mode, of 64 bits."""
    found = made.activation(text, 1.5).double().eval()
    for name, value in (*found.named_parameters(), *found.named_buffers()):
        if name in ("scale", "highest"):
            value.data.fill_(1.5 / 4 if name == "scale" else 1.5)
    return found


def parameter(found):
    return next(found.parameters())


def gradients(found, y=Y):
    """(gradient of y, of the trained parameter) of the sum of WEIGHTS times the output."""
    y = y.clone().requires_grad_(True)
    (WEIGHTS * found(y)).sum().backward()
    return y.grad, parameter(found).grad


def differences(function, at, step=1e-6):
    """The central difference of a function of one number."""
    return (function(at + step) - function(at - step)) / (2 * step)


def one(found, weight, value):
    return weight * found(torch.tensor(value, dtype=torch.float64)).item()


def with_parameter(found, value, y=Y):
    own = parameter(found)
    kept = own.detach().clone()
    with torch.no_grad():
        own.fill_(value)
        out = (WEIGHTS * found(y)).sum().item()
        own.copy_(kept)
    return out


def test_values_are_those_of_the_papers():
    y = Y.numpy()
    expected = {
        "relu": np.maximum(y, 0),
        "tcl": np.clip(y, 0, 1.5),
        "qcfs:4": 1.5 * np.clip(np.floor(y * 4 / 1.5 + 0.5) / 4, 0, 1),
        "lsq:4": 0.375 * np.clip(np.floor(y / 0.375 + 0.5), 0, 4),
        "rnl": np.clip(y / 1.5, 0, 1),
        "rts:4": np.clip(y - 1.5 / 8, 0, 1.5),
    }
    expected["slip:4"] = (expected["tcl"] + expected["qcfs:4"]) / 2
    for text in KINDS:
        np.testing.assert_allclose(module(text)(Y).detach().numpy(), expected[text], atol=1e-12)


@pytest.mark.parametrize("text", ["tcl", "rnl"])
def test_gradients_of_what_is_continuous_are_finite_differences(text):
    found = module(text)
    of_y, of_own = gradients(found)
    assert of_own.item() == pytest.approx(
        differences(lambda value: with_parameter(found, value), parameter(found).item()), rel=1e-6
    )
    for i, value in enumerate(Y.tolist()):
        near = differences(partial(one, found, WEIGHTS[i].item()), value)
        assert of_y[i].item() == pytest.approx(near, abs=1e-6)


def test_a_shifted_threshold_relu_passes_gradients_between_0_and_theta():
    """As the authors' code: 1 where 0 <= y - theta / 2T <= theta; theta itself is not trained."""
    found = module("rts:4")
    assert not list(found.parameters())
    y = Y.clone().requires_grad_(True)
    (WEIGHTS * found(y)).sum().backward()
    inside = ((Y - 1.5 / 8 > 0) & (Y - 1.5 / 8 < 1.5)).double()
    assert torch.equal(y.grad, WEIGHTS * inside)
    for i, value in enumerate(Y.tolist()):
        near = differences(partial(one, found, WEIGHTS[i].item()), value)
        assert y.grad[i].item() == pytest.approx(near, abs=1e-6)


def test_what_the_shift_takes_in_training_the_shift_of_conversion_gives_back():
    """RTS in T steps with biases up by theta / 2T is plain IF from v(0) = 0, spike for spike."""
    torch.manual_seed(3)
    conv, dense = torch.nn.Conv2d(2, 3, 3), torch.nn.Linear(48, 4)
    shifted, plain = (
        eventsnn.load_torch(torch.nn.Sequential(conv, act, torch.nn.Flatten(), dense), (2, 6, 6))
        for act in (made.ShiftedRelu(8, 0.5), made.Clipping(0.5))
    )
    assert [node.op for node in shifted.activations] == ["ClippedRelu"]
    pixels = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype(np.float32)
    how = dict(steps=8, fraction_bits=20, pixel_range=(-5.0, 5.0))
    rts = eventsnn.simulate(eventsnn.convert(shifted), pixels, shift=True, **how)
    zero = eventsnn.simulate(eventsnn.convert(plain), pixels, initial=0, **how)
    assert rts.spikes.sum() > 50 and np.array_equal(rts.digests, zero.digests)
    assert np.array_equal(rts.readouts, zero.readouts)


def test_tcl_follows_eq_10():
    _, of_lambda = gradients(module("tcl"))
    assert of_lambda.item() == pytest.approx(WEIGHTS[Y >= 1.5].sum().item())


def straight(text):
    """(y, own parameter) -> output, with the floor as the identity plus a constant, in torch."""

    def qcfs(y, threshold):
        share = torch.clamp(y / threshold, 0, 1)
        return threshold * (share + (torch.floor(share * 4 + 0.5) / 4 - share).detach())

    def lsq(y, scale):
        clipped = torch.clamp(y / scale, 0, 4)
        level = clipped + (torch.floor(clipped + 0.5) - clipped).detach()
        return scale * level

    def slip(y, threshold):
        return (torch.minimum(torch.relu(y), threshold) + qcfs(y, threshold)) / 2

    return {"qcfs:4": qcfs, "lsq:4": lsq, "slip:4": slip}[text]


@pytest.mark.parametrize("text", ["qcfs:4", "lsq:4", "slip:4"])
def test_gradients_of_steps_are_those_of_the_straight_through_formulas(text):
    found = module(text)
    of_y, of_own = gradients(found)
    y = Y.clone().requires_grad_(True)
    own = parameter(found).detach().clone().requires_grad_(True)
    (WEIGHTS * straight(text)(y, own)).sum().backward()
    factor = 1 / 2 if text == "lsq:4" else 1  # g of a single feature and 4 levels
    np.testing.assert_allclose(of_y, y.grad, atol=1e-12)
    assert of_own.item() == pytest.approx(own.grad.item() * factor, rel=1e-12)


def test_lsq_follows_eq_3_and_scales_its_gradient():
    found = module("lsq:4")
    y = Y.reshape(2, 5).clone().requires_grad_(True)
    (WEIGHTS.reshape(2, 5) * found(y)).sum().backward()
    share = (Y / 0.375).numpy()
    inside = (share > 0) & (share < 4)
    of_scale = np.where(inside, np.floor(share + 0.5) - share, np.where(share >= 4, 4, 0))
    expected = (WEIGHTS.numpy() * of_scale).sum() / np.sqrt(5 * 4)
    assert parameter(found).grad.item() == pytest.approx(expected)


def test_lsq_begins_with_the_first_batch_of_training():
    found = made.QRelu(4).train()
    y = torch.tensor([[1.0, -3.0], [2.0, 0.0]])
    found(y)
    assert found.scale.item() == pytest.approx(2 * 1.5 / 2)
    found(10 * y)
    assert found.scale.item() == pytest.approx(1.5)


def test_a_rate_norm_layer_follows_the_running_maximum():
    found = made.RateNorm().train()
    found(torch.tensor([1.0, 4.0]))
    assert found.highest.item() == 4
    found(torch.tensor([1.0, 2.0]))
    assert found.highest.item() == pytest.approx(3.8)
    found.eval()(torch.tensor([100.0]))
    assert found.highest.item() == pytest.approx(3.8)


@pytest.mark.parametrize("text", KINDS)
def test_each_is_known_to_load_torch_and_survives_a_file(text, tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), module(text), torch.nn.Flatten(),
                              torch.nn.Linear(48, 4)).float()  # fmt: skip
    graph = eventsnn.load_torch(net, (2, 6, 6))
    eventsnn.save(graph, tmp_path / "net.h5")
    again = eventsnn.load(tmp_path / "net.h5")
    assert again.hash == graph.hash and len(again.activations) == 1
    x = np.random.default_rng(0).normal(size=(4, 2, 6, 6)).astype(np.float32)
    ours = forward(again, x)[again.output]
    with torch.no_grad():
        np.testing.assert_allclose(ours, net(torch.from_numpy(x)).numpy(), atol=1e-5)
    network = eventsnn.convert(again, thresholds="max" if text == "relu" else "auto", calibration=x)
    theta = {"tcl": 1.5, "qcfs:4": 1.5, "lsq:4": 1.5, "slip:4": 1.5, "rnl": 1.0}
    theta["rts:4"] = 1.5
    if text in theta:
        assert np.allclose(network.layers[0].theta, theta[text])


def test_thresholds_that_are_none_are_refused():
    with pytest.raises(eventsnn.InputError, match="epoch 3.*above 0"):
        made.check_thresholds(torch.nn.Sequential(made.Clipping(-1)), "epoch 3")
