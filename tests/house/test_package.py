"""The package as it is installed, and the facade: exact, lazy, and with help where it is asked
for.
"""

import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import eventsnn
from eventsnn.exceptions import InputError, OptionError, PotentialsTooLarge, TooManyEvents

ROOT = Path(eventsnn.__file__).parent
ROOMS = """
adversary ann claims clocked commands data detection diagnosis engine event eventsnn export files
inputs keras network neurons nir notebook onnx pages readers reference runs sample simulation
studies sweep torch trace train verifying views zoo
"""
MODULES = """
adversary ann arithmetic asynchronism budgets certified cost data detection edits encoding
equivalence errors explain export microscope neurons order_sampling plots presets readers replay
statistics surgery sweep tables timing trace
"""


def python(code):
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_folder_with_code_is_a_package():
    """Without __init__.py a folder is left out when the package is built."""
    folders = {path.parent for path in ROOT.rglob("*.py")}
    assert {folder.name for folder in folders} == set(ROOMS.split())
    assert all((folder / "__init__.py").is_file() for folder in folders)
    assert (ROOT / "py.typed").is_file()


def test_no_module_is_ignored_by_git():
    """What .gitignore leaves out, a clone does not have."""
    listed = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "eventsnn", "tests"]
    done = subprocess.run(listed, cwd=ROOT.parent, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not in a git repository")
    assert [name for name in done.stdout.split() if name.endswith(".py")] == []


def test_all_is_exact():
    for name in eventsnn.__all__:
        assert getattr(eventsnn, name) is not None
    assert sorted(eventsnn.__all__) == sorted({*eventsnn._NAMES, "__version__"})


def test_dir_shows_names_and_modules_before_anything_is_imported():
    shown = python("import eventsnn; print(*dir(eventsnn))").split()
    assert shown == sorted([*eventsnn.__all__, *MODULES.split()])


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, eventsnn; print(*{'numpy', 'numba', 'h5py', 'matplotlib'} & {*sys.modules})"
    assert python(code) == ""


@pytest.fixture(scope="module")
def imported():
    """name -> what it is to import a module first, in a process that has imported no other.

    The processes are copies of one, which has imported what is not eventsnn's.
    """
    code = f"""
import os, sys
import h5py, matplotlib, numba, numpy
assert "eventsnn" not in sys.modules
for name in {MODULES.split()}:
    copy = os.fork()
    if not copy:
        exec(f"import eventsnn.{{name}} as first\\nimport eventsnn")
        exec(f"from eventsnn import {{name}} as second\\nthird = eventsnn.{{name}}")
        print(name, first is second is third, first.__spec__.name, flush=True)
        os._exit(0)
    os.waitpid(copy, 0)
"""
    return {name: found for name, *found in map(str.split, python(code).splitlines())}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied")
@pytest.mark.parametrize("name", MODULES.split())
def test_modules_have_flat_names_in_every_kind_of_import(name, imported):
    same, where = imported[name]
    assert same == "True" and where.startswith("eventsnn.") and where.endswith(name)


def test_names_can_be_imported_from_a_flat_module_first():
    code = "from eventsnn.errors import decompose; import eventsnn.studies.errors as errors\n"
    assert python(code + "print(errors.decompose is decompose)") == "True"


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="simulat"):
        eventsnn.simulat  # noqa: B018 (the attribute is what is tested)
    with pytest.raises(ModuleNotFoundError):
        __import__("eventsnn.tabels")


def test_help_explains_every_option_of_a_run():
    signature = inspect.signature(eventsnn.simulate)
    text = inspect.getdoc(eventsnn.simulate)
    for name, parameter in signature.parameters.items():
        assert parameter.kind is not parameter.VAR_KEYWORD
        assert f"\n{name}: " in text, name
    assert "Raises InputError" in text


@pytest.mark.parametrize(
    "call, near",
    [
        (lambda net, images: eventsnn.simulate(net, images, stpes=3), "steps"),
        (lambda net, images: net.run(images, ordr="fifo"), "order"),
        (lambda net, images: eventsnn.convert(net.graph, treshold="max"), "thresholds"),
        (lambda net, images: eventsnn.load_images("sample", limits=3), "limit"),
        (lambda net, images: eventsnn.load("sample", arhc="vgg16"), "arch"),
        (lambda net, images: eventsnn.Simulation(net, steps=2, srb=1), "srp"),
        (lambda net, images: eventsnn.Encoding(kid="even"), "kind"),
        (lambda net, images: eventsnn.Time(ordr="fifo"), "order"),
        (lambda net, images: eventsnn.errors.decompose(net, images, steps=2, ordr="fifo"), "order"),
        (lambda net, images: eventsnn.surgery.costs(net, images, steps=2, neurn="snm"), "neuron"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_nearest(call, near):
    net, images = eventsnn.convert(eventsnn.load("sample")), eventsnn.load_images("sample", limit=1)
    with pytest.raises(TypeError, match=f"did you mean {near}") as caught:
        call(net, images)
    assert isinstance(caught.value, InputError) and isinstance(caught.value, OptionError)
    assert str(caught.value).isprintable()


def returned_classes():
    """(module, function, name of a class of the package) of all that public calls return."""
    found = []
    for name in [*eventsnn.__all__, *eventsnn._MODULES]:
        thing = getattr(eventsnn, name)
        module = thing if inspect.ismodule(thing) else inspect.getmodule(thing)
        functions = inspect.getmembers(module, inspect.isfunction)
        for label, function in functions:
            if label.startswith("_") or function.__module__ != module.__name__:
                continue
            annotation = str(function.__annotations__.get("return", ""))
            for word in re.findall(r"[A-Z]\w+", annotation):
                kind = getattr(module, word, None)
                if inspect.isclass(kind) and kind.__module__.startswith("eventsnn."):
                    found.append((name, label, word))
    return sorted(set(found))


def test_what_a_public_call_returns_has_a_class_with_a_name_and_words():
    found = returned_classes()
    assert len({word for *_, word in found}) > 12
    public = [getattr(eventsnn, name) for name in eventsnn._MODULES]
    for name, label, word in found:
        places = [eventsnn, *public]
        kinds = {getattr(place, word) for place in places if hasattr(place, word)}
        assert kinds, f"{name}.{label} returns {word}, which no public module offers"
        assert all(inspect.getdoc(kind) for kind in kinds), word


def classes():
    """The classes of the facade that are no exceptions or warnings."""
    things = {name: getattr(eventsnn, name) for name in eventsnn.__all__}
    return [n for n, c in things.items() if isinstance(c, type) and not issubclass(c, Exception)]


@pytest.mark.parametrize("name", classes())
def test_a_class_made_of_nothing_or_of_too_much_says_so_in_a_line(name):
    made = getattr(eventsnn, name)
    for given, options in (((), {}), ((1,) * 40, {}), ((), {"nonsense": 1})):
        try:
            made(*given, **options)
        except OptionError as error:
            assert str(error).isprintable() and str(error).startswith(f"eventsnn.{name}: ")
        else:
            assert not given and not options


def test_an_option_far_from_all_is_answered_with_help():
    with pytest.raises(OptionError, match=r"see help\(eventsnn.convert\)"):
        eventsnn.convert(eventsnn.load("sample"), zzz=1)


def test_a_network_runs_by_itself_also_when_it_comes_from_another_process(tmp_path):
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=2)
    (tmp_path / "network").write_bytes(pickle.dumps(network))
    code = (
        f"import pickle\nnetwork = pickle.load(open({str(tmp_path / 'network')!r}, 'rb'))\n"
        "import eventsnn\nimages = eventsnn.load_images('sample', limit=2)\n"
        "print(network.run(images, steps=2).spikes.sum())"
    )
    assert int(python(code)) == eventsnn.simulate(network, images, steps=2).spikes.sum()


@pytest.mark.parametrize(
    "error",
    [
        InputError("a", "b", "c", "d"),
        TooManyEvents("the queue did not empty", 3, 17, ("act1",)),
        PotentialsTooLarge("a potential left the safe range"),
    ],
)
def test_exceptions_survive_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_an_explosion_of_firing_is_a_class_with_its_facts():
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=1)
    with pytest.raises(TooManyEvents, match="max_events = 100 ") as caught:
        eventsnn.simulate(network, images, steps=2, engine="event", max_events=100)
    error = caught.value
    assert error.step == 1 and error.waiting > 0
    assert error.layers and {*error.layers} <= {layer.name for layer in network.layers}


@pytest.mark.parametrize("name", sorted(set(eventsnn.__all__) - {"__version__"}))
def test_reprs_are_short(name):
    """Whatever the package hands out can be shown in a notebook without flooding it."""
    net = eventsnn.load("sample")
    network = eventsnn.convert(net)
    result = network.run(eventsnn.load_images("sample", limit=1), steps=1, engine="event")
    there = {
        "Arithmetic": result.simulation.arithmetic,
        "Batch": result.batch,
        "Graph": net,
        "Images": result.images,
        "Layer": network.layers[0],
        "Network": network,
        "Node": net.nodes[0],
        "Preprocessing": net.preprocessing,
        "Projection": network.projections[0],
        "Result": result,
        "Simulation": result.simulation,
        "Time": result.simulation.time,
        "Trace": result.trace(),
    }
    if name in there:
        assert len(repr(there[name])) < 600 and "array(" not in repr(there[name])


def test_no_test_lies_in_a_folder_of_files():
    """Pytest puts a test's folder first on the path, where tests/files/torch would be `torch`."""
    assert not list((ROOT.parent / "tests" / "files").rglob("test_*.py"))
