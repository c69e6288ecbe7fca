from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tests.static import at_start, ending, outcome
from tfdiag.rules import STATIC_RULES, check


def test_a_healthy_run_is_healthy():
    report = check(traces.trace(), STATIC_RULES)
    silent = {one.rule for one in report.outcomes if one.outcome != "healthy"}
    assert silent == {"target-range"} and not report.findings
    assert not check(at_start(traces.trace()), STATIC_RULES).findings
    assert np.isfinite(traces.trace().data.inputs[0].std)


def test_a_recording_without_options_is_not_judged():
    model = traces.architecture()
    old = replace(
        model,
        layers=tuple(replace(layer, options=None) for layer in model.layers),
        loss_options=None,
    )
    run = replace(traces.trace(old), data=None)
    reasons = {o.rule: o.reason for o in check(run, STATIC_RULES).outcomes if o.reason}
    known = {"nothing-trainable", "frozen-output", "batch-of-one"}
    known |= {"batchnorm-small-batch", "probe-too-small"}
    assert set(reasons) == {rule.id for rule in STATIC_RULES} - known
    assert all("older" in reason for reason in reasons.values())


@pytest.mark.parametrize(
    "rule", [rule for rule in STATIC_RULES if rule.family in ("inputs", "labels", "predictions")]
)
def test_without_a_probe_set_what_reads_it_is_not_judged(rule):
    run = ending(None, "mean_squared_error", width=1)
    without = replace(
        run, probe_samples=0, data=None, not_measured={"probe_loss": "no probe set was given"}
    )
    assert outcome(without, rule).reason == "no probe set was given"
