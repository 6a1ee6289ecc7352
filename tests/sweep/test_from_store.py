"""Scripts of analysis/ drawn from a store: the very tables that they simulate."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import pytest
from support.sweeping import study

import eventsnn
from eventsnn.exceptions import CoresTooSlow, TooManyEvents
from eventsnn.settings import Settings

pytest.importorskip("zarr")
pytest.importorskip("xarray")

from eventsnn.commands.sweep import main as sweep_main  # noqa: E402
from eventsnn.sweep import stored  # noqa: E402
from eventsnn.sweep.cells import ANN  # noqa: E402
from eventsnn.sweep.computing import Bench  # noqa: E402

pytestmark = pytest.mark.usefixtures("no_pictures")
ANALYSIS = Path(eventsnn.__file__).parents[1] / "analysis"
MORE = {
    "accuracy_latency": ["--models", "if,if+srp,snm+dni,if+rate", "--seeds", "2"],
    "srp_tau": ["--taus", "0,2"],
    "energy": ["--neurons", "if,snm"],
    "zoo": ["--methods", "tpp,shuffled,fifo,v0,mse,cos"],
    "gn_members": ["--members", "1,2"],
    "arrival_order": ("--neurons if,snm --windows 0.5 --window-limit 7 --case-limit 5".split()),
    "neuron_thresholds": ["--rules", "max,own,dni"],
    "order_field": [
        *("--neurons", "if,tpp", "--grid-neurons", "snm", "--grid-orders", "fifo"),
        *("--spreads", "1,2", "--groups", "1,all"),
    ],
}
# in some of their orders, whose cells have failed
EXPLODING = ("arrival_order", "order_field", "zoo")


def script(name):
    spec = importlib.util.spec_from_file_location(f"stored_{name}", ANALYSIS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize("name", MORE)
def test_a_script_draws_from_its_store_what_it_simulates(name, tmp_path, capsys):
    given = study(tmp_path)
    words = ["--net", given["net"], "--data", given["data"], "--steps", "4", *MORE[name]]
    words += ["--limit", "10"]
    main = script(name)
    plan, store = str(tmp_path / "plan.toml"), str(tmp_path / "store")
    assert main([*words, "--plan", plan]) == 0
    capsys.readouterr()
    assert main([*words, "--from", store, "--out", str(tmp_path / "none")]) == 2
    assert "expected the store of a sweep, found nothing there" in capsys.readouterr().err
    explodes = name in EXPLODING
    ended = sweep_main([plan, "--store", store, "--executor", "serial", "--quiet"])
    assert ended == (1 if explodes else 0)
    assert main([*words, "--out", str(tmp_path / "simulated")]) == 0
    assert main([*words, "--from", store, "--out", str(tmp_path / "stored")]) == 0
    tables = sorted(path.name for path in (tmp_path / "simulated").glob("*.csv"))
    without_end = set()
    for table in tables:
        one, other = ((tmp_path / side / table).read_text() for side in ("simulated", "stored"))
        assert one == other
        without_end |= {table} if "inf" in one else set()
    assert bool(without_end) == explodes
    capsys.readouterr()
    more = [*words, "--from", store, "--out", str(tmp_path / "more"), "--seed", "7"]
    assert main(more) == 2
    assert "expected a run with" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [TooManyEvents, CoresTooSlow])
def test_firing_that_explodes_does_so_in_a_store(kind, tmp_path, monkeypatch):
    """Scripts tell it from what went wrong otherwise, as they do where they simulate."""
    given = study(tmp_path)
    way = stored.Way({}, {"engine": "event", "steps": 4, "max_events": 1}, [0])
    settings = Settings(net=given["net"], data=given["data"], limit=5)
    plan, store = tmp_path / "plan.toml", tmp_path / "store"
    plan.write_text(stored.toml_of(settings, [way]))
    compute = Bench.compute

    def explodes(self, cell, *others):
        if cell.row != ANN and kind is CoresTooSlow:  # which takes millions of events
            raise CoresTooSlow("too many", 1, 2, ("act1",))
        return compute(self, cell, *others)

    monkeypatch.setattr(Bench, "compute", explodes)
    assert sweep_main([str(plan), "--store", str(store), "--executor", "serial", "--quiet"]) == 1
    source = stored.Stored(Namespace(settings=settings, store=str(store)))
    with pytest.raises(TooManyEvents) as caught:
        source.runs(way)
    assert type(caught.value) is kind


def test_a_store_of_another_network_is_refused(tmp_path, capsys):
    given = study(tmp_path)
    words = ["--net", given["net"], "--data", given["data"], "--steps", "4", "--taus", "0"]
    main = script("srp_tau")
    plan, store = str(tmp_path / "plan.toml"), str(tmp_path / "store")
    assert main([*words, "--plan", plan, "--limit", "5"]) == 0
    assert sweep_main([plan, "--store", store, "--executor", "serial", "--quiet"]) == 0
    out = ["--from", store, "--out", str(tmp_path / "out")]
    assert main(["--net", "sample", *out]) == 2
    assert "expected runs of sample, found" in capsys.readouterr().err
    assert main([*words, *out, "--limit", "12"]) == 0  # as many as there are
