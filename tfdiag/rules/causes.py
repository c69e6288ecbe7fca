"""Which finding probably brought about which others: a graph of rules.

`LINKS` has a line for each rule that can be a cause. `CHAINS` are links that need more than a line:
they hold for some findings of a rule only, and have a sentence of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache

from tfdiag.metrics import METRICS, TRAINING
from tfdiag.rules.activations import dead_relu, saturated_activation
from tfdiag.rules.beginning import initial_weights
from tfdiag.rules.clues import BIASES, SUDDEN
from tfdiag.rules.flow import gradient_flow_ratio, zero_gradient
from tfdiag.rules.generalization import overfitting, overtraining
from tfdiag.rules.gradients import exploding_gradient, gradient_spike, vanishing_gradient
from tfdiag.rules.loss import loss_blowup, loss_not_decreasing, loss_oscillation
from tfdiag.rules.numerics import nonfinite_loss, nonfinite_tensor
from tfdiag.rules.outcome import Report
from tfdiag.rules.outputs import activation_scale, constant_output, poor_init
from tfdiag.rules.rule import Rule
from tfdiag.rules.updates import learning_rate_range, unchanged_weights, update_ratio
from tfdiag.rules.weights import weight_explosion
from tfdiag.rules.wording import number
from tfdiag.trace import SEVERITIES, Finding


@dataclass(frozen=True)
class Chain:
    """A cause that explains other findings.

    Attributes:
        cause: the rule that finds the cause.
        when: tells a finding of it that can be the cause.
        effects: rules whose findings it explains; one of them is needed.
        text: a clause with a finding's fields in braces.
    """

    cause: Rule
    when: Callable[[Finding], bool]
    effects: tuple[Rule, ...]
    text: str

    def explains(self, cause: Finding, effect: Finding, slack: float) -> bool:
        """Returns True if `effect` can be a consequence of `cause`.

        A cause must not come after its effect, but by `slack` steps: see `_lateness`. When the loss
        stopped falling is too uncertain to hold that against a cause.
        """
        return (
            cause is not effect
            and cause.rule == self.cause.id
            and self.when(cause)
            and effect.rule in {rule.id for rule in self.effects}
            and (cause.step <= effect.step + slack or effect.rule == loss_not_decreasing.id)
        )


def _harmful(finding: Finding) -> bool:
    return finding.severity != "watch"


def _from_start(finding: Finding) -> bool:
    return _harmful(finding) and finding.step == 0


def _too_high(finding: Finding) -> bool:
    return finding.value > finding.limit


_STARVED = (
    vanishing_gradient,
    zero_gradient,
    gradient_flow_ratio,
    constant_output,
    loss_not_decreasing,
)
#: Causes before consequences; the first that fits is told.
CHAINS: tuple[Chain, ...] = (
    Chain(
        update_ratio,
        lambda f: f.metric == "learning_rate",
        (*SUDDEN, *_STARVED),
        "Probably the learning rate: it rose from {limit} to {value} by step {step}",
    ),
    Chain(
        exploding_gradient,
        lambda f: f.step <= 1,
        (*SUDDEN, *_STARVED),
        "Probably the scale of the data: the gradient was huge from the start ({evidence})",
    ),
    Chain(
        initial_weights,
        lambda f: f.metric == BIASES,
        (dead_relu,),
        "Probably the bias initializer of {layer}: {evidence}",
    ),
    Chain(
        dead_relu,
        _from_start,
        (poor_init, *_STARVED),
        "Probably {layer} was dead from the start ({evidence}): initial biases or weights, or "
        "unscaled inputs",
    ),
    Chain(
        saturated_activation,
        _from_start,
        (poor_init, *_STARVED),
        "Probably {layer} was saturated from the start ({evidence}): large initial weights or "
        "unscaled inputs",
    ),
    Chain(
        update_ratio,
        lambda f: f.metric == "update_ratio" and f.value > f.limit,
        (*(rule for rule in SUDDEN if rule is not update_ratio), loss_oscillation, *_STARVED),
        "Probably the learning rate is too high: one step moved {layer} too far ({evidence})",
    ),
    Chain(
        learning_rate_range,
        _too_high,
        (*SUDDEN, loss_oscillation, *_STARVED),
        "Probably the learning rate is too high: {value}, where at most {limit} is usual",
    ),
    Chain(
        learning_rate_range,
        lambda f: not _too_high(f),
        (update_ratio, loss_not_decreasing),
        "Probably the learning rate is too low: {value}",
    ),
    Chain(
        poor_init,
        _harmful,
        (activation_scale, nonfinite_tensor, nonfinite_loss, exploding_gradient, *_STARVED),
        "Probably the initial weights: the signal changes {value} times on its way to {layer}",
    ),
    Chain(
        exploding_gradient,
        lambda f: True,
        tuple(r for r in SUDDEN if r not in (exploding_gradient, update_ratio)) + _STARVED,
        "Probably the gradient exploded first, at step {step} ({evidence})",
    ),
    Chain(
        gradient_spike,
        lambda f: True,
        (nonfinite_loss, nonfinite_tensor, dead_relu, loss_blowup),
        "Probably a single large gradient, at step {step} ({evidence})",
    ),
    Chain(
        weight_explosion,
        _harmful,
        (nonfinite_loss, nonfinite_tensor, activation_scale, constant_output, loss_blowup),
        "Probably the weights of {layer} grew too far ({evidence})",
    ),
    Chain(
        nonfinite_tensor,
        lambda f: f.severity == "critical" and f.step == 0,
        (nonfinite_loss,),
        "{layer} gives NaN or Inf before any training: initial weights or inputs",
    ),
    Chain(
        nonfinite_tensor,
        lambda f: f.severity == "critical",
        (nonfinite_loss,),
        "NaN or Inf was first seen in {layer}, at step {step}",
    ),
    Chain(
        dead_relu,
        _harmful,
        _STARVED,
        "Probably the dead units of {layer} ({evidence}) let too little gradient through",
    ),
    Chain(
        saturated_activation,
        _harmful,
        _STARVED,
        "Probably the saturated units of {layer} ({evidence}) let too little gradient through",
    ),
    Chain(
        constant_output,
        _harmful,
        (vanishing_gradient, zero_gradient, loss_not_decreasing),
        "Probably {layer} says the same for all samples ({evidence})",
    ),
    Chain(
        activation_scale,
        _harmful,
        (saturated_activation, vanishing_gradient, loss_not_decreasing),
        "Probably the scale of what {layer} puts out ({evidence})",
    ),
    Chain(
        unchanged_weights,
        _harmful,
        (loss_not_decreasing,),
        "Probably the weights do not change ({evidence})",
    ),
    Chain(
        zero_gradient,
        _harmful,
        (loss_not_decreasing,),
        "Probably {layer} gets no gradient ({evidence})",
    ),
    Chain(
        vanishing_gradient,
        _harmful,
        (loss_not_decreasing,),
        "Probably {layer} gets too little gradient to learn ({evidence})",
    ),
    Chain(
        update_ratio,
        lambda f: _harmful(f) and f.value < f.limit,
        (loss_not_decreasing,),
        "Probably the learning rate is too low: one step hardly moves {layer} ({evidence})",
    ),
    Chain(
        overfitting,
        _harmful,
        (overtraining,),
        "The model overfits since step {step} ({evidence})",
    ),
)


#: Where an effect is, seen from its cause: towards the inputs, or towards the outputs.
BELOW, ABOVE = "below", "above"


@dataclass(frozen=True)
class Link:
    """What the findings of a rule can bring about.

    Attributes:
        cause: id of a rule; one that no rule has is never met.
        effects: ids of the rules whose findings it explains, with blanks between them.
        depth: `BELOW` or `ABOVE`, if the effect cannot be anywhere.
        when: tells a finding of it that can be the cause.
    """

    cause: str
    effects: str
    depth: str = ""
    when: Callable[[Finding], bool] = lambda finding: True

    def explains(self, cause: Finding, effect: Finding, slack: float) -> bool:
        """Returns True if `effect` can be a consequence of `cause`: see `Chain.explains`.

        What is only watched is no cause: the rule itself says that it does no harm here.
        """
        return (
            self.joins(cause.rule, effect.rule)
            and _harmful(cause)
            and self.when(cause)
            and (cause.step <= effect.step + slack or effect.rule in _UNDATED)
        )

    def joins(self, cause: str, effect: str) -> bool:
        """Returns True if it is about these two rules."""
        return cause == self.cause and effect in self.effects.split()


#: Rules whose first step is too uncertain to be held against a cause: an untrained model gives one
#: answer too, and what overfits is dated by its best epoch.
_UNDATED = (
    loss_not_decreasing.id,
    "loss-oscillation",
    "prediction-collapse",
    "overfitting",
    "overtraining",
    "no-better-than-guess",
    "no-better-than-constant",
)
_NAN = "nonfinite-tensor nonfinite-loss"
_UNITS = "dead-relu saturated-activation activation-scale constant-output"
_STARVING = "vanishing-gradient gradient-flow-ratio zero-gradient unchanged-weights"
_STUCK = (
    "prediction-collapse loss-not-decreasing no-better-than-guess no-better-than-constant "
    "stopped-early"
)
_DRIVEN = "exploding-gradient gradient-spike weight-explosion"
_LARGE = f"{_DRIVEN} update-ratio"
_RESTLESS = "loss-blowup loss-oscillation"
_ANY = f"initial-loss {_UNITS} {_LARGE} {_RESTLESS} {_NAN} {_STARVING} {_STUCK}"

#: Data and model first. What `CHAINS` says of a pair of rules holds too, but for the depth.
LINKS: tuple[Link, ...] = (
    Link("input-nonfinite", f"{_NAN} {_STARVING} {_STUCK}"),
    Link("input-range", f"dead-on-arrival {_ANY}"),
    Link("input-flat", f"{_UNITS} {_STARVING} {_STUCK}"),
    Link(
        "label-mismatch",
        f"loss-activation-mismatch initial-loss {_UNITS} {_DRIVEN} {_NAN} {_STARVING} {_STUCK}",
    ),
    Link(
        "loss-activation-mismatch", f"initial-loss {_UNITS} {_DRIVEN} {_NAN} {_STARVING} {_STUCK}"
    ),
    Link("class-imbalance", f"held-out-fails {_STUCK}"),
    Link("nothing-trainable", f"{_STARVING} {_STUCK}"),
    Link("frozen-output", _STUCK),
    Link("missing-nonlinearity", "loss-not-decreasing"),
    Link("dropout-high", "loss-not-decreasing stopped-early"),
    Link("batchnorm-small-batch", f"{_RESTLESS} loss-not-decreasing"),
    Link("batch-of-one", f"batchnorm-small-batch {_DRIVEN} {_RESTLESS} {_STUCK}"),
    Link("initial-weights", f"poor-init {_ANY}"),
    Link("poor-init", f"dead-on-arrival {_ANY}"),
    Link("dead-on-arrival", f"dead-relu {_STARVING} constant-output {_STUCK}"),
    Link(
        "learning-rate-range",
        f"{_UNITS} {_LARGE} {_RESTLESS} {_NAN} {_STUCK}",
        when=lambda finding: not finding.value < finding.limit,
    ),
    Link(
        "learning-rate-range",
        f"update-ratio unchanged-weights {_STUCK}",
        when=lambda finding: finding.value < finding.limit,
    ),
    Link("gradient-spike", f"update-ratio weight-explosion {_UNITS} {_RESTLESS} {_NAN}"),
    Link("exploding-gradient", f"weight-explosion activation-scale {_RESTLESS}"),
    Link(
        "update-ratio",
        f"weight-explosion activation-scale {_RESTLESS} {_STUCK}",
        when=lambda f: f.value > f.limit,
    ),
    Link("update-ratio", f"unchanged-weights {_STUCK}", when=lambda f: f.value < f.limit),
    Link("weight-explosion", f"{_UNITS} {_RESTLESS} {_NAN} {_STUCK}"),
    Link("dead-weights", f"update-ratio {_UNITS} {_STARVING} {_STUCK}"),
    Link("activation-scale", "saturated-activation dead-relu constant-output", ABOVE),
    Link("activation-scale", _NAN),  # an overflow reaches all weights, by the gradient
    Link("dead-relu", _STARVING, BELOW),
    Link("dead-relu", "constant-output prediction-collapse", ABOVE),
    Link("saturated-activation", _STARVING, BELOW),
    Link("zero-gradient", f"unchanged-weights {_STUCK}"),
    Link("vanishing-gradient", f"unchanged-weights {_STUCK}"),
    Link("constant-output", _STUCK),
    Link("prediction-collapse", "loss-not-decreasing no-better-than-guess no-better-than-constant"),
    Link("loss-not-decreasing", "no-better-than-guess no-better-than-constant"),
    Link("no-better-than-constant", "overfitting overtraining"),
    Link("held-out-fails", "prediction-collapse no-better-than-constant overfitting overtraining"),
    Link("overfitting", "held-out-fails overtraining"),
)


class Graph:
    """Which finding of a report can have brought about which, in time and in depth.

    Args:
        report: the report.
    """

    def __init__(self, report: Report):
        self._report = report
        names = report.facts.get("layer_order")
        #: The layers that are spoken of, numbered from the input side; {} if not known.
        self.depths: dict[str, int] = {}
        if isinstance(names, str):
            self.depths = {name: i for i, name in enumerate(names.split("\n"))}

    def joins(self, cause: Finding, effect: Finding) -> bool:
        """Returns True if `cause` can have brought about `effect`."""
        return self.strength(cause, effect) is not None

    def strength(self, cause: Finding, effect: Finding) -> int | None:
        """Returns the order of what joins the two, of several the last one; None if nothing."""
        return _strength(cause, effect, _lateness(cause, self._report), self.depths)


def _strength(cause: Finding, effect: Finding, slack: float, depths: dict[str, int]) -> int | None:
    links, chains = _between(cause.rule, effect.rule)
    if any(not _placed(link.depth, cause, effect, depths) for link in links):
        return None
    if effect.metric == "learning_rate" and effect.rule == update_ratio.id:
        return None  # a schedule, or the user, moved it
    fits = [order for order, chain in chains if chain.explains(cause, effect, slack)]
    if not fits and any(link.explains(cause, effect, slack) for link in links):
        return 0
    return max(fits, default=None)


@lru_cache(1024)  # a model of a thousand layers can have a million pairs
def _between(cause: str, effect: str) -> tuple[tuple[Link, ...], tuple[tuple[int, Chain], ...]]:
    """Returns what joins two rules: links, and chains with their order."""
    return tuple(link for link in LINKS if link.joins(cause, effect)), tuple(
        (order, chain)
        for order, chain in enumerate(CHAINS)
        if cause == chain.cause.id and effect in {rule.id for rule in chain.effects}
    )


def _may_lead_to(effect: str, cause: Finding) -> bool:
    """Returns False if a finding joins none of a rule, wherever and whenever that is."""
    links, chains = _between(cause.rule, effect)
    if any(chain.when(cause) for _, chain in chains):
        return True
    return _harmful(cause) and any(link.when(cause) for link in links)


def _placed(depth: str, cause: Finding, effect: Finding, depths: dict[str, int]) -> bool:
    """Returns False if the effect is at the wrong side of its cause.

    The neighbour on the wrong side passes: a dead layer feeds the next one zeros, so that this
    one's weights get no gradient either.
    """
    if not depth or cause.layer not in depths or effect.layer not in depths:
        return True
    apart = depths[effect.layer] - depths[cause.layer]
    return apart <= 1 if depth == BELOW else apart >= -1


def explanation(report: Report) -> tuple[Finding, str] | None:
    """Returns the first cause of the report's troubles and a clause about it, or None.

    A stuck loss alone is proof enough only where the chain's other effects are missing.
    """
    troubles = [finding for finding in report.findings if _harmful(finding)]
    causes = sorted((*report.findings, *report.clues), key=lambda finding: finding.step)
    for chain in CHAINS:
        ids = {rule.id for rule in chain.effects}
        explained = [finding for finding in troubles if finding.rule in ids]
        for cause in causes:
            if not explained or cause.rule != chain.cause.id or not chain.when(cause):
                continue
            effects = [finding for finding in explained if finding is not cause]
            dated = [f for f in effects if f.rule != loss_not_decreasing.id] or effects
            late = _lateness(cause, report)
            if any(chain.explains(cause, effect, late) for effect in dated):
                numbers = {"value": number(cause.value), "limit": number(cause.limit)}
                return cause, chain.text.format(**{**asdict(cause), **numbers})
    return None


def sources(report: Report, among: tuple[Finding, ...] | None = None) -> list[Finding | None]:
    """Returns, for each of the report's findings, the one that it follows from, or None.

    Of several the worst; among equals the one that is nearest in the order of the chains. Trouble
    follows from no finding that is only watched: that is not announced while training goes on.

    Args:
        among: what may be the source; None for the report's findings.
    """
    candidates = report.findings if among is None else among
    told = among is not None
    graph = Graph(report)

    @lru_cache(None)
    def groups(rule: str) -> list[tuple[tuple[int, int], list[tuple[int, Finding]]]]:
        """Returns what may be the source of a rule's findings, those first that matter most."""
        found: dict[tuple[int, int], list[tuple[int, Finding]]] = {}
        for place, cause in enumerate(candidates):
            _, chains = _between(cause.rule, rule)
            if _may_lead_to(rule, cause):
                most = max((order for order, _ in chains), default=0)
                worth = SEVERITIES.index(cause.severity), most
                found.setdefault(worth, []).append((place, cause))
        return sorted(found.items(), key=lambda item: item[0], reverse=True)

    def source(effect: Finding) -> Finding | None:
        best: tuple[tuple[int, int], int] | None = None  # its worth, and its place from the end
        for worth, group in groups(effect.rule):
            if best and worth < best[0]:
                break  # findings come in hundreds: look at no pair that can change nothing
            for place, cause in group:
                if best and (worth, -place) < best:
                    break
                mild = cause.severity == "watch" != effect.severity
                order = graph.strength(cause, effect) if told or not mild else None
                if order is not None:
                    best = max(best or ((-1, -1), 0), ((worth[0], order), -place))
        return candidates[-best[1]] if best else None

    found = [source(effect) for effect in report.findings]
    return found if told else without_circles(report.findings, found)


def heads(report: Report) -> list[str]:
    """Returns the rules whose worst finding follows from that of no other rule, the worst first.

    What the others found is a consequence.
    """
    first: dict[str, Finding | None] = {}
    for finding, source in zip(report.findings, sources(report), strict=True):
        first.setdefault(finding.rule, source)
    return [rule for rule, source in first.items() if source is None or source.rule == rule]


def without_circles(
    findings: tuple[Finding, ...], follows: list[Finding | None]
) -> list[Finding | None]:
    """Returns the sources without circles: of two that explain each other, the worse is first.

    Args:
        findings: the worst first.
        follows: for each of them the one that it follows from, or None.
    """
    place = {id(finding): i for i, finding in enumerate(findings)}
    follows = list(follows)
    for start in range(len(findings)):  # the worst first
        seen, at = {start}, follows[start]
        while at is not None and place[id(at)] not in seen:
            seen.add(place[id(at)])
            at = follows[place[id(at)]]
        if at is not None and place[id(at)] == start:
            follows[start] = None
    return follows


#: What begins at the recorded step at which it is seen. Of the rest some is measured on the probe
#: set, more rarely, and weights grow or fade long before a limit tells.
_EACH_RECORD = {one.name for one in METRICS if one.source == TRAINING} - {"weight_rms"} | {
    *("loss", "gradient_norm", "learning_rate")
}


def _lateness(cause: Finding, report: Report) -> float:
    """Returns how many steps before its date a cause may have begun: to the record before it."""
    gap = report.facts.get("record_gap" if cause.metric in _EACH_RECORD else "probe_gap")
    return gap if isinstance(gap, float) and gap > 0 else 0.0
