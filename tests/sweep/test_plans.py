"""Plans: axes, conditions, and what is no plan."""

import itertools
import time
import tracemalloc
from pathlib import Path

import pytest
from support.sweeping import study

from eventsnn.exceptions import InputError
from eventsnn.plugins import forget_plugins, registry_of
from eventsnn.sweep.plan import Plan
from eventsnn.sweep.planned import Planned
from eventsnn.sweep.reading import read_plan, set_options


def options(plan):
    return [run.options for run in plan.runs()]


def test_all_axes_are_combined_the_last_varying_fastest():
    plan = Plan(
        options={"steps": 8},
        points=[{"neuron": "if"}, {"neuron": "snm", "initial": 0}],
        zips=[{"percentile": [99, 99.9], "seed": [1, 2]}],
        grid={"srp": [0, 4]},
    )
    wanted = []
    for point in ({"neuron": "if"}, {"neuron": "snm", "initial": 0.0}):
        for percentile, seed in ((99.0, 1), (99.9, 2)):
            for srp in (0, 4):
                more = {"percentile": percentile, "seed": seed, "srp": srp}
                wanted.append({"steps": 8, **point, **more})
    assert options(plan) == wanted
    assert plan.axes == ("neuron", "initial", "percentile", "seed", "srp")


def test_conditions_change_leave_out_and_add_axes():
    plan = Plan(
        options={"engine": "event"},
        grid={"order": ["fifo", "random", "lifo"], "neuron": ["if", "snm"]},
        when=[{"if": {"order": "random"}, "options": {"refractory": 1}, "grid": {"seed": [5, 6]}}],
        skip=[{"neuron": "snm", "order": ["lifo", "random"]}],
    )
    found = [(o["order"], o["neuron"], o.get("refractory"), o.get("seed")) for o in options(plan)]
    assert found == [
        ("fifo", "if", None, None),
        ("fifo", "snm", None, None),
        ("random", "if", 1.0, 5),
        ("random", "if", 1.0, 6),
        ("lifo", "if", None, None),
    ]


def test_a_condition_reads_defaults_and_may_be_a_function():
    grid = {"neuron": ["if", "snm"], "seed": [0, 1]}
    assert len(options(Plan(grid=grid, skip=[{"engine": "clocked"}]))) == 0
    plan = Plan(grid=grid, skip=[lambda run: run["neuron"] == "snm" and run["seed"] > 0])
    assert [(o["neuron"], o["seed"]) for o in options(plan)] == [("if", 0), ("if", 1), ("snm", 0)]


def test_the_largest_t_answers_the_smaller_ones():
    assert options(Plan(grid={"steps": [4, 16, 8]})) == [{"steps": 16}]
    plan = Plan(grid={"steps": [4, 16]}, points=[{"neuron": "if"}, {"neuron": "tpp"}])
    assert [(o["neuron"], o["steps"]) for o in options(plan)] == [
        ("if", 16),
        ("tpp", 4),
        ("tpp", 16),
    ]


def test_further_plans_have_the_options_and_images_of_the_first():
    plan = Plan(
        options={"steps": 8, "engine": "event"},
        images={"count": 100, "size": 50},
        grid={"order": ["fifo"]},
        also=[{"options": {"steps": 4}, "images": {"count": 50}, "grid": {"order": ["random"]}}],
    )
    (first, second) = plan.runs()
    assert second.options == {"steps": 4, "engine": "event", "order": "random"}
    assert (first.span.count, second.span.count, second.span.size) == (100, 50, 50)
    changed = set_options(plan, {"engine": "clocked", "net": "x.h5"})
    assert [run.options["net"] for run in changed.runs()] == ["x.h5", "x.h5"]
    with pytest.raises(InputError, match="--order: expected an option that no axis changes"):
        set_options(plan, {"order": "fifo"})


def test_a_file_of_toml_or_python_has_the_same_tables(tmp_path):
    toml = tmp_path / "plan.toml"
    toml.write_text(
        "[options]\nsteps = 4\nreadout-from = 1\n[images]\ncount = 5\n"
        '[grid]\nneuron = ["if", "snm"]\n'
        '[[zips]]\nsrp = [0, 2]\nseed = [1, 2]\n[[points]]\nthresholds = "max"\n'
        '[[when]]\nif = {neuron = "snm"}\noptions = {initial = 0}\n'
        '[[skip]]\nsrp = 2\nneuron = ["if"]\n'
        "[[also]]\noptions = {steps = 3}\n"
    )
    python = tmp_path / "plan.py"
    python.write_text(
        "from eventsnn.sweep.plan import Plan\n"
        "plan = Plan(options={'steps': 4, 'readout_from': 1}, images={'count': 5},\n"
        "    grid={'neuron': ['if', 'snm']}, zips=[{'srp': [0, 2], 'seed': [1, 2]}],\n"
        "    points=[{'thresholds': 'max'}],\n"
        "    when=[{'if': {'neuron': 'snm'}, 'options': {'initial': 0}}],\n"
        "    skip=[{'srp': 2, 'neuron': ['if']}], also=[{'options': {'steps': 3}}])\n"
    )
    assert options(read_plan(toml)) == options(read_plan(python))
    assert len(options(read_plan(toml))) == 4


@pytest.mark.parametrize(
    "tables, words",
    [
        ({"grid": {"ordr": ["fifo"]}}, "grid: expected names of options, found 'ordr'; did you"),
        ({"grid": {"order": "fifo"}}, "grid: order: expected a list of values, found 'fifo'"),
        ({"grid": {"order": []}}, "grid: order: expected one or more values, found none"),
        ({"grid": {"order": ["fifo", "furthest"]}}, "grid: order: expected one of .*'furthest'"),
        ({"grid": {"limit": [1]}}, "expected options that decide .*'limit'; .*under images"),
        ({"options": {"workers": 2}}, "'workers'; leave it out: it changes no number"),
        ({"options": {"report_steps": [2]}}, "'report_steps'; leave it out: a run answers every"),
        ({"options": {"steps": "8"}}, "options: steps: expected a whole number from 1 .*'8'"),
        ({"options": []}, r"options: expected names and their values, found the list \[\]"),
        ({"images": {"counts": 3}}, "images: expected names among .*did you mean count"),
        ({"images": {"size": 0}}, "images: size: expected a whole number from 1, found 0"),
        ({"zips": {"seed": [1]}}, "zips: expected a list, .*\\[\\[zips\\]\\] for each"),
        (
            {"zips": [{"seed": [1], "srp": [0, 2]}]},
            "as many .*1 of seed, 2 of srp",
        ),
        ({"points": [{"neuron": "if"}, {"nuron": "if"}]}, "points 2: .*did you mean neuron"),
        ({"when": [{"options": {"srp": 2}}]}, "when 1: expected if, and options or grid"),
        ({"when": [{"if": {"a": 1}, "grid": {}}]}, "when 1: if: expected names of options"),
        ({"skip": [{}]}, "skip 1: expected options and their values, found none"),
        ({"also": [{"gird": {}}]}, "also 1: expected names among .*did you mean grid"),
        ({"also": [{"grid": {"seed": [-1]}}]}, "also 1: grid: seed: expected a whole number"),
    ],
)
def test_what_is_no_plan_is_told_in_a_line(tables, words):
    with pytest.raises(InputError, match=words) as caught:
        Plan(**tables)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("plan.toml", "[options", "plan.toml: expected a plan in TOML"),
        ("plan.toml", "[nonsense]\n", "plan.toml: expected names among .*'nonsense'"),
        ("plan.toml", '[grid]\nordr = ["fifo"]\n', "plan.toml: grid: .*did you mean order"),
        ("plan.py", "1 / 0", "expected a file that can be run, found ZeroDivisionError"),
        ("plan.py", "plan = 3", "expected a Plan called plan, found int"),
        ("plan.py", "", "expected a Plan called plan, found NoneType"),
    ],
)
def test_a_file_that_is_no_plan_is_told_in_a_line(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_plan(tmp_path / name)


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(InputError, match="expected a plan in TOML, found No such file"):
        read_plan("nowhere.toml")


def test_options_that_do_not_go_together_are_told_before_anything_runs(tmp_path):
    of_net = study(tmp_path)
    plan = Plan(options=of_net, grid={"order": ["fifo", "random"]})
    with pytest.raises(InputError, match="plan: --order: expected --engine event"):
        Planned(plan)
    with pytest.raises(InputError, match="expected one run or more, found none"):
        Planned(Plan(options=of_net, skip=[{"engine": "clocked"}]))


def test_a_network_without_images_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("EVENTSNN_DATA", raising=False)
    monkeypatch.setenv("EVENTSNN_CACHE_DIR", str(tmp_path / "cache"))
    of_net = study(tmp_path)
    with pytest.raises(InputError, match="data: expected images for a sweep, found none"):
        Planned(Plan(options={"net": of_net["net"]}))


@pytest.mark.parametrize(
    "images, words",
    [
        ({"count": 13}, "expected 13 images, found 12; choose a smaller count under images"),
        ({"first": 12}, "expected images up to the first|no image|found 12"),
    ],
)
def test_images_that_there_are_not_are_told(tmp_path, images, words):
    with pytest.raises(InputError, match=words):
        Planned(Plan(options=study(tmp_path), images={**images, "size": 5}))


@pytest.mark.parametrize("size, count", [*itertools.product((1, 5, 6, 12, 40), (None, 12, 7))])
def test_images_are_cut_into_cells(tmp_path, size, count):
    images = {"first": 0, "size": size} | ({} if count is None else {"count": count})
    planned = Planned(Plan(options=study(tmp_path), images=images))
    cells = list(planned.cells())
    assert len(cells) == len(planned) == 2 * -(-(count or 12) // size)
    runs = [cell for cell in cells if cell.row != "ann"]
    assert sum(cell.size for cell in runs) == (count or 12)
    assert [cell.first for cell in runs] == list(range(0, count or 12, size))
    assert len({cell.id for cell in cells}) == len(cells)
    assert all(len(cell.id) * 4 >= 128 for cell in cells)


@pytest.mark.slow
def test_ten_thousand_cells_are_planned_fast_and_in_little_memory(tmp_path):
    of_net = study(tmp_path)
    plan = Plan(options=of_net, images={"size": 6}, grid={"seed": list(range(5000))})
    Planned(Plan(options=of_net))  # what is imported on first use
    began = time.perf_counter()
    planned = Planned(plan)
    count = sum(1 for _ in planned.cells())
    assert time.perf_counter() - began < 8  # 2 s on a machine that does nothing else
    assert count == len(planned) == 10_002
    tracemalloc.start()
    for _ in planned.cells():
        pass
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


EXTEND = Path(__file__).parents[2] / "examples" / "extend"


@pytest.fixture
def forgotten():
    """What a plug-in registers is forgotten again."""
    yield
    forget_plugins(f"{EXTEND / 'model.py'},{EXTEND / 'encoding.py'}")
    for kind, name in (("model", "eager"), ("encoding", "fading")):
        registry = registry_of(kind)
        if name in registry.loaded():
            registry.remove(name)


@pytest.mark.usefixtures("forgotten")
def test_a_plan_names_what_its_plugin_registers():
    plan = Plan(options={"plugin": str(EXTEND / "model.py")}, grid={"neuron": ["if", "eager"]})
    assert [run.options["neuron"] for run in plan.runs()] == ["if", "eager"]


@pytest.mark.usefixtures("forgotten")
def test_an_encoding_of_ones_own_is_run_for_each_t():
    options = {"plugin": str(EXTEND / "encoding.py"), "encoding": "fading"}
    assert [run.steps for run in Plan(options=options, grid={"steps": [4, 8]}).runs()] == [4, 8]


def test_a_condition_that_raises_is_told_in_a_line():
    plan = Plan(skip=[lambda run: run["seed"]])
    with pytest.raises(InputError, match="condition: expected a function of a run's options"):
        list(plan.runs())
