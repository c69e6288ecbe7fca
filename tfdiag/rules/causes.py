"""Which finding probably brought about which others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from tfdiag.rules.activations import dead_relu, saturated_activation
from tfdiag.rules.gradients import exploding_gradient, vanishing_gradient
from tfdiag.rules.loss import loss_not_decreasing
from tfdiag.rules.numerics import nonfinite_loss, nonfinite_tensor
from tfdiag.rules.rule import Rule
from tfdiag.rules.updates import update_ratio
from tfdiag.trace import Finding


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


_DOWN = (dead_relu, saturated_activation, vanishing_gradient, loss_not_decreasing)
#: Causes before consequences; the first that fits is told.
CHAINS: tuple[Chain, ...] = (
    Chain(
        update_ratio,
        lambda f: f.value > f.limit,
        (nonfinite_loss, nonfinite_tensor, exploding_gradient, *_DOWN),
        "Probably the learning rate is too high: one step moved {layer} too far ({evidence})",
    ),
    Chain(
        exploding_gradient,
        lambda f: True,
        (nonfinite_loss, nonfinite_tensor, *_DOWN),
        "Probably the gradient exploded first, at step {step} ({evidence})",
    ),
    Chain(
        nonfinite_tensor,
        lambda f: f.severity == "critical",
        (nonfinite_loss,),
        "NaN or Inf was first seen in {layer}, at step {step}",
    ),
    Chain(
        dead_relu,
        lambda f: f.severity != "watch",
        (vanishing_gradient, loss_not_decreasing),
        "Probably the dead units of {layer} ({evidence}) let too little gradient through",
    ),
    Chain(
        saturated_activation,
        lambda f: f.severity != "watch",
        (vanishing_gradient, loss_not_decreasing),
        "Probably the saturated units of {layer} ({evidence}) let too little gradient through",
    ),
    Chain(
        vanishing_gradient,
        lambda f: f.severity != "watch",
        (loss_not_decreasing,),
        "Probably {layer} gets too little gradient to learn ({evidence})",
    ),
    Chain(
        update_ratio,
        lambda f: f.severity != "watch" and f.value < f.limit,
        (loss_not_decreasing,),
        "Probably the learning rate is too low: one step hardly moves {layer} ({evidence})",
    ),
)


def explanation(findings: Iterable[Finding]) -> tuple[Finding, str] | None:
    """Returns the probable cause and a clause about it, or None if no chain fits.

    A cause must not come after all of its effects. When the loss stopped falling is too
    uncertain to hold that against a cause.
    """
    findings = sorted(findings, key=lambda finding: finding.step)
    for chain in CHAINS:
        effects = {effect.id for effect in chain.effects}
        found = [f for f in findings if f.rule in effects and f.severity != "watch"]
        dated = [finding.step for finding in found if finding.rule != loss_not_decreasing.id]
        for cause in findings:
            if found and cause.rule == chain.cause.id and chain.when(cause):
                if not dated or cause.step <= max(dated):
                    return cause, chain.text.format(**asdict(cause))
    return None
