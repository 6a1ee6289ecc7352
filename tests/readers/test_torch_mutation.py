"""PyTorch modules whose trace alone says something else than they compute: hooks, operations in
place, weights made in the forward pass, values that are no function of the image. The right values
are torch's own, in float64.
"""

import copy
import threading

import numpy as np
import pytest

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Preprocessing
from eventsnn.exceptions import InputError

pytestmark = pytest.mark.frameworks
torch = pytest.importorskip("torch")
from support.torch_networks import QCFS, ResNet, randomise  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils import parametrizations, prune  # noqa: E402

SHAPE = (2, 6, 6)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Function(nn.Module):
    """A convolution, then a function of (the module, its output), then a linear layer."""

    def __init__(self, function):
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(2, 3, 3, padding=1)
        self.relu, self.fc = nn.ReLU(inplace=True), nn.LazyLinear(4)
        self.drop = nn.Dropout(inplace=True)

    def forward(self, x):
        return self.fc(self.function(self, self.conv(x)).flatten(1))


def sequential():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))


def of(function):
    module = Function(function)
    with torch.no_grad():
        module(torch.zeros(1, *SHAPE))
    return module


def deviation(module, shape=SHAPE, **options):
    """The largest difference of the graph from the module in float64, as a share of the largest
    output, over pixels -1 to 1 and 0 to 255.
    """
    graph = eventsnn.load_torch(module, shape, **options)
    rng = np.random.default_rng(5)
    worst = 0
    for pixels in (rng.uniform(-1, 1, (3, *shape)), rng.uniform(0, 255, (3, *shape))):
        x = graph.preprocessing(pixels).astype(np.float64)
        with torch.no_grad():
            expected = truth(module)(torch.from_numpy(x.copy())).numpy()
        found = ann.forward(graph, x, dtype=np.float64)[graph.output]
        worst = max(worst, np.abs(found - expected).max() / np.abs(expected).max())
    return worst


def truth(module):
    """The module in float64, evaluating; what has been computed for it is left behind."""
    module = getattr(module, "_orig_mod", module)
    for part in module.modules():  # pruned weights are no leaves, which deepcopy refuses
        for name, value in list(vars(part).items()):
            if isinstance(value, torch.Tensor):
                setattr(part, name, value.detach())
    return copy.deepcopy(module).double().eval()


# --- operations in place ---------------------------------------------------------------------


def used_after_relu(m, x):
    y = m.relu(x)
    return torch.cat([x, y * 2], 1)


def relu_as_a_statement(m, x):
    x.relu_()
    return x


def function_as_a_statement(m, x):
    F.relu(x, inplace=True)
    return x


def torchs_function_as_a_statement(m, x):
    torch.relu_(x)
    return x + 1


def plus_equals(m, x):
    y = x
    y += 1
    return torch.cat([x, y], 1)


def plus_equals_an_output(m, x):
    y = F.relu(x)
    z = y
    z += x
    return torch.cat([y, z, x], 1)


def minus_times_divided(m, x):
    y = x
    x -= 0.5
    x *= 3
    x /= 7
    return y


def a_chain_of_changes(m, x):
    x.add_(1).mul_(2).sub_(0.25).div_(3).clamp_(0, 2)
    return x


def a_copy_is_not_changed(m, x):
    y = x.clone()
    y.relu_()
    return torch.cat([x, y], 1)


def a_relu_is_not_its_input(m, x):
    y = F.relu(x)
    y += 1
    return x + y


def through_an_identity(m, x):
    y = m.drop(x)
    y.relu_()
    return x * 2


def changed_before_a_view(m, x):
    flat = x.flatten(1)
    x.relu_()
    return flat


def one_module_used_twice(m, x):
    y = m.relu(x)
    z = m.relu(x - 1)
    return x + y + z


def changed_and_changed_again(m, x):
    y = F.relu(x)
    x += 2
    z = x * 3
    x -= 1
    return torch.cat([x, y, z], 1)


IN_PLACE = (
    used_after_relu,
    relu_as_a_statement,
    function_as_a_statement,
    torchs_function_as_a_statement,
    plus_equals,
    plus_equals_an_output,
    minus_times_divided,
    a_chain_of_changes,
    a_copy_is_not_changed,
    a_relu_is_not_its_input,
    through_an_identity,
    changed_before_a_view,
    one_module_used_twice,
    changed_and_changed_again,
)


@pytest.mark.parametrize("function", IN_PLACE)
def test_operations_in_place_are_read_in_torchs_order(function):
    assert deviation(of(function)) < 1e-9


class InputChanged(nn.Module):
    def forward(self, x):
        y = F.relu(x, inplace=True)
        return (x + y).flatten(1)


def test_an_input_changed_in_place_is_read_as_changed():
    assert deviation(InputChanged()) < 1e-9


class Residual(nn.Module):
    """A block that adds its input up in place, behind a ReLU in place."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.b(self.relu(self.a(self.relu(x))))
        out += x
        return self.relu(out).flatten(1)


def test_a_preactivated_block_adds_what_its_relu_left():
    assert deviation(Residual()) < 1e-9


def test_a_view_changed_in_place_is_refused_where_the_map_is_used():
    def changed(m, x):
        x.flatten(1).relu_()
        return x

    with pytest.raises(InputError, match="operation in place .relu_ on conv.: what it changes"):
        eventsnn.load_torch(of(changed), SHAPE)


# --- hooks -----------------------------------------------------------------------------------


def weight_norm(module):
    return nn.utils.weight_norm(module)


def spectral_norm(module):
    return nn.utils.spectral_norm(module)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("norm", (weight_norm, spectral_norm))
def test_norms_by_hooks_after_a_state_dict_is_loaded(norm):
    def made():
        first = norm(nn.Conv2d(2, 3, 3))
        return nn.Sequential(first, nn.ReLU(), nn.Flatten(), norm(nn.Linear(48, 4)))

    trained, module = made(), made()
    for parameter in trained.parameters():
        parameter.data.normal_()
    trained(torch.rand(2, *SHAPE))
    module.load_state_dict(trained.state_dict())
    assert deviation(module) < 1e-9


@pytest.mark.parametrize(
    "norm",
    (parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal),
)
def test_norms_by_parametrisation(norm):
    module = sequential()
    norm(module[0])
    norm(module[3])
    module.load_state_dict({k: v + 0.1 for k, v in module.state_dict().items()})
    assert deviation(module) < 1e-9


def test_pruned_weights_are_those_that_are_left():
    module = sequential()
    prune.l1_unstructured(module[0], "weight", 0.5)
    prune.random_structured(module[3], "weight", 0.25, dim=0)
    prune.l1_unstructured(module[3], "bias", 0.5)
    assert deviation(module) < 1e-9
    module.load_state_dict({k: v * 2 for k, v in module.state_dict().items()})  # weights are stale
    assert deviation(module) < 1e-9


HOOKS = {
    "output": lambda m: m[0].register_forward_hook(lambda m, inputs, out: out * 2 + 1),
    "input": lambda m: m[0].register_forward_pre_hook(lambda m, inputs: (inputs[0] * 3,)),
    "no output": lambda m: m[1].register_forward_hook(lambda m, inputs, out: out * 0),
    "of the network": lambda m: m.register_forward_hook(lambda m, inputs, out: F.relu(out)),
    "before the network": lambda m: m.register_forward_pre_hook(lambda m, i: (i[0] - 0.5,)),
    "an activation's": lambda m: m[1].register_forward_hook(lambda m, inputs, out: 0.5 * out),
    "with kwargs": lambda m: m[3].register_forward_hook(
        lambda m, args, kwargs, out: out + 1, with_kwargs=True
    ),
}


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_are_read(name):
    module = sequential()
    HOOKS[name](module)
    assert deviation(module) < 1e-9


def test_hooks_in_place_are_read():
    def doubled(m, inputs, out):
        out *= 2

    module = sequential()
    module[0].register_forward_hook(doubled)
    assert deviation(module) < 1e-9


def test_hooks_that_only_look_change_nothing():
    seen, module = [], sequential()
    module[0].register_forward_hook(lambda m, inputs, out: seen.append(out.detach().norm()))
    assert deviation(module) < 1e-9


@pytest.mark.parametrize("where", (0, 1))
def test_hooks_that_need_numbers_to_look_at_change_nothing(where):
    seen, module = [], nn.Sequential(sequential())
    part = (module[0][0], module[0])[where]
    part.register_forward_hook(lambda m, inputs, out: seen.append(float(out.mean())))
    assert deviation(module) < 1e-9


@pytest.mark.parametrize("where", (0, 1))
def test_hooks_that_need_numbers_and_change_them_are_refused(where):
    module = nn.Sequential(sequential())
    part, name = ((module[0][0], "'0.0' .Conv2d."), (module[0], "'0' .Sequential."))[where]
    part.register_forward_hook(lambda m, inputs, out: out * 2 if float(out.max()) > 0 else out)
    with pytest.raises(
        InputError, match=f"module {name}, whose hooks torch.fx cannot trace .TypeE"
    ):
        eventsnn.load_torch(module, SHAPE)


def test_a_hook_that_has_no_spiking_form_is_refused():
    module = sequential()
    module[1].register_forward_hook(lambda m, inputs, out: torch.tanh(out))
    with pytest.raises(InputError, match="tanh"):
        eventsnn.load_torch(module, SHAPE)


# --- weights from the forward pass -------------------------------------------------------------


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        return w.sign()


def fake_quantised(w):
    scale = w.abs().amax((1, 2, 3), keepdim=True) / 127
    return torch.clamp(torch.round(w / scale), -127, 127) * scale


WEIGHTS = {
    "sign": lambda w: w.sign() * w.abs().mean((1, 2, 3), keepdim=True),
    "autograd": Sign.apply,
    "ternary": lambda w: torch.where(w.abs() > 0.1, w.sign(), torch.zeros_like(w)),
    "fake quantised": fake_quantised,
    "straight through": lambda w: w + (w.round() - w).detach(),
    "standardised": lambda w: F.layer_norm(w, w.shape[1:]),
    "softmax": lambda w: torch.softmax(w.flatten(1), 1).view_as(w),
    "float": lambda w: w.float() * torch.ones(1),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_made_in_the_forward_pass_are_constants(name):
    class Made(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, WEIGHTS[name](self.weight).to(x.dtype), self.bias)

    module = sequential()
    module[0] = Made(2, 3, 3)
    assert deviation(module) < 1e-9


class Frozen(nn.Module):
    """Batch norm as detection networks freeze it."""

    def __init__(self):
        super().__init__()
        for name in ("weight", "bias", "mean", "var"):
            self.register_buffer(name, torch.rand(3) + 0.5)

    def forward(self, x):
        scale = self.weight.reshape(1, -1, 1, 1) * (self.var + 1e-5).rsqrt().reshape(1, -1, 1, 1)
        return scale * x + (self.bias.reshape(1, -1, 1, 1) - self.mean.reshape(1, -1, 1, 1) * scale)


def test_arithmetic_of_buffers_on_either_side():
    module = sequential()
    module[1] = nn.Sequential(Frozen(), nn.ReLU())
    assert deviation(module) < 1e-9
    for function in (
        lambda m, x: m.conv.bias[:, None, None] - x,
        lambda m, x: torch.ones(1) + x / m.conv.bias[:, None, None],
        lambda m, x: torch.tensor(2.0) * x,
        lambda m, x: 1 - x,
    ):
        assert deviation(of(function)) < 1e-9


# --- what is no function of the image ----------------------------------------------------------


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class Remembering(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = 0

    def forward(self, x):
        out = x + self.last
        self.last = out.detach()
        return out


@pytest.mark.parametrize("where", (0, 1))
@pytest.mark.parametrize("kind", (Counting, Remembering))
def test_values_kept_from_the_last_image_are_refused(kind, where):
    module = sequential()
    module[where] = nn.Sequential(module[where], kind())
    with pytest.raises(InputError):
        eventsnn.load_torch(module, SHAPE)


def test_random_numbers_are_refused_with_the_first_module_that_differs():
    module = sequential()
    module[0].register_forward_hook(lambda m, inputs, out: out * 2)
    module[1] = Noisy()
    with pytest.raises(InputError, match=r"module '1' \(Noisy\).*a difference of"):
        eventsnn.load_torch(module, SHAPE)


class Noisy(nn.Module):
    def forward(self, x):
        return F.relu(x + torch.rand(1))


# --- modules as they are given -----------------------------------------------------------------


def test_compiled_modules_are_unwrapped():
    module = sequential()
    module[0].register_forward_hook(lambda m, inputs, out: out * 2)
    wanted = eventsnn.load_torch(module, SHAPE).hash
    inner = nn.Sequential(torch.compile(module[:2], backend="eager"), *module[2:])
    in_place = copy.deepcopy(module)
    in_place.compile(backend="eager")
    twice = torch.compile(nn.DataParallel(module), backend="eager")
    for compiled in (torch.compile(module, backend="eager"), twice, in_place):
        assert eventsnn.load_torch(compiled, SHAPE).hash == wanted
    graph = eventsnn.load_torch(inner, SHAPE)
    assert [node.name for node in graph.nodes] == ["0.0", "mul", "0.1", "1", "2"]


@pytest.mark.parametrize("dtype", (torch.float64, torch.float16, torch.bfloat16))
def test_modules_of_other_types_of_floats(dtype):
    assert deviation(sequential().to(dtype)) < 1e-9


@pytest.mark.filterwarnings("ignore")
def test_scripted_modules_are_refused():
    with pytest.raises(InputError, match="torch.fx can trace it"):
        eventsnn.load_torch(torch.jit.script(sequential()), SHAPE)


def test_a_module_that_cannot_be_copied_is_refused():
    module = sequential()
    module.lock = threading.Lock()
    with pytest.raises(InputError, match="that copy.deepcopy copies, found TypeError"):
        eventsnn.load_torch(module, SHAPE)


def test_a_preprocessing_of_other_channels_is_refused():
    wrong = Preprocessing(1.0, np.zeros(4))
    with pytest.raises(InputError, match="preprocessing: mean: expected 1 or 2 numbers, found 4"):
        eventsnn.load_torch(sequential(), SHAPE, preprocessing=wrong)
    with pytest.raises(InputError, match="input_shape: expected at most"):
        eventsnn.load_torch(sequential(), (2, 10**6, 10**6))


def test_a_preprocessing_in_a_dict_and_none_at_all():
    given = {"scale": 1 / 255, "mean": [0.5, 0.25]}
    graph = eventsnn.load_torch(sequential(), SHAPE, preprocessing=given)
    assert graph.preprocessing.scale == 1 / 255 and graph.preprocessing.known
    assert not eventsnn.load_torch(sequential(), SHAPE).preprocessing.known
    with pytest.raises(InputError, match="torchvision's Normalize, found a function"):
        eventsnn.load_torch(sequential(), SHAPE, preprocessing=lambda x: x / 255)


def test_a_wrapper_with_hooks_is_refused():
    module = nn.DataParallel(sequential())
    module.register_forward_hook(lambda m, inputs, out: out * 2)
    with pytest.raises(InputError, match="hooks on DataParallel"):
        eventsnn.load_torch(module, SHAPE)


@pytest.mark.filterwarnings("ignore")
def test_the_module_stays_as_it_was():
    module = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(2, 3, 3)), nn.BatchNorm2d(3)).train()
    module.append(nn.ReLU(inplace=True)).append(nn.Flatten()).append(nn.Linear(48, 4))
    prune.l1_unstructured(module[4], "weight", 0.5)
    calls = []
    module[1].register_forward_hook(lambda *_: calls.append(1) and None)
    module[3].eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    weights = [module[0].weight, module[4].weight]
    values = [w.clone() for w in weights]
    hooks = [list(m._forward_hooks) + list(m._forward_pre_hooks) for m in module.modules()]
    modes = [m.training for m in module.modules()]
    grads = [p.requires_grad for p in module.parameters()]
    state = torch.get_rng_state()
    with torch.inference_mode():
        eventsnn.load_torch(module, SHAPE)
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in module.modules()] == modes
    assert [p.requires_grad for p in module.parameters()] == grads
    assert hooks == [list(m._forward_hooks) + list(m._forward_pre_hooks) for m in module.modules()]
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert module[0].weight is weights[0] and module[4].weight is weights[1]
    assert all(map(torch.equal, weights, values)) and torch.get_default_dtype() == torch.float32
    assert all("forward" not in vars(m) for m in module.modules())


@pytest.mark.parametrize("value, kind", ((float("nan"), "NaN"), (float("inf"), "infinity")))
@pytest.mark.parametrize("name", ("0.weight", "3.bias"))
def test_weights_that_are_not_numbers_are_named(name, value, kind):
    module = sequential()
    module.get_parameter(name).data.view(-1)[1] = value
    with pytest.raises(InputError, match=rf"numbers as weights, found {name} \({kind}; 1 of"):
        eventsnn.load_torch(module, SHAPE)


def test_running_statistics_that_are_not_numbers_are_named():
    module = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())
    module[0].running_mean[0] = float("nan")
    with pytest.raises(InputError, match="0.running_mean"):
        eventsnn.load_torch(module, SHAPE)


def test_parameters_without_numbers_are_named():
    for module in (
        nn.Sequential(nn.LazyConv2d(3, 3)),
        nn.Sequential(nn.Conv2d(2, 3, 3)).to("meta"),
    ):
        with pytest.raises(InputError, match="0.weight: expected numbers"):
            eventsnn.load_torch(module, SHAPE)


@pytest.mark.parametrize(
    "preprocessing",
    (
        None,
        Preprocessing(1 / 255),
        Preprocessing(1 / 255, np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.2, 0.3])),
    ),
)
def test_networks_in_train_mode(preprocessing):
    module = randomise(ResNet(nn.ReLU), 0).train()
    assert deviation(module, (3, 32, 32), preprocessing=preprocessing) < 1e-9


def test_a_forward_put_on_one_layer_is_read():
    module = sequential()
    conv = module[0]
    conv.forward = lambda x: F.conv2d(x, conv.weight) * 0.5
    graph = eventsnn.load_torch(module, SHAPE)
    x = torch.rand(2, *SHAPE)
    with torch.no_grad():
        expected = module(x).numpy()
    assert np.abs(ann.forward(graph, x.numpy())[graph.output] - expected).max() < 1e-5


def test_a_table_that_is_nearly_right_is_refused():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), QCFS(), nn.Flatten(), nn.Linear(48, 4))
    exact = {QCFS: lambda m: ("QCFS", {"lambda": m.thresh.item(), "levels": m.L})}
    eventsnn.load_torch(module, SHAPE, activations=exact)
    near = {QCFS: lambda m: ("QCFS", {"lambda": m.thresh.item() * (1 + 1e-6), "levels": m.L})}
    with pytest.raises(InputError, match="node '1'"):
        eventsnn.load_torch(module, SHAPE, activations=near)
