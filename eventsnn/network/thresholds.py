"""Each layer's threshold: found by a rule, given, or given by a function (semantics, section 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from operator import methodcaller
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.network.passes import fire_at_output
from eventsnn.network.rules import BUILT_IN, OPTIONS, RULES, Rule, users_of

CHUNK = 2**24
# activations that are held together for functions, unless one layer has more
HELD = 2**27
# what can be an activation can be a threshold
LEAST = float(np.finfo(np.float32).tiny)
MOST = float(np.finfo(np.float32).max)

# a rule's name; layer -> threshold; a function of (layer, activations) that gives a threshold
Thresholds = str | Mapping[str, Any] | Callable[[str, NDArray[np.float32]], Any]


class _Choice(NamedTuple):
    """What decides the threshold of one activation.

    node: the activation. name: the rule's name; None for a function that was given. rule: the rule.
    theta: what the activation's own parameters give; None where the rule is calibrated.
    """

    node: Node
    name: str | None
    rule: Rule
    theta: Any = None


def check_thresholds(thresholds: Any, options: Mapping[str, Any]) -> None:
    """Refuses what is no way to find thresholds, and options that have no effect on it.

    thresholds: what was given. options: name -> value of all of OPTIONS. Raises InputError for
    anything but a rule of RULES, a mapping or a function; and for an option that is not the default
    and that the rule does not use.
    """
    uses: tuple[str, ...] = ()
    found = "thresholds from a function"
    if isinstance(thresholds, str):
        uses = RULES.find(thresholds, "thresholds").uses
        found = f"thresholds={thresholds!r}"
    elif isinstance(thresholds, Mapping):
        found = "thresholds given as a mapping"
    elif not callable(thresholds):
        expected = f"a rule ({', '.join(RULES)}), a mapping of layers or a function"
        raise InputError("thresholds", expected, repr(thresholds))
    for name, value in options.items():
        if value != OPTIONS[name] and name not in uses:
            expected = " or ".join(f"thresholds={rule!r}" for rule in users_of(name))
            raise InputError(name, expected, found, f"leave {name} out: it has no effect")


def describe_rules(
    graph: Graph,
    thresholds: Thresholds,
    percentile: float,
    steps: int | None = None,
    threshold_scale: float = 1.0,
) -> str:
    """What decides the thresholds, in words.

    graph: the ANN. thresholds, threshold_scale: as in `choose_thresholds`. percentile, steps: of
    rules that use them. Raises InputError as there.
    """
    scaled = f", times {threshold_scale:g}" if threshold_scale != 1 else ""
    if isinstance(thresholds, Mapping):
        return f"given{scaled}"
    options = {**OPTIONS, "percentile": percentile, "steps": steps}
    choices = (_choose(graph, node, thresholds, options) for node in graph.activations)
    words = dict.fromkeys(_words(choice, percentile, steps) for choice in choices)
    return (", ".join(words) or "none") + scaled


def _words(choice: _Choice, percentile: float, steps: int | None) -> str:
    if choice.name is None:
        function = choice.rule.theta
        return f"function {one_line(getattr(function, '__name__', type(function).__name__), 100)}"
    name = choice.name
    if "percentile" in choice.rule.uses:
        name += f" {percentile:g}"
    if "steps" in choice.rule.uses:
        name += f" for T = {steps}"
    return name if choice.name in BUILT_IN else f"{name} ({one_line(choice.rule.words, 100)})"


def needs_calibration(graph: Graph, thresholds: Thresholds, readout: str = "adds") -> bool:
    """Whether a threshold has to be found on images.

    graph: the ANN. thresholds: as in `choose_thresholds`. readout: "adds", or "fires" for a readout
    that is an activation, too. Raises InputError for an activation without the parameter that the
    rule takes.
    """
    if isinstance(thresholds, Mapping):
        return False
    if readout == "fires":
        graph, _ = fire_at_output(graph)
    choices = [_choose(graph, node, thresholds, OPTIONS) for node in graph.activations]
    return any(choice.rule.calibrated for choice in choices)


def choose_thresholds(
    graph: Graph,
    thresholds: Thresholds,
    percentile: float = 99.9,
    pixels: NDArray[Any] | None = None,
    dead: str = "layer_max",
    steps: int | None = None,
    threshold_scale: float = 1.0,
) -> dict[str, float | NDArray[Any]]:
    """Name of activation -> theta, in units of the activation (semantics, section 2).

    graph: the ANN. thresholds: the name of a rule in RULES; or a mapping, name of each activation
    -> number or array; or a function of (name, float32 activations [N, ...] on the calibration
    images) that gives one of these. An array has the activation's shape, or is [C], one number for
    each channel. percentile: of rules that use one. pixels: raw calibration images [N, C, H, W];
    None where nobody needs them. dead: what "dni" does with neurons that are never active:
    "layer_max" or "silent". steps: T, for which rules that use it find thresholds. threshold_scale:
    a factor that all thresholds have, given ones, too.

    A function is called once a layer. Activations that it is given take 4 bytes each: those of one
    layer on all images are held, and those of more layers up to 512 MiB.

    A theta is a float, or float64 of the activation's shape. Raises InputError for an activation
    without the parameter that the rule takes, for layers that are missing or unknown, where images
    are missing, for a function that fails, and for a threshold that is no number above 0.
    """
    if isinstance(thresholds, Mapping):
        return _scaled(graph, _given(graph, thresholds), threshold_scale)
    options = {"percentile": percentile, "dead": dead, "steps": steps}
    choices = [_choose(graph, node, thresholds, options) for node in graph.activations]
    for choice in choices:
        if steps is None and "steps" in choice.rule.uses:
            rule = named("thresholds", choice.name)
            expected = f"the number of steps that the network will run, which {rule} asks for"
            raise InputError(named("steps"), expected, "none", f"for example {named('steps', 8)}")
    if any(choice.rule.calibrated for choice in choices) and (pixels is None or not len(pixels)):
        expected = "images (the thresholds are found on them)"
        do = "give calibration images, or thresholds the network brings itself"
        raise InputError("calibration", expected, "none", do)
    found = {choice.node.name: choice.theta for choice in choices}
    if pixels is not None:
        found.update(_run(graph, pixels, [c for c in choices if c.rule.running], options))
        found.update(_at_once(graph, pixels, [c for c in choices if c.rule.whole], options))
        others = [c for c in choices if c.rule.calibrated and not c.rule.running]
        found.update(_call(graph, pixels, [c for c in others if not c.rule.whole], options))
    thetas: dict[str, float | NDArray[Any]] = {}
    for choice in choices:
        name = choice.node.name
        where = _where(graph, choice)
        silent = dead == "silent" and "dead" in choice.rule.uses
        if choice.name in BUILT_IN:
            own = f"the thresholds of all layers yourself ({named('thresholds')})"
            do = f"the layer is silent on the calibration images: give more of them, or {own}"
            if not choice.rule.calibrated:
                do = "the network's file says so: give thresholds, or another rule"
            thetas[name] = _checked(found[name], graph.shapes[name], where, do, silent)
        else:
            do = f"this is what {_function(choice.rule.theta)} gave"
            thetas[name] = _checked(found[name], graph.shapes[name], where, do, silent)
    return _scaled(graph, thetas, threshold_scale)


def _scaled(
    graph: Graph, thetas: dict[str, float | NDArray[Any]], scale: float
) -> dict[str, float | NDArray[Any]]:
    """All thresholds times a factor. Raises InputError for products that are no thresholds."""
    if scale == 1:
        return thetas
    where, do = named("threshold_scale", f"{scale:g}"), "choose another factor"
    return {
        name: _checked(np.multiply(theta, scale), graph.shapes[name], where, do, True)
        for name, theta in thetas.items()
    }


def check_used(graph: Graph, thresholds: Any, options: Mapping[str, Any]) -> None:
    """Raises InputError for an option that no layer's threshold depends on.

    graph: the ANN. thresholds: as in `choose_thresholds`. options: name -> value of all of OPTIONS.
    """
    if isinstance(thresholds, Mapping) or options == OPTIONS:
        return
    choices = [_choose(graph, node, thresholds, options) for node in graph.activations]
    used = {name for choice in choices for name in choice.rule.uses}
    if isinstance(thresholds, str) and thresholds not in BUILT_IN:
        used |= {*RULES.find(thresholds).uses}  # it may choose among the others by it
    for name, value in options.items():
        if value != OPTIONS[name] and name not in used:
            rules = ", ".join(dict.fromkeys(choice.name or "" for choice in choices)) or "none"
            expected = " or ".join(named("thresholds", user) for user in users_of(name))
            found = f"{named('thresholds', thresholds)}, which here is {rules}"
            do = f"leave {named(name)} out: it has no effect"
            raise InputError(named(name), expected, found, do)


def _choose(
    graph: Graph, node: Node, thresholds: Any, options: Mapping[str, Any], before: Any = ()
) -> _Choice:
    """What decides the threshold of a node. before: the rules that named one another so far."""
    if not isinstance(thresholds, str):
        return _Choice(node, None, Rule("", thresholds, calibrated=True))
    where = _where(graph, _Choice(node, before[-1], BUILT_IN["auto"])) if before else "thresholds"
    rule = RULES.find(thresholds, where)
    choice = _Choice(node, thresholds, rule)
    if thresholds in before:
        found = "rules that name each other: " + ", ".join(before)
        raise InputError(where, "a rule that decides in the end", found)
    if rule.calibrated:
        return choice
    theta = _called(graph, choice, rule.theta, node, **rule.options(options))
    if isinstance(theta, str):
        return _choose(graph, node, theta, options, (*before, thresholds))
    return choice._replace(theta=theta)


def _where(graph: Graph, choice: _Choice) -> str:
    """What decides a threshold and for which layer, for messages."""
    if choice.name in BUILT_IN:
        return f"{graph.source}: node {choice.node.name!r}"
    rule = "" if choice.name is None else f" {choice.name!r}"
    return f"thresholds{rule}: layer {choice.node.name!r}"


def _called(
    graph: Graph, choice: _Choice, function: Callable[..., Any], *given: Any, **options: Any
) -> Any:
    """What a rule's function gives. Raises InputError that names the layer where it fails."""
    try:
        return function(*given, **options)
    except InputError as error:
        if choice.name in BUILT_IN:
            where = _where(graph, choice)
            raise InputError(where, error.expected, error.found, error.do) from None
        failed: Exception = error
    except Exception as error:  # whatever a user's function does
        failed = error
    expected = f"a threshold from {_function(choice.rule.theta)}"
    told = f"{type(failed).__name__}: {failed}"
    raise InputError(_where(graph, choice), expected, told, "repair the function") from failed


def _function(function: Any) -> str:
    return f"the function {getattr(function, '__name__', type(function).__name__)}"


def _activations(
    graph: Graph, pixels: NDArray[Any], names: Collection[str]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yields name -> activations, float32 [n, ...], of some images at a time."""
    batch = max(1, CHUNK // max(math.prod(graph.shapes[name]) for name in names))
    for start in range(0, len(pixels), batch):
        x = graph.preprocessing(pixels[start : start + batch])
        values = ann.forward(graph, x, keep=tuple(names))
        yield {name: values[name] for name in names}


def _run(
    graph: Graph, pixels: NDArray[Any], choices: list[_Choice], options: dict[str, Any]
) -> dict[str, Any]:
    """Name of activation -> threshold, of running rules: activations pass by once."""
    running = {}
    for choice in choices:
        shape = graph.shapes[choice.node.name]
        rule = choice.rule
        running[choice.node.name] = _called(
            graph, choice, rule.theta, shape, len(pixels), **rule.options(options)
        )
    if not running:
        return {}
    for activations in _activations(graph, pixels, running):
        for choice in choices:
            name = choice.node.name
            _called(graph, choice, methodcaller("add", activations[name]), running[name])
    give = methodcaller("theta")
    return {c.node.name: _called(graph, c, give, running[c.node.name]) for c in choices}


def _at_once(
    graph: Graph, pixels: NDArray[Any], choices: list[_Choice], options: dict[str, Any]
) -> dict[str, Any]:
    """Name of activation -> threshold, of rules that find all layers' at once."""
    found: dict[str, Any] = {}
    for first in choices:
        if first.node.name in found:
            continue
        rule = first.rule
        names = tuple(choice.node.name for choice in choices if choice.rule is rule)
        given = _called(graph, first, rule.theta, graph, pixels, names, **rule.options(options))
        if not isinstance(given, Mapping) or any(name not in given for name in names):
            do = f"this is what {_function(rule.theta)} gave"
            expected = f"a mapping of {', '.join(names)} to thresholds"
            raise InputError(_where(graph, first), expected, short(given), do)
        found.update((name, given[name]) for name in names)
    return found


def _call(
    graph: Graph, pixels: NDArray[Any], choices: list[_Choice], options: dict[str, Any]
) -> dict[str, Any]:
    """Name of activation -> threshold, of functions of all activations of a layer."""
    found = {}
    waiting = list(choices)
    while waiting:
        held: dict[str, NDArray[np.float32]] = {}
        together = []
        while waiting:
            name = waiting[0].node.name
            shape = (len(pixels), *graph.shapes[name])
            if held and sum(array.size for array in held.values()) + math.prod(shape) > HELD:
                break
            held[name] = np.empty(shape, np.float32)
            together.append(waiting.pop(0))
        start = 0
        for activations in _activations(graph, pixels, tuple(held)):
            for name, values in activations.items():
                held[name][start : start + len(values)] = values
            start += len(values)
        for choice in together:
            name = choice.node.name
            given = choice.rule.options(options)
            found[name] = _called(graph, choice, choice.rule.theta, name, held.pop(name), **given)
    return found


def _given(graph: Graph, thresholds: Mapping[str, Any]) -> dict[str, float | NDArray[Any]]:
    """The thresholds of a mapping that names all activations of the graph, and nothing else."""
    names = [node.name for node in graph.activations]
    for name in thresholds:
        if name not in names:
            near = get_close_matches(str(name), names, 1, 0.6)
            expected = f"layers among {', '.join(names)}"
            do = f"did you mean {near[0]!r}?" if near else "give a threshold for each of them"
            raise InputError("thresholds", expected, repr(name), do, 1000)
    missing = [name for name in names if name not in thresholds]
    if missing:
        found = f"none for {', '.join(missing)}"
        raise InputError("thresholds", "a threshold for every layer", found, "add them", 1000)
    do = "give numbers in units of the activation"
    return {
        name: _checked(
            thresholds[name], graph.shapes[name], f"thresholds: layer {name!r}", do, False
        )
        for name in names
    }


def _checked(
    theta: Any, shape: tuple[int, ...], where: str, do: str, silent: bool
) -> float | NDArray[Any]:
    """A threshold as a float, or as float64 of the activation's shape.

    theta: what was found or given. shape: the activation's. where, do: for messages. silent:
    whether it may be 0 in an array, but not everywhere. Raises InputError for anything else than
    numbers from LEAST to MOST, which leave room for weights in thresholds.
    """
    array = _numbers(theta)
    if array is None:
        told = f"{type(theta).__name__} {short(theta)}"
        raise InputError(where, f"a number, or {_shapes(shape)}", told, do)
    if array.ndim and array.shape != shape:
        channels = (shape[0], 1, 1)
        if len(shape) != 3 or array.shape not in (shape[:1], channels):
            expected = f"a number, or {_shapes(shape)}"
            raise InputError(where, expected, f"shape {list(array.shape)}", do)
        array = np.array(np.broadcast_to(array.reshape(channels), shape))
    good = (array >= LEAST) & (array <= MOST)
    if silent and good.any():
        good |= array == 0
    if not good.all():
        expected = "a threshold above 0"
        place = tuple(int(axis[0]) for axis in np.nonzero(~good)) if array.ndim else ()
        bad = float(array[place])
        if bad > 0:
            expected = f"a threshold from {LEAST:.3g} to {MOST:.3g}"
        at = f" at {list(place)}" if place else ""
        raise InputError(where, expected, f"{bad:g}{at}", do)
    return array if array.ndim else float(array)


def _numbers(theta: Any) -> NDArray[np.float64] | None:
    """A number or an array as float64, None where it is neither."""
    try:
        array = np.asarray(theta)
    except Exception:  # ragged lists, and whatever a stranger's array does
        return None
    if array.dtype.kind not in "iuf" or _holds_truth(theta):
        return None
    with np.errstate(over="ignore"):
        return np.array(array, np.float64, order="C")


def _holds_truth(theta: Any) -> bool:
    """Whether a nested list holds True or False, which numpy would take for 1 and 0."""
    if isinstance(theta, (list, tuple)):
        return any(map(_holds_truth, theta))
    return isinstance(theta, (bool, np.bool_))


def _shapes(shape: tuple[int, ...]) -> str:
    """The shapes that an array may have, in words. shape: the activation's."""
    words = f"an array of shape {list(shape)}"
    return f"{words} or [{shape[0]}]" if len(shape) == 3 else words
