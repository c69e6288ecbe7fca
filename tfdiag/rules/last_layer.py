"""Whether the model's last layer is one that its loss can use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tfdiag.architecture import DYING, Architecture
from tfdiag.rules.ending import (
    BINARY,
    CATEGORICAL,
    KERNELS,
    REGRESSION,
    Ending,
    before,
    ending,
    values_from,
)
from tfdiag.rules.gate import gate, so_far
from tfdiag.rules.progress import progress
from tfdiag.rules.rule import CannotJudge, Case, rule
from tfdiag.trace import Finding, Trace


def _takes_logits(finding: Finding, facts: Mapping[str, Any]) -> str | None:
    """Returns arguments that let the last layer be linear and the loss take logits."""
    kind = facts.get("loss_function")
    linear = "" if _MISSING in finding.evidence else "activation=None"
    if finding.evidence.endswith("from_logits=True"):
        return linear
    if not isinstance(kind, str):
        return None
    loss = f"loss=keras.losses.{kind.title().replace('_', '')}(from_logits=True)"
    return f"{linear}\n{loss}".strip()


def _of_one_unit(finding: Finding, facts: Mapping[str, Any]) -> str | None:
    """Returns the activation of a single unit; None if the loss wants several."""
    kind = facts.get("loss_function")
    if kind in BINARY:
        return 'activation="sigmoid"'
    return "activation=None" if kind in REGRESSION else None


def _has(evidence: str) -> Callable[[Finding, Mapping[str, Any]], bool]:
    return lambda finding, facts: evidence in finding.evidence


_VERDICT = "Wrong end: {layer}"
_ONE_SOFTMAX, _ONE_CLASS, _TWICE = "softmax of 1 unit", "1 unit, 1 class", "softmax of softmax"
_MISSING, _SIGMOIDS, _OF_NUMBERS = "no s", "sigmoid, from_logits=False", ", softmax"


class _Misfit(NamedTuple):
    """Something that does not fit, and whether its harm depends on how training goes."""

    severity: str
    text: str
    evidence: str
    gated: bool = True


@rule(
    id="loss-activation-mismatch",
    title="Loss and activation do not fit",
    needs=(),
    advice=(
        "Let the last layer be linear and the loss take logits, from_logits=True: exact and free.",
        "Or end with softmax (one of several classes) or sigmoid (yes or no), from_logits=False.",
    ),
    why="The loss then measures something else than how wrong the answers are.",
    source="UMLAUT (Schoop et al., 2021), https://doi.org/10.1145/3411764.3445538; NeuraLint "
    "(Nikanjam et al., 2021), https://arxiv.org/abs/2105.08095",
    verdict=_VERDICT,
    cases=(
        Case(
            _has(_MISSING),
            _VERDICT,
            (
                "Let the loss take logits, from_logits=True: exact and free.",
                "Or end with softmax (one of several classes) or sigmoid (yes or no).",
            ),
            _takes_logits,
        ),
        Case(
            _has(_ONE_SOFTMAX),
            _VERDICT,
            (
                "Give {layer} a sigmoid if it says yes or no, no activation if it says a number.",
                "Or one unit for each of several classes, with the softmax.",
            ),
            _of_one_unit,
        ),
        Case(
            _has(_ONE_CLASS),
            _VERDICT,
            (
                "Give {layer} one unit per class, with softmax.",
                "For two classes keep the unit, with sigmoid and binary_crossentropy.",
            ),
        ),
        Case(
            _has(_TWICE),
            _VERDICT,
            ("Take away one of the two: the layer {layer}, or the softmax before it.",),
        ),
        Case(
            _has(_SIGMOIDS),
            _VERDICT,
            (
                "End with softmax if one class is right; it costs nothing.",
                "If several may be right at once, use binary_crossentropy.",
            ),
            'activation="softmax"',
        ),
        Case(
            _has(_OF_NUMBERS),
            _VERDICT,
            ("Use a crossentropy with the softmax: its slope is steep where the answer is wrong.",),
            'loss="categorical_crossentropy"',
        ),
    ),
    code=_takes_logits,
    watch="Let it run; change the last activation or the loss if the loss does not fall.",
)
def loss_activation_mismatch(trace: Trace) -> Iterator[Finding]:
    """Finds a last activation that its loss cannot use.

    Silent about what works although it looks odd: two softmax units under binary crossentropy,
    sigmoid or softmax under a regression loss with labels to match, several sigmoids for several
    labels. One unit where several are compared is critical whatever the loss does: it may fall to
    0 while the answers stay the same. Keras on TensorFlow takes the logits from before a softmax
    or sigmoid that is called with from_logits=True, so that is watched at most. Sigmoids under a
    categorical loss often learn: they are watched until the loss does not fall.

    Raises:
        CannotJudge: if the model has several outputs, a loss of its own, or the function of its
            output is not known.
    """
    end, loss = ending(trace), progress(trace)
    if end.activation is None:
        raise CannotJudge("the function that the output comes from is not known")
    misfit = next(_misfits(end, trace.architecture), None)
    if misfit is not None:
        yield Finding(
            severity=gate(misfit.severity, loss) if misfit.gated else misfit.severity,
            step=int(trace.steps[0]),
            message=f"{misfit.text}{so_far(trace)}.",
            evidence=misfit.evidence,
            layer=end.layer.name,
        )
    elif end.loss not in (*CATEGORICAL, *BINARY, *REGRESSION):
        raise CannotJudge(f"the loss {end.loss} is not known to this rule")


def _misfits(end: Ending, architecture: Architecture) -> Iterator[_Misfit]:
    """Yields what does not fit, the worst first."""
    if end.activation == "softmax" and end.width == 1:
        text = f"{end.layer.name} is a softmax of one unit: its output is 1 whatever the input is"
        yield _Misfit("critical", text, _ONE_SOFTMAX, gated=False)
    if end.loss in CATEGORICAL and end.width == 1:
        text = f"The loss {end.loss} compares classes, but {end.layer.name} has one unit"
        yield _Misfit("critical", text, _ONE_CLASS, gated=False)
    if end.activation == "softmax" and _is_softmax_twice(end, architecture):
        text = (
            f"A softmax is taken of a softmax before {end.layer.name}: all classes come out alike"
        )
        yield _Misfit("warn", text, _TWICE)
    if end.loss in (*CATEGORICAL, *BINARY):
        yield from _no_probabilities(end)
    if end.loss in REGRESSION and end.activation == "softmax" and _are_classes(end):
        text = f"{end.loss} of softmax outputs has almost no slope where the answer is wrong"
        yield _Misfit("watch", text, f"{end.loss}, softmax")


def _no_probabilities(end: Ending) -> Iterator[_Misfit]:
    """Yields what is wrong with the arguments of a crossentropy."""
    pair = f"{end.activation}, from_logits={end.from_logits}"
    wanted = "softmax" if end.loss in CATEGORICAL else "sigmoid"
    takes = f"The loss {end.loss} takes {{}}, but {end.layer.name} ends with {{}}"
    if end.from_logits and end.activation in ("softmax", "sigmoid"):
        text = takes.format("logits (from_logits=True)", f"a {end.activation}")
        text += ": Keras on TensorFlow takes what comes before it, other backends do not"
        yield _Misfit("watch", text, pair, gated=False)
    elif end.from_logits and end.activation in (*DYING, "tanh"):
        text = takes.format("logits, any numbers,", f"{end.activation}, which bounds them")
        yield _Misfit("watch", text, pair)
    elif not end.from_logits and end.activation == "linear":
        text = takes.format("probabilities", f"numbers without bounds; {wanted} is missing")
        yield _Misfit("critical", text, f"no {wanted}, from_logits=False")
    elif not end.from_logits and end.activation in (*DYING, "tanh", "softplus", "exponential"):
        text = takes.format("probabilities", f"{end.activation}")
        yield _Misfit("warn", text, pair)
    elif end.loss in CATEGORICAL and end.activation == "sigmoid":
        text = takes.format("one distribution over the classes", "one sigmoid for each")
        yield _Misfit("watch", text, pair)


def _is_softmax_twice(end: Ending, architecture: Architecture) -> bool:
    last = values_from(architecture, end.layer)
    source = before(architecture, last)
    if source is None or (last.options or {}).get("operations") or last.type in KERNELS:
        return False
    return values_from(architecture, source).activation == "softmax"


def _are_classes(end: Ending) -> bool:
    return end.labels is not None and end.labels.kind in ("classes", "one-hot")
