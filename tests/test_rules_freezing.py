from dataclasses import replace

import numpy as np

from tests import traces
from tests.static import at_start, chain, dense, ending, outcome, severities
from tfdiag.rules.freezing import frozen_output, nothing_trainable
from tfdiag.rules.progress import progress


def test_a_model_of_frozen_layers_is_found():
    model = traces.architecture()
    frozen = replace(model, layers=tuple(replace(x, trainable=False) for x in model.layers))
    run = at_start(traces.trace(frozen))
    assert severities(run, nothing_trainable) == {None: "critical"}
    head = (*frozen.layers[:-1], model.layers[-1])
    tuned = outcome(traces.trace(replace(model, layers=head)), nothing_trainable)
    assert tuned.outcome == "healthy"
    assert tuned.exempt == dict.fromkeys(("dense", "dense_1", "dense_2"), "frozen")


def test_a_frozen_output_is_watched_until_the_loss_suffers():
    model = traces.architecture()
    head = replace(model.layers[-1], trainable=False)
    fixed = replace(model, layers=(*model.layers[:-1], head))
    assert severities(traces.trace(fixed), frozen_output) == {"output": "watch"}
    assert severities(traces.stuck(traces.trace(fixed)), frozen_output) == {"output": "warn"}


def test_a_frozen_output_is_a_warning_while_classes_are_learned_slowly():
    model = traces.architecture()
    fixed = replace(model, layers=(*model.layers[:-1], replace(model.layers[-1], trainable=False)))
    curve = np.linspace(2.3, 1.5, 31)
    slow = traces.with_series(traces.trace(fixed), loss=curve, probe_loss=curve)
    assert progress(slow).state == "improving"
    assert severities(replace(slow, planned_steps=600), frozen_output) == {"output": "warn"}
    assert severities(replace(slow, planned_steps=2400), frozen_output) == {"output": "watch"}
    answers = ending("sigmoid", "binary_crossentropy", width=1).architecture
    judge = replace(answers.layers[-1], trainable=False)
    judged = replace(slow, architecture=replace(answers, layers=(*answers.layers[:-1], judge)))
    judged = traces.with_series(judged, loss=0.3 * curve, probe_loss=0.3 * curve)
    assert severities(replace(judged, planned_steps=600), frozen_output) == {"output": "watch"}


def test_a_frozen_backbone_below_a_trained_head_is_well():
    model = traces.architecture()
    below = tuple(replace(layer, trainable=False) for layer in model.layers[:-1])
    tuned = replace(model, layers=(*below, model.layers[-1]))
    assert outcome(traces.trace(tuned), frozen_output).outcome == "healthy"
    frozen = replace(tuned, layers=(*below, replace(model.layers[-1], trainable=False)))
    assert outcome(traces.trace(frozen), frozen_output).outcome == "healthy"
    assert severities(traces.trace(frozen), nothing_trainable) == {None: "critical"}


def test_a_generator_may_lose_against_its_frozen_judge():
    model = ending("sigmoid", "binary_crossentropy", width=1).architecture
    judge = replace(model, layers=(*model.layers[:-1], replace(model.layers[-1], trainable=False)))
    run = traces.stuck(traces.trace(judge), level=0.9)
    assert progress(run).state == "stuck"
    assert severities(run, frozen_output) == {"output": "watch"}


def test_a_last_layer_that_only_scales_is_not_frozen():
    scale = traces.layer("scale", None, type="Normalization", trainable=False, role="output")
    run = traces.stuck(traces.trace(chain(dense("a", "relu"), dense("b"), scale)))
    assert outcome(run, frozen_output).outcome == "healthy"
