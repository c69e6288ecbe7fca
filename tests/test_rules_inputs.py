from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tests.static import at_start, chain, dense, plain, severities
from tfdiag.rules import check
from tfdiag.rules.inputs import input_flat, input_nonfinite, input_range


def given(*inputs, run=None):
    return replace(run or traces.trace(), data=traces.data(*inputs))


def test_nan_in_the_inputs_is_critical_unless_the_loss_survives():
    run = given(traces.inputs(nonfinite=0.01))
    assert severities(run, input_nonfinite) == {None: "watch"}
    lost = traces.with_series(run, probe_loss=np.nan)
    assert severities(lost, input_nonfinite) == {None: "critical"}
    assert severities(traces.trace(), input_nonfinite) == {}


def test_inputs_all_alike():
    flat = traces.inputs(minimum=0.0, maximum=0.0, std=0.0)
    assert severities(at_start(given(flat)), input_flat) == {None: "warn"}
    mask = traces.inputs(name="mask", minimum=1.0, maximum=1.0, std=0.0)
    assert severities(at_start(given(traces.inputs(), mask)), input_flat) == {None: "watch"}
    tiny = traces.inputs(minimum=0.0, maximum=1.0, std=1e-6)  # nearly empty, but not all alike
    assert severities(given(tiny), input_flat) == {}


LARGE = traces.inputs(minimum=0.0, maximum=255.0)


def test_large_inputs_are_a_warning_only_if_nothing_is_learned():
    assert severities(at_start(given(LARGE)), input_range) == {None: "watch"}
    assert severities(given(LARGE), input_range) == {None: "watch"}
    assert severities(given(LARGE, run=traces.stuck()), input_range) == {None: "warn"}


def test_a_single_input_needs_no_name():
    (alone,) = check(given(LARGE), [input_range]).findings
    assert alone.message.startswith("The input reaches from 0 to 255 in the probe set")
    (one,) = check(given(traces.inputs(), replace(LARGE, name="age")), [input_range]).findings
    assert one.message.startswith("Input age reaches")


@pytest.mark.parametrize(("mean", "severity"), [(120.0, "warn"), (0.0, "watch")])
def test_a_slow_fall_is_held_only_against_inputs_off_centre(mean, severity):
    slow = dict.fromkeys(("loss", "probe_loss"), np.linspace(2.3, 1.5, 31))
    run = replace(traces.with_series(traces.trace(), **slow), planned_steps=600)
    large = traces.inputs(minimum=-124.0, maximum=255.0, mean=mean, std=60.0)
    assert severities(given(large, run=run), input_range) == {None: severity}


@pytest.mark.parametrize(("std", "severity"), [(60.0, "warn"), (1.0, "watch")])
def test_a_few_large_entries_of_standardised_inputs_do_not_saturate_a_tanh(std, severity):
    slow = dict.fromkeys(("loss", "probe_loss"), np.linspace(2.3, 1.5, 31))
    tanh = traces.trace(traces.architecture(activation="tanh"))
    run = replace(traces.with_series(tanh, **slow), planned_steps=600)
    heavy = traces.inputs(minimum=-3.0, maximum=60.0, std=std)
    assert severities(given(heavy, run=run), input_range) == {None: severity}


def test_standardised_inputs_are_healthy():
    assert severities(given(traces.inputs(minimum=-14.0, maximum=8.0)), input_range) == {}


@pytest.mark.parametrize(
    "first",
    [
        [plain("scale", "Rescaling")],
        [replace(dense("norm"), type="Normalization", role="normalization")],
        [replace(dense("tokens"), type="Embedding", role="embedding")],
        [plain("own", "Lambda")],
        [dense("a", None), replace(dense("norm"), role="normalization")],
        [dense("a", "relu", options={"operations": "Divide"})],
    ],
)
def test_inputs_that_the_model_scales_are_healthy(first):
    model = chain(*first, dense("b", "relu"), dense("output", "softmax", 10, role="output"))
    assert severities(given(LARGE, run=traces.stuck(traces.trace(model))), input_range) == {}
