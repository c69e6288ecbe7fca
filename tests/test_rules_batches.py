from dataclasses import replace

import numpy as np

from tests import traces
from tests.static import chain, dense, outcome, severities
from tfdiag.rules.batches import batch_of_one, batchnorm_small_batch
from tfdiag.rules.progress import progress

CONVERGED = 1.6 + 0.7 * np.exp(-np.arange(31) / 1.5) + 0.01 * (-1.0) ** np.arange(31)


def test_batch_normalization_of_few_samples_is_watched():
    norm = replace(dense("norm"), type="BatchNormalization", role="normalization")
    run = traces.trace(chain(dense("a"), norm, dense("b", "relu")))
    assert severities(run, batchnorm_small_batch) == {}
    small = traces.with_series(run, batch_size=4)
    assert severities(small, batchnorm_small_batch) == {"norm": "watch"}
    assert severities(traces.with_series(traces.trace(), batch_size=4), batchnorm_small_batch) == {}
    series = {name: values for name, values in run.series.items() if name != "batch_size"}
    assert "batch_size" in outcome(replace(run, series=series), batchnorm_small_batch).reason


def test_batches_of_one_are_watched_until_the_loss_suffers():
    run = traces.with_series(traces.trace(), batch_size=1.0)
    converged = traces.with_series(run, **dict.fromkeys(("loss", "probe_loss"), CONVERGED))
    assert progress(converged).state == "plateau"
    assert severities(converged, batch_of_one) == {None: "watch"}
    assert severities(run, batch_of_one) == {None: "watch"}
    assert severities(traces.stuck(run), batch_of_one) == {None: "warn"}
    swing = 1 + 0.2 * (-1.0) ** np.arange(31)
    above = traces.with_series(run, probe_loss=swing * np.linspace(2.3, 1.0, 31))
    assert severities(above, batch_of_one) == {None: "warn"}
    (finding,) = outcome(above, batch_of_one).findings
    assert "from look to look" in finding.message
    low = traces.with_series(run, probe_loss=np.where(run.steps > 200, 0.1 * swing, 2.3))
    assert severities(low, batch_of_one) == {None: "watch"}
    for level in (-5.0, 0.0):
        negative = traces.with_series(run, probe_loss=level + swing - 1)
        (finding,) = outcome(negative, batch_of_one).findings
        assert finding.severity == "watch" and "look to look" not in finding.message
    last = np.where(np.arange(31) == 30, 1.0, 32.0)  # the rest of an epoch
    assert outcome(traces.with_series(run, batch_size=last), batch_of_one).outcome == "healthy"
    model = replace(run.architecture, settings={"gradient_accumulation_steps": 16})
    assert outcome(replace(run, architecture=model), batch_of_one).outcome == "healthy"
    unknown = traces.with_series(run, batch_size=np.nan)
    assert outcome(unknown, batch_of_one).outcome == "not-evaluated"
