"""A results folder as one page: whole in itself, its numbers the run's, its names harmless."""

import base64
import hashlib
import json
import re
import shutil

import h5py
import numpy as np
import pytest
from support.html import parse
from support.reported import CLASSES, HOSTILE, NOTE, made

import eventsnn
from eventsnn import InputError
from eventsnn.ann.forward import classes_of
from eventsnn.commands.report import main
from eventsnn.exceptions import one_line
from eventsnn.pages import classes
from eventsnn.pages.classes import Decided, confusion
from eventsnn.pages.needed import SUMMARY
from eventsnn.pages.report import TITLES
from eventsnn.run import main as run
from eventsnn.runs.again import _in_place
from eventsnn.runs.report import OPERATIONS
from eventsnn.statistics import wilson

EVENT = ["--engine", "event", "--steps", "4", "--trace", "spikes", "--trace-images", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return made(tmp_path_factory.mktemp("reported"), *EVENT, monkeypatch=patch)


@pytest.fixture(scope="module")
def text(folder, tmp_path_factory):
    return eventsnn.report(folder, tmp_path_factory.mktemp("page") / "a.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(text):
    return parse(text)


@pytest.fixture
def copy(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def change(folder, work):
    """Changes a folder's summary. work: is called with it."""
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    work(summary)
    path.write_text(json.dumps(summary))


def written(folder, tmp_path, **options):
    return parse(eventsnn.report(folder, tmp_path / "page.html", **options).read_text("utf-8"))


# --- the page ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_needs_nothing_from_elsewhere(page, text):
    (policy,) = [meta for meta in page.all("meta") if meta.get("http-equiv")]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        own = page.one(tag)
        digest = base64.b64encode(hashlib.sha256(own.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy["content"] and not own.get("src")
    assert "unsafe" not in policy["content"]
    for each in page.all():
        for name, value in each.attributes.items():
            assert not name.startswith("on") and name not in ("style", "xmlns", "xlink:href")
            if name in ("href", "src"):
                assert value.startswith(("#", "data:")), value
            assert "url(" not in value.replace("url(#", "")
    assert not re.search(r"@import|url\(|https?:", page.one("style").text)
    assert len(text.encode()) < 1_000_000


def test_it_has_its_parts_and_links_to_them(page):
    assert (
        page.one("html")["lang"] == "en"
        and page.one("head").one("title").text == page.one("h1").text
    )
    parts = page.all("section")
    assert [part["id"] for part in parts] == list(TITLES)
    assert [part.one("h2").text for part in parts] == [title for _, title in TITLES.values()]
    links = [link["href"] for link in page.one("nav").all("a")]
    assert links == [f"#{part['id']}" for part in parts]
    ids = [each["id"] for each in page.all() if each.get("id")]
    assert len(ids) == len(set(ids))
    for each in page.all():
        for name in ("aria-labelledby", "href", "clip-path"):
            refers = each.get(name) or ""
            if name == "aria-labelledby":
                assert set(refers.split()) <= set(ids)
            elif "#" in refers:
                assert re.search(r"#([\w.-]+)", refers).group(1) in ids, refers


def test_pictures_have_words(page):
    drawn = [svg for svg in page.all("svg") if svg.get("role")]
    assert len(drawn) == len(page.all("svg")) == 6
    for svg in drawn:
        title, described = svg["aria-labelledby"].split()
        assert svg["role"] == "img" and svg.one("title", id=title).text
        assert len(svg.one("desc", id=described).text) > 20
        greys = [each for each in svg.all() if re.fullmatch("#(..)\\1\\1", each.get("fill") or "")]
        assert not greys and svg["fill"] == "currentColor"  # readable on light and dark
    assert all(image["alt"] for image in page.all("img")) and page.all("img")


def test_tables_are_accessible_and_can_be_sorted(page):
    assert len(page.all("table")) >= 10
    for table in page.all("table"):
        frame = table.parent
        assert table.one("caption")["id"] == frame["aria-labelledby"]
        assert (frame["role"], frame["tabindex"], frame["class"]) == ("region", "0", "scroll")
        headings = table.one("thead").all("th")
        assert {th["scope"] for th in headings} == {"col"}
        assert all(row.all("th")[0]["scope"] == "row" for row in table.one("tbody").all("tr"))
        sorts = [th for th in headings if th.get("aria-sort")]
        for th in sorts:
            button = th.one("button")
            # without a script it does nothing, and says so
            assert button["type"] == "button" and "disabled" in button.attributes
            assert th["aria-sort"] in ("none", "ascending")
        unsorted = ("confusion-table", "provenance-table")
        assert bool(sorts) == (frame["id"] not in unsorted)
    first = page.one("div", id="accuracy-table").all("th")[0]
    assert first["aria-sort"] == "ascending" and first.text == "T"


# --- its numbers ---------------------------------------------------------------------------------


def rows(page, name):
    return page.one("div", id=name).one("table").rows()


def test_accuracy_layers_and_costs_are_the_runs(page, folder):
    results = eventsnn.open_results(folder)
    for shown, row in zip(rows(page, "accuracy-table"), results.accuracy, strict=True):
        assert (shown["T"], shown["accuracy"]) == (row["T"], row["accuracy"])
        assert (shown["95 % from"], shown["to"]) == (row["accuracy_low"], row["accuracy_high"])
        assert shown["only SNN right"] == row["only_snn_right"]
        assert shown["only ANN right"] == row["only_ann_right"] and shown["p"] == row["p_holm"]
        assert shown["as the ANN"] == row["agreement_with_ann"]
        assert shown["error of the readout"] == row["readout_mse"]
        assert shown["spikes"] == row["spikes_per_image"] and shown["operations"] == row[OPERATIONS]
    for shown, row in zip(rows(page, "layers-table"), results.layers, strict=True):
        assert shown["layer"] == one_line(row["layer"]) and shown["shape"] == row["shape"]
        silent = row["layer"] == results.names[-1]
        for heading, key in (("threshold", "theta"), ("rate", "rate")):
            assert shown[heading] == ("" if silent else row[key])
        assert shown["neurons"] == row["neurons"] and shown["ties"] == row["ties_per_image"]
        assert shown["operations"] == row[OPERATIONS]
    costs = [row["an image"] for row in rows(page, "costs-table")]
    assert costs == list(map(float, results.summary["cost_per_image"].values()))
    big = [float(each["data-value"]) for each in page.all("div", class_="big")]
    last = results.accuracy[-1]
    assert big == [
        last["accuracy"],
        results.summary["ann_accuracy"],
        last["agreement_with_ann"],
        last["spikes_per_image"],
        last[OPERATIONS],
    ]
    count, summary = results.summary["images"], results.summary
    for share in (last["accuracy"], summary["ann_accuracy"], last["agreement_with_ann"]):
        low, high = wilson(round(share * count), count)
        assert f"95 % interval {low:.1%} to {high:.1%}" in page.one("section", id="summary").text


def test_confusions_and_changed_images_are_the_runs(page, folder):
    results = eventsnn.open_results(folder)
    labels = results.read("images/label")
    ann = classes_of(results.read("images/ann_output"))
    snn = classes_of(results.read("readout")[:, -1])
    table = page.one("div", id="confusion-table").one("tbody")
    counts = np.array([[float(td["data-value"]) for td in tr.all("td")] for tr in table.all("tr")])
    expected = np.zeros((4, 4))
    np.add.at(expected, (labels, snn), 1)
    assert np.array_equal(counts[:, :4], expected)
    assert counts[:, 4] == pytest.approx(expected.diagonal() / expected.sum(axis=1))
    moved = np.flatnonzero(ann != snn)
    found = rows(page, "changed-table")
    assert len(moved) == len(found) > 3
    numbers = results.read("images/index")
    assert sorted(row["image"] for row in found) == sorted(numbers[moved])
    for row in found:
        (i,) = np.flatnonzero(numbers == row["image"])
        named = [f"{k} {one_line(CLASSES[k])}" for k in (labels[i], ann[i], snn[i])]
        assert [row["label"], row["ANN"], row["SNN"]] == named
        right = "ANN" if ann[i] == labels[i] else "SNN" if snn[i] == labels[i] else "neither"
        assert row["who is right"] == right
    order = [row["who is right"] for row in found]
    assert order == sorted(order, key=lambda right: right != "ANN")
    assert f"{len(moved)} of {len(snn)}." in page.one("section", id="changed").text
    assert len(page.one("section", id="changed").all("img")) == len(moved)


def test_the_studies_are_those_of_the_run(page, folder):
    results = eventsnn.open_results(folder)
    network = eventsnn.convert(eventsnn.load(folder.parent / "net.h5"))
    images = eventsnn.load_images(folder.parent / "data.npz")
    given = {"steps": 4, "engine": "event", "progress": False}
    parts = eventsnn.errors.decompose(network, images, **given)
    for shown, row in zip(rows(page, "parts-table"), parts.layers, strict=True):
        assert shown["layer"] == one_line(row["layer"]) and shown["error"] == row["error"]
        for part in eventsnn.errors.PARTS:
            assert shown[part] == row[f"{part} share"]
        assert shown["dead"] == row["dead"] and shown["saturated"] == row["saturated"]
    cases = eventsnn.errors.cases(network, images, **given)
    for shown, row in zip(rows(page, "cases-table"), cases.layers, strict=True):
        assert [shown["I.1"], shown["II.4"]] == [row["I case 1"], row["II case 4"]]
        assert [shown["I"], shown["II"]] == [row["I"], row["II"]]
    count = results.summary["images"]
    assert f"first {count} images" in page.one("div", id="parts-table").text


def test_spikes_and_arrivals_are_those_of_the_trace(page, folder):
    results = eventsnn.open_results(folder)
    trace = results.trace()
    for number, row in enumerate(rows(page, "raster-table")):
        assert row["all"] == (trace.spikes["layer"] == number).sum()
        assert row["step 2"] == len(trace.of(number, step=1))
    network = eventsnn.convert(eventsnn.load(folder.parent / "net.h5"))
    images = eventsnn.load_images(folder.parent / "data.npz", limit=1)
    result = eventsnn.simulate(network, images, steps=4, engine="event")
    worst = result.worst(1)[0]
    seen = result.observe(worst.layer, worst.neuron)
    said = page.one("section", id="neuron").text
    assert f"it {seen.counts}." in said and f"neuron {worst.neuron} " in said
    shown = rows(page, "microscope-table")
    assert len(shown) == min(len(seen.arrivals), 200)
    for row, arrival in zip(shown, seen.table()):
        assert [row["charge"], row["after"]] == [arrival["charge"], arrival["after"]]
        assert (row["step"], row["fired"]) == (arrival["step"], arrival["fired"])


# --- names ---------------------------------------------------------------------------------------


def test_names_from_files_stay_names(page):
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert not page.all("b")
    said = page.one("main").text
    for name in (*HOSTILE, *CLASSES, NOTE):
        assert one_line(name) in said
    assert page.one("h1").text.startswith("<b>net</b>, 24 images")


def test_what_a_changed_folder_says_stays_text(copy, tmp_path):
    evil = "<script>1</script>\x00\x1b[2J\ud800\u202e"

    def work(summary):
        summary["notes"] = [evil, 3]
        summary["network"] |= {"arch": evil, evil: evil, "preprocessing": evil}
        summary["data"] |= {"name": evil, "calibration": evil, "pixel_range_source": evil}
        summary["meaning"] = {evil: evil}
        summary["cost_meaning"][next(iter(summary["cost_meaning"]))] = [evil]
        summary["cost_per_image"][evil] = 1
        summary["conditions"] = evil
        summary["versions"][evil] = {evil: [evil]}
        summary["settings"]["net"] = "-x; $(touch gone) ' \" <script>"

    change(copy, work)
    page = written(copy, tmp_path, images=0)
    assert len(page.all("script")) == 1 and not page.one("main").all("script")
    said = page.one("main").text
    assert "<script>1</script>" in said
    # what turns the words that follow around, or moves a cursor
    assert not any(letter in said for letter in "\u202e\x00\x1b\ud800")
    command = page.one("section", id="again").all("code")[0].text
    assert "'--net=-x; $(touch gone) '\"'\"' \" <script>'" in command


def test_many_classes_are_listed_in_pairs():
    rng = np.random.default_rng(0)
    labels, snn = rng.integers(0, 1000, (2, 5000))
    snn[:4000] = labels[:4000]
    labels[:9], snn[:9] = 5, 6
    found = confusion(Decided(np.arange(5000), labels, snn, labels, ("<i>",) * 6, 1000, 8))
    (frame,) = found
    page = parse(eventsnn.pages.markup.written(frame))
    shown = page.one("table").rows()
    assert shown[0]["the label"] == "5 <i>" and (shown[0]["SNN"], shown[0]["images"]) == ("6", 9)
    assert len(shown) == 60 and "of 1,000 classes" in page.text
    same = confusion(Decided(np.arange(3), labels[:3], labels[:3], None, (), 1000, 8))
    assert "All 3 images have the ANN's class" in same[0].text


# --- size ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_thousand_images_are_under_five_megabytes(tmp_path, monkeypatch):
    folder = made(tmp_path, "--steps", "2", images=10_000, monkeypatch=monkeypatch)
    page = eventsnn.report(folder)
    assert page == folder / "report.html" and page.stat().st_size < 1_000_000
    read = parse(page.read_text("utf-8"))
    moved = read.one("section", id="changed")
    assert len(moved.one("tbody").all("tr")) == classes.MOST_CHANGED
    assert re.search(r"The first 100 of [\d,]+; run.h5 has all of them", moved.text)
    assert "first 32 images" in read.one("div", id="parts-table").text


def test_a_part_that_does_not_fit_is_left_out_and_says_so():
    from eventsnn.pages.markup import paragraph
    from eventsnn.pages.page import MOST, Part, page

    large, small = paragraph("x" * 4_800_000), paragraph("here")
    parts = [Part("a", "A", "A", [large]), Part("b", "B", "B", [small])]
    read = page("title", (), parts)
    assert len(read.encode()) < MOST
    found = parse(read)
    assert "Left out: its 4,8" in found.one("section", id="a").text
    assert "here" in found.one("section", id="b").text


# --- what cannot be trusted ----------------------------------------------------------------------


def reasons(page):
    parts = [page.one("section", id=name) for name in ("errors", "cases")]
    assert not any(part.all("table") or part.all("svg") for part in parts)
    return [part.one("p", class_="warned").text for part in parts]


def test_another_network_is_not_studied(copy, tmp_path):
    change(copy, lambda summary: summary["network"].update(sha256="0" * 64))
    page = written(copy, tmp_path)
    assert all("expected the network that" in words for words in reasons(page))
    assert not page.all("img") and "Without pictures: no images, since" in page.text
    assert page.one("section", id="raster").one("p", class_="warned")
    assert rows(page, "accuracy-table")


def test_a_run_that_comes_out_otherwise_is_not_studied(copy, tmp_path):
    with h5py.File(copy / "run.h5", "r+") as file:
        file["readout"][3, 0, 0] += 1
    assert all(
        "image 3: expected the spikes and the readout" in x
        for x in reasons(written(copy, tmp_path))
    )
    change(copy, lambda summary: summary["semantics"].update(drive="another"))
    assert all("expected the run's drive" in x for x in reasons(written(copy, tmp_path)))


def test_plug_ins_are_not_run(copy, tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit('run')")
    change(copy, lambda summary: summary["settings"].update(plugin=str(tmp_path / "mine.py")))
    assert all("expected a run without plug-ins" in x for x in reasons(written(copy, tmp_path)))


def test_without_a_study_nothing_is_opened(copy, tmp_path, monkeypatch):
    def heavy(*_):
        raise AssertionError("opened")

    monkeypatch.setattr("eventsnn.runs.again.load_inputs", heavy)
    page = written(copy, tmp_path, images=0)
    assert reasons(page) == ["No numbers here: none was asked for."] * 2


def test_accuracy_that_is_not_that_of_the_readout_is_refused(copy, tmp_path):
    lines = (copy / "accuracy.csv").read_text().splitlines()
    last = lines[-1].split(",")
    last[1] = repr((float(last[1]) + 0.5) % 1)
    (copy / "accuracy.csv").write_text("\n".join([*lines[:-1], ",".join(last)]))
    with pytest.raises(InputError, match="accuracy.csv: expected the accuracy of run.h5"):
        written(copy, tmp_path)


# --- other runs ----------------------------------------------------------------------------------


def test_a_clocked_run_without_labels_or_trace(tmp_path, monkeypatch):
    monkeypatch.delenv("EVENTSNN_DATA", raising=False)
    monkeypatch.setattr("eventsnn.inputs.without.cache_root", lambda: tmp_path / "cache")
    folder = made(tmp_path, "--steps", "4", images=4, monkeypatch=monkeypatch)
    shutil.rmtree(folder)
    given = ["--net", str(tmp_path / "net.h5"), "--limit", "20", "--seed", "7", "--quiet"]
    assert run([*given, "--steps", "3", "--out", str(folder)]) == 0
    page = written(folder, tmp_path)
    assert "There are no labels" in page.text and "NO DATA" in page.one("div", class_="warned").text
    assert "who is right" not in page.text
    assert list(rows(page, "accuracy-table")[0])[:2] == ["T", "as the ANN"]
    command = page.one("section", id="raster").one("code").text
    assert command.startswith("eventsnn run --net ")
    for option in ("--limit 10", "--engine event", "--order clocked", "--trace spikes", "--seed 7"):
        assert option in command
    assert "--limit 20 --steps 3 --seed 7" in page.one("section", id="again").all("code")[0].text


def test_a_run_that_can_keep_no_trace_says_why(copy, tmp_path):
    for path in copy.glob("trace-*.h5"):
        path.unlink()
    change(copy, lambda summary: summary["settings"].update(engine="clocked", trace="counts"))
    change(copy, lambda summary: summary["settings"].update(neuron="no such model"))
    page = written(copy, tmp_path, images=0)
    said = page.one("section", id="raster").text
    assert "such a run can keep none: --neuron: expected" in said


# --- the command ---------------------------------------------------------------------------------


def refused(capsys, *words):
    """What the command says of wrong input: one line, status 2."""
    capsys.readouterr()
    assert main(list(map(str, words))) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
    assert err.startswith("eventsnn: error: ")
    return err


@pytest.mark.slow
def test_the_command_replaces_its_own_report_alone(copy, capsys, monkeypatch):
    assert main([str(copy), "--images", "3"]) == 0
    out, err = capsys.readouterr()
    path = copy / "report.html"
    assert out == f"report in {path} ({path.stat().st_size / 1000:,.0f} KB)\n" and err == ""
    first = path.read_bytes()
    assert main([str(copy), "--images", "3"]) == 0 and path.read_bytes() == first
    assert eventsnn.open_results(copy).traces  # the folder is a run's as before
    path.write_text("<html>mine</html>")
    assert "expected an earlier report, or nothing yet, found another file" in refused(capsys, copy)
    assert path.read_text() == "<html>mine</html>" and not list(copy.glob(".*"))


def test_a_run_replaces_a_report_but_not_another_file(tmp_path, capsys, monkeypatch):
    folder = made(tmp_path, "--steps", "2", images=4, monkeypatch=monkeypatch)
    eventsnn.report(folder, images=0)
    again = ["--net", str(tmp_path / "net.h5"), "--data", str(tmp_path / "data.npz"), "--quiet"]
    again += ["--steps", "2", "--calibration", "train:0-39", "--out", str(folder), "--overwrite"]
    assert run(again) == 0 and not (folder / "report.html").exists()
    (folder / "report.html").write_text("mine")
    assert run(again) == 2 and "report.html" in capsys.readouterr().err
    assert (folder / "report.html").read_text() == "mine"


def test_wrong_input_is_one_line(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "half").mkdir()
    (tmp_path / "half.partial").mkdir()
    assert "found nothing of that name" in refused(capsys, "nowhere")
    assert "expected a results folder, found a file" in refused(capsys, "file")
    assert "found no summary.json" in refused(capsys, tmp_path)
    assert "found a run that is not finished" in refused(capsys, "half")
    assert "expected a file, found a folder" in refused(capsys, folder, "--out", "half")
    assert "found no missing" in refused(capsys, folder, "--out", "missing/a.html")
    assert "found another file" in refused(capsys, folder, "--out", "file")
    for given in ("-1", "x", "1.5", "²"):
        assert "--images: expected a whole number from 0" in refused(
            capsys, folder, "--images=" + given
        )
    assert "--images: expected at most the 24 of the run" in refused(capsys, folder, "--images", 25)
    assert "did you mean --images?" in refused(capsys, folder, "--image", 3)
    refused(capsys)
    refused(capsys, folder, "b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "half", "half.partial"]


def test_no_permission_is_one_line(folder, tmp_path, capsys, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(folder))

    out = tmp_path / "a.html"
    monkeypatch.setattr("eventsnn.files.writing.os.replace", refuse)
    assert "found Permission denied" in refused(capsys, folder, "--out", out, "--images", "0")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("eventsnn.pages.report.open_results", refuse)
    assert "found Permission denied" in refused(capsys, folder, "--out", out)
    with pytest.raises(InputError, match="Permission denied"):
        eventsnn.report(folder, out)


@pytest.mark.parametrize("path", [*SUMMARY, "cost_per_image/ann_macs", "settings/steps"])
def test_a_damaged_summary_is_refused_before_anything_is_written(copy, path, capsys):
    whole = (copy / "summary.json").read_text()
    *groups, key = path.split("/")
    for value in (None, {"x": 1}, "text", [float("nan")], -1):
        summary = inside = json.loads(whole)
        for group in groups:
            inside = inside[group]
        inside[key] = value
        (copy / "summary.json").write_text(json.dumps(summary))
        status = main([str(copy), "--images", "0"])
        err = capsys.readouterr().err
        assert (status, err.count("\n")) in ((2, 1), (0, 0)) and "Traceback" not in err
        if value is None and path != "ann_accuracy":
            assert status == 2 and not (copy / "report.html").exists()


def test_python_says_options_as_python_does(folder, tmp_path):
    with pytest.raises(InputError, match="^images: expected at most the 24 of the run, found 99"):
        eventsnn.report(folder, tmp_path / "a.html", images=99)
    results = eventsnn.open_results(folder)
    assert eventsnn.report(results, tmp_path / "b.html", images=0) == tmp_path / "b.html"


@pytest.mark.slow
def test_files_are_found_from_another_folder(tmp_path, monkeypatch):
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    there.mkdir()
    elsewhere.mkdir()
    made(there, "--steps", "2", images=4, monkeypatch=monkeypatch)
    monkeypatch.chdir(there)
    given = ["--net", "net.h5", "--data", "./data.npz", "--calibration", "train:0-39", "--quiet"]
    assert run([*given, "--steps", "2", "--limit", "3", "--out", "own"]) == 0
    monkeypatch.chdir(elsewhere)
    assert rows(written(there / "own", tmp_path), "parts-table")
    (there / "data.npz").rename(there / "moved.npz")
    assert all("data.npz" in words for words in reasons(written(there / "own", tmp_path)))


def test_a_folder_is_not_taken_for_the_bundled_network(tmp_path):
    (tmp_path / "sample").mkdir()
    summary = {"left_by": {"read": {str(tmp_path / "sample"): "its stamp"}}}
    values = {"net": "sample", "data": str(tmp_path / "sample"), "arch": None}
    assert _in_place(dict(values), summary) == values
    assert _in_place({"net": "x/../sample/."}, summary) == {"net": str(tmp_path / "sample")}
