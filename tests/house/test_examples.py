"""The notebooks in examples/ run, cell by cell, and print what is stored in them."""

import ast
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
OTHERWISE = ("first_look", "why_is_my_network_bad")  # are tested by what they find


def cells_of(path, kind="code"):
    return [
        cell
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == kind
    ]


def execute(path, changes=()):
    """Run the code cells one after the other in one namespace; returns it, and what the last lines
    of the cells evaluate to.
    """
    namespace, shown = {"__name__": "__main__"}, []
    for cell in cells_of(path):
        source = "".join(cell["source"])
        for old, new in changes:
            source = source.replace(old, new)
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, path.name, "exec"), namespace)
        shown.append(
            eval(compile(ast.Expression(last.value), path.name, "eval"), namespace)
            if last
            else None
        )
    return namespace, shown


def test_there_is_something_to_run():
    assert "first_look.ipynb" in [path.name for path in NOTEBOOKS]


def printed(cell):
    """What a cell printed when it was stored."""
    return "".join(
        "".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_short_and_stored_with_what_they_show(path):
    cells = cells_of(path)
    assert cells_of(path, "markdown")[0]["source"][0].startswith("# ")
    assert len(cells) + len(cells_of(path, "markdown")) <= 22 and path.stat().st_size < 500_000
    for cell in cells:
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert "error" not in kinds and "/" + "home" not in json.dumps(cell["outputs"])
        assert all(output.get("name", "stdout") == "stdout" for output in cell["outputs"])
    shown = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    assert any("image/png" in data for data in shown) and any(map(printed, cells))


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [path for path in NOTEBOOKS if path.stem not in OTHERWISE],
    ids=lambda path: path.name,
)
def test_notebooks_print_what_is_stored(path, capsys, monkeypatch):
    """Spikes are whole numbers, and the same on every machine."""
    monkeypatch.chdir(EXAMPLES)
    _, shown = execute(path)
    assert capsys.readouterr().out == "".join(map(printed, cells_of(path)))
    for thing, cell in zip(shown, cells_of(path), strict=True):
        assert hasattr(thing, "_repr_png_") == any(
            "image/png" in output.get("data", {}) for output in cell["outputs"]
        )
        if hasattr(thing, "_repr_png_"):
            assert thing._repr_png_().startswith(b"\x89PNG")


@pytest.fixture
def pyplot():
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.close("all")
    yield pyplot
    pyplot.close("all")


def test_first_look(pyplot):
    path = EXAMPLES / "first_look.ipynb"
    assert sum("limit=200" in "".join(cell["source"]) for cell in cells_of(path)) == 1
    names, shown = execute(path, [("limit=200", "limit=16")])
    result, images = names["result"], names["images"]
    assert (
        len(result) == len(images) == 16
        and result.accuracy() >= 0.8
        and names["ann_accuracy"] >= 0.8
    )
    assert all(
        hasattr(thing, "_repr_html_") and "<table>" in thing._repr_html_() for thing in shown[1:3]
    ), "the network and the result"
    drawn, neuron = shown[3], shown[-1]
    assert drawn.axes[0].lines[0].get_ydata() == pytest.approx(
        [100 * result.accuracy(t) for t in (1, 2, 4, 8, 16, 32)]
    )
    worst = names["worst"]
    assert worst.error and names["events"].observe(worst.layer, worst.neuron, worst.image)
    assert worst.layer in neuron.axes[0].get_title(loc="left")
    assert all(figure._repr_png_() for figure in (drawn, neuron)), "Jupyter shows them"
    (pictures,) = (pyplot.figure(number) for number in pyplot.get_fignums())
    assert len(pictures.axes) == 8
    for i, axes in zip(names["chosen"], pictures.axes):
        assert np.array_equal(axes.images[0].get_array(), images.pixels[i, 0])
        assert axes.get_title().startswith(names["net"].meta["classes"][result.predictions()[i]])
    pictures.canvas.draw()
    assert np.asarray(pictures.canvas.buffer_rgba())[..., :3].std() > 10


@pytest.mark.slow
def test_why_finds_what_was_spoilt_and_heals_it(capsys):
    """The words of a diagnosis may change; what it finds may not."""
    names, _ = execute(EXAMPLES / "why_is_my_network_bad.ipynb")
    diagnosis, second = names["diagnosis"], names["second"]
    assert diagnosis.remedy.helps and "still rising" in names["kinds"]
    assert names["after"].accuracy() > names["before"].accuracy() + 0.2
    assert [v.kind for v in second.verdicts if v.state == "found"] == ["preprocessing"]
    assert "The second: preprocessing." in capsys.readouterr().out
