"""What the screen shows: the conditions of every table and picture, names, pictures and progress in
notebooks, and the neurons that err most.
"""

import io
import subprocess
import sys
from types import SimpleNamespace

import numba.core.event
import numpy as np
import pytest
from support.networks import Builder, small_graph

import eventsnn
from eventsnn import Encoding, InputError, Simulation, Time
from eventsnn.neurons import GN
from eventsnn.run import main
from eventsnn.runs.say import Say
from eventsnn.simulation.conditions import conditions, together
from eventsnn.views import plots, progress, tables
from eventsnn.views.named import Named

SMALL = eventsnn.convert(small_graph())
PIXELS = np.random.default_rng(3).integers(0, 255, (2, 2, 6, 6), np.uint8)
ESCAPE = "\x1b[31mred\x07"
EVENT = {"steps": 4, "engine": "event"}
PLAIN = "encoding constant; thresholds qcfs; T = 4"
WORDS = {
    f"engine clocked; order without effect; neuron if; {PLAIN}": {"steps": 4},
    f"engine event; order fifo; neuron snm; {PLAIN}": {**EVENT, "neuron": "snm", "seed": 3},
    f"engine event; order random; refractory 0.5; neuron if; {PLAIN}; seed 3": {
        **EVENT,
        "time": Time(order="random", refractory=0.5),
        "seed": 3,
    },
    f"engine event; order jitter; jitter uniform:0.25; neuron if; {PLAIN}; seed 0": {
        **EVENT,
        "time": Time(order="jitter", jitter="uniform:0.25"),
    },
    "engine event; order delays; delays 0.5 steps; window 0.25; barrier none; neuron if; "
    f"{PLAIN}": {
        **EVENT,
        "time": Time(order="delays", delays=0.5, window=0.25, barrier=False),
    },
    f"engine clocked; order without effect; neuron gn:2; {PLAIN}": {
        "steps": 4,
        "neuron": "gn",
        "tau": 2,
    },
    f"engine clocked; order without effect; neuron GN(members=3); {PLAIN}": {
        "steps": 4,
        "neuron": GN(members=3),
    },
    f"engine clocked; order without effect; neuron tpp; {PLAIN}; seed 5": {
        "steps": 4,
        "neuron": "tpp",
        "seed": 5,
    },
    "engine clocked; order without effect; neuron if; v(0) 0.25 of a spike's charge; srp 2; "
    "srp epsilon 0.1; encoding rate; thresholds qcfs; arithmetic float32; T = 4; seed 0": {
        "steps": 4,
        "initial": 0.25,
        "srp": 2,
        "srp_epsilon": 0.1,
        "encoding": "rate",
        "arithmetic": "float32",
    },
    "engine clocked; order without effect; neuron if; encoding even; release 3; biases once; "
    "thresholds qcfs; T = 4": {
        "steps": 4,
        "encoding": Encoding(kind="even", release=3, bias_once=True),
    },
}


def test_conditions_say_what_decides_a_result():
    """The seed, too, where something is random."""
    for words, options in WORDS.items():
        assert str(conditions(Simulation(SMALL, **options))) == words


def test_conditions_of_several_results_have_all_values():
    found = [conditions(Simulation(SMALL, **options)) for options in list(WORDS.values())[:3]]
    assert str(together(found)) == (
        "engine clocked / event; order without effect / fifo / random; neuron if / snm; encoding "
        "constant; thresholds qcfs; refractory none / 0.5; T = 4; seed 3"
    )
    many = [conditions(Simulation(SMALL, steps=steps)) for steps in (8, 1, 2)]
    assert str(together(many)).endswith("; T = 1 to 8")
    assert together([found[0]]) == found[0]


@pytest.fixture(scope="module")
def result():
    images = eventsnn.load_images("sample", limit=8)
    return eventsnn.convert(eventsnn.load("sample")).run(images, steps=4, seed=2)


def test_tables_summary_and_pictures_of_a_run_say_its_conditions(tmp_path, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "save", lambda figure, path: shown.append(figure.get_suptitle()))
    options = "--engine event --order random --seed 6 --limit 2 --steps 2 --out"
    assert main([*options.split(), str(tmp_path / "r")]) == 0
    words = (
        "engine event; order random; neuron if; encoding constant; thresholds qcfs; T = 2; seed 6"
    )
    assert capsys.readouterr().out.count(f"\n{words}\n") == 2, "above both tables"
    opened = eventsnn.open_results(tmp_path / "r")
    assert opened.summary["conditions"] == words and words in repr(opened)
    pictures = [text.replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ") for text in shown]
    assert pictures == [words, words]


def test_results_and_studies_say_their_conditions(result):
    words = str(conditions(result.simulation))
    assert words in repr(result) and words in result._repr_html_()
    found = eventsnn.errors.decompose(SMALL, PIXELS, steps=4)
    assert str(conditions(found.simulation)) in found._repr_html_()


def test_a_result_is_drawn(result):
    figure = result.plot()
    accuracy, rates = figure.axes
    (line,) = accuracy.lines
    assert line.get_xdata().tolist() == [1, 2, 4]
    assert line.get_ydata() == pytest.approx([100 * result.accuracy(t) for t in (1, 2, 4)])
    assert [bar.get_width() for bar in rates.patches] == pytest.approx(100 * result.rates())
    assert [label.get_text() for label in rates.get_yticklabels()][0] == "act1  16x28x28"
    assert "neuron\N{NO-BREAK SPACE}if" in figure.get_suptitle()
    assert figure._repr_png_().startswith(b"\x89PNG"), "Jupyter shows it"


def test_captions_stand_inside_the_picture(result):
    words = f"{conditions(result.simulation)}; seed 9223372036854775807; window 0.123456789"
    rows = [{"layer": "act1", "shape": "1x1x1", "rate": 0.5}]
    figure = plots.rates_figure(rows, "a title", words)
    figure.draw_without_rendering()
    box = figure._suptitle.get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
    assert not box.overlaps(figure.axes[0].title.get_window_extent())


def test_a_result_without_labels_is_drawn_as_rates():
    figure = SMALL.run(PIXELS, steps=2).plot()
    assert len(figure.axes) == 1 and len(figure.axes[0].patches) == 2


def test_rates_have_names(result):
    rates = result.rates()
    assert rates["act2"] == rates[1] and dict(rates.items())["act6"] == rates[-1]
    assert repr(rates).startswith(f"<act1 {rates[0]:.4g}, act2 ")
    for plain in (100 * rates, rates[1:], rates[::-1], np.sort(rates)):
        assert not isinstance(plain, Named) or not plain.names, "names stay at their places"
    with pytest.raises(InputError, match="layer: expected one of act1, .*, found 'act7'"):
        rates["act7"]


def test_counts_are_reached_by_layer():
    again = SMALL.run(PIXELS, steps=4)
    kept = SMALL.run(PIXELS, steps=4, neurons=True)
    for i, layer in enumerate(SMALL.spiking):
        counts = again.counts(layer.name)
        assert counts.shape == (2, *layer.grid) and np.array_equal(counts, kept.counts(i))
        flat = counts.transpose(0, 2, 3, 1).reshape(2, -1)
        assert np.array_equal(flat, kept.batch.counts[:, SMALL.columns(i)])
    assert again.counts(0).sum() == again.spikes[:, 0].sum()
    with pytest.raises(InputError, match="layer: expected one of .*, or its number, found 'no'"):
        again.counts("no")


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["if", "snm"])
def test_the_worst_neurons_are_those_that_explain_says_err_most(neuron):
    result = SMALL.run(PIXELS[:1], **EVENT, order="random", neuron=neuron)
    layer = SMALL.spiking[1]
    errors = []
    for image in range(1):
        for number in range(layer.size):
            seen = result.observe(layer.name, number, image)
            errors.append((image, layer.name, number, seen.fired, seen.ideal))
    errors = [row for row in errors if row[3] != row[4]]
    errors.sort(key=lambda row: -abs(row[3] - row[4]))
    found = result.worst(7, layer.name)
    rows = [(its.image, its.layer, its.neuron, its.fired, its.ideal) for its in found]
    assert rows == errors[:7] and len(rows) == 7
    assert len(result.worst(10**6, layer=1)) == len(errors)
    first = found[0]
    assert first.position == layer.position(first.neuron)
    assert abs(result.worst()[0].error) >= abs(first.error), "of all layers"
    said = str(result.explain(first.layer, first.neuron, first.image)).splitlines()[0]
    assert f"{abs(first.error)} too {'many' if first.error > 0 else 'few'}" in said
    assert str(found).splitlines()[1] == str(conditions(result.simulation))
    assert "<table>" in found._repr_html_() and found.table()[0]["channel"] == first.position[0]


def test_the_worst_neurons_of_the_clocked_engine_are_those_of_order_clocked(result):
    network, images = result.network, result.images
    clocked = result.worst(20)
    event = network.run(images, **EVENT, order="clocked").worst(20)
    assert clocked.found == event.found and len(clocked) == 20


def test_no_worst_neurons_of_models_that_lose_charge_and_of_no_layer():
    result = SMALL.run(PIXELS, steps=2, neuron="if-hard")
    with pytest.raises(InputError, match="worst: expected a neuron model that .*, found HardIF"):
        result.worst()
    result = SMALL.run(PIXELS, steps=2)
    with pytest.raises(InputError, match="count: expected a whole number from 1, found 0"):
        result.worst(0)
    with pytest.raises(InputError, match="layer: expected one of .*, found 'readout'"):
        result.worst(layer="readout")


def named(name):
    """A graph whose layer has this name."""
    b = Builder(np.random.default_rng(1), (1, 2, 2))
    x = b.conv("input", 2, 1)
    b.nodes.append(eventsnn.Node(name, "ClippedRelu", (x,), {"lambda": 1.0}))
    b.shapes[name] = b.shapes[x]
    return b.graph(b.gemm(b.add("Flatten", [name])))


def test_names_from_files_do_not_reach_the_terminal():
    with pytest.raises(eventsnn.InputError, match="printable characters") as refused:
        named(ESCAPE)
    for text in (str(refused.value), tables.text_table([{"layer": ESCAPE}])):
        assert "\x1b" not in text and "\x07" not in text and "red" in text


def test_names_from_files_are_no_formulas_in_pictures(tmp_path):
    name = r"$\frac$"
    result = eventsnn.convert(named(name)).run(np.zeros((1, 1, 2, 2), np.uint8), **EVENT)
    for figure in (result.plot(), eventsnn.microscope.plot(result.observe(0, 0))):
        plots.save(figure, tmp_path / "a.png")
        assert figure._repr_png_()
    figure = plots.Picture()
    figure.subplots().plot([0, 1], label=name)
    figure.legend()
    plots.save(figure, tmp_path / "b.svg")


def test_words_of_a_run_keep_their_lines():
    stream = io.StringIO()
    Say(stream, False)("a\x1b[2J\tb\nc")
    assert stream.getvalue() == "a [2J b\nc\n"


@pytest.fixture
def notebook(monkeypatch):
    """A Jupyter kernel as tqdm knows it, whose standard error is no terminal."""
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    monkeypatch.setattr(progress, "_of_notebooks", lambda: progress.tqdm)


def test_progress_shows_in_a_notebook_unless_it_is_refused(notebook, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bars = [progress.bar(10, "image", shown) for shown in (None, True, False)]
    now[0] = 2.1
    shown = []
    for bar in bars:
        before = len(sys.stderr.getvalue())
        bar.update(5)
        shown.append("5/10" in sys.stderr.getvalue()[before:])
    assert shown == [True, True, False]
    for bar in bars:
        bar.close()


def test_no_bar_in_a_script_that_did_not_ask_for_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not progress.in_notebook()
    assert progress.bar(10, "image").disable and progress.bar(10, "image", True).disable


def test_a_notebook_without_widgets_warns_of_nothing():
    code = """
import sys, types
shell = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
sys.modules["ipywidgets"] = None
from eventsnn.views.progress import bar
bar(10, "image").close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and done.stderr == ""


def test_without_a_terminal_a_line_says_how_long_it_takes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.following(100, "image", True) as bar:
        for seconds in (1.0, 9.0, 9.0):  # after the first it is too early, after the second said
            now[0] += seconds
            bar.update(10)
    assert sys.stderr.getvalue() == "eventsnn: 20 images in 10 s, 80 to go: about 40 seconds\n"
    for shown, total in (
        (None, 100),
        (False, 100),
        (True, 25),
    ):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with progress.following(total, "image", shown) as bar:
            now[0] += 10
            bar.update(20)
        assert sys.stderr.getvalue() == ""


def test_ways_are_counted_and_images_of_an_earlier_session_are_not(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for _ in progress.each(["a", "b", "c"], "model"):
        now[0] += 600
    assert sys.stderr.getvalue() == "eventsnn: 1 model in 600 s, 2 to go: about 20 minutes\n"
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bar = Say(None, True).bar(1000, "SNN", 900)
    now[0] += 30
    bar.update(10)
    assert sys.stderr.getvalue() == "eventsnn: 10 images in 30 s, 90 to go: about 4 minutes\n"


def test_compiling_is_said_in_python_too_and_is_no_part_of_the_estimate(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    for shown, said in ((None, True), (False, False)):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with progress.following(100, "image", shown) as bar:
            with numba.core.event.trigger_event("numba:compile"):
                now[0] += 50
            bar.update(50)
        assert sys.stderr.getvalue() == f"eventsnn: {progress.COMPILING}\n" * said


@pytest.mark.parametrize(
    "seconds, words",
    [(15, "15 seconds"), (89, "89 seconds"), (90, "2 minutes"), (900, "15 minutes"),
     (5400, "1.5 hours"), (40000, "11 hours")],
)  # fmt: skip
def test_times_in_words(seconds, words):
    assert progress.in_words(seconds) == words
