from dataclasses import replace

import numpy as np
import pytest

from tests import static, traces
from tfdiag.rules import check
from tfdiag.rules.accuracy import accuracy, accuracy_name
from tfdiag.rules.beginning import errs_surely
from tfdiag.rules.constant import constant_loss, is_comparable, known_constant
from tfdiag.rules.generalization import held_out_fails
from tfdiag.rules.guess import no_better_than_constant
from tfdiag.rules.loss import initial_loss, loss_not_decreasing, no_better_than_guess
from tfdiag.rules.progress import knows_nothing, progress
from tfdiag.rules.rule import NotApplicable

#: A loss that falls from 0.69 to 0.6 at once, and no more: the entropy of grey pictures.
FLOOR = 0.6 + 0.09 * np.exp(-np.arange(31) / 1.5)


def pictures(loss, answers=None):
    """Returns a run of an autoencoder of grey pictures with binary cross-entropy."""
    grey = answers or traces.labels("real", shape=(64,), minimum=0.0, maximum=1.0, std=0.3)
    start = static.ending("sigmoid", "binary_crossentropy", width=64, y=grey)
    model = replace(start.architecture, loss="binary_crossentropy")
    run = replace(traces.trace(model), data=start.data, planned_steps=600)
    return traces.with_series(run, loss=loss, probe_loss=loss)


def plain(**changes):
    """Returns a run of a classifier whose loss has these options."""
    run = traces.trace()
    options = {**run.architecture.loss_options, **changes}
    return replace(run, architecture=replace(run.architecture, loss_options=options))


def stuck(run):
    return check(run, [loss_not_decreasing]).outcomes[0]


@pytest.mark.parametrize("loss", [FLOOR, 0.68 + 0.013 * np.exp(-np.arange(31) / 4)])
def test_grey_pictures_have_a_lowest_loss_above_0(loss):
    assert stuck(pictures(loss)).outcome == "not-evaluated"
    assert "lowest value is not known" in stuck(pictures(loss)).reason
    binary = traces.labels("multi-hot", shape=(64,), minimum=0.0, maximum=1.0)
    assert progress(pictures(loss, binary)).state in ("plateau", "stuck")


def test_grey_pictures_of_which_nothing_is_learned_are_found():
    assert stuck(pictures(0.6931)).outcome == "found"


def test_grey_pictures_that_are_learned_are_well():
    falls = np.linspace(0.69, 0.5, 31)
    assert progress(pictures(falls)).state == "improving"
    assert stuck(pictures(falls)).outcome == "healthy"


def test_a_generator_is_not_judged_by_its_loss():
    """All targets of the judge are 1; as it gets better, the generator's loss rises."""
    ones = traces.labels(minimum=1.0, maximum=1.0, classes=1, largest=1.0, shares=(0.0, 1.0))
    start = static.ending("sigmoid", "binary_crossentropy", width=1, y=ones)
    for loss in (0.9, np.linspace(0.5, 3.0, 31)):
        run = replace(traces.trace(start.architecture), data=start.data, planned_steps=600)
        run = traces.with_series(run, loss=loss, probe_loss=loss)
        assert "same number" in stuck(run).reason
        both = replace(run, data=traces.data(answers=replace(ones, minimum=0.0)))
        assert progress(both).state in ("stuck", "worse")


def test_targets_that_stand_in_for_none_say_nothing_of_a_loss():
    """As of models that call `add_loss`: `fit` is given zeros."""
    zeros = traces.labels("real", minimum=0.0, maximum=0.0)
    model = replace(traces.architecture(), loss=None, loss_options=None)
    run = replace(traces.stuck(traces.trace(model)), data=traces.data(answers=zeros))
    assert progress(run).state == "stuck"


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, True),
        ({"kind": None}, False),
        ({"regularized": True}, False),
        ({"reduction": "sum"}, False),
        ({"label_smoothing": 0.1}, False),
        ({"weighted": True}, False),
    ],
)
def test_only_a_plain_loss_is_held_against_a_guess(changes, known):
    run = plain(**changes)
    assert is_comparable(run) is known
    assert knows_nothing(traces.with_series(run, probe_loss=2.3)) is known
    sure = traces.changed(run, "output_rms", 0.3, ("output",))
    sure = traces.changed(sure, "output_mean", 0.1, ("output",))
    assert errs_surely(traces.with_series(sure, loss=9.0, probe_loss=9.0)) is known


def test_regularization_only_adds_to_a_constants_loss():
    run = plain(regularized=True)
    assert known_constant(run) == pytest.approx(np.log(10))
    with pytest.raises(NotApplicable, match="regularization"):
        constant_loss(run)
    assert constant_loss(plain()) == known_constant(run)
    assert known_constant(plain(weighted=True)) is None
    assert known_constant(replace(run, data=None, probe_samples=0)) is None


DECAYS = 2.305 + 1200 * np.exp(-np.arange(31) / 2)


def decaying(accuracy, loss=DECAYS, planned=600, **changes):
    """Returns a run of ten classes whose regularized loss falls with the weights."""
    run = replace(plain(regularized=True, **changes), planned_steps=planned)
    return traces.with_series(run, loss=loss, probe_loss=loss, probe_accuracy=accuracy)


def test_weights_that_decay_are_no_learning():
    assert progress(decaying(0.1)).state == "lost"
    assert progress(decaying(np.linspace(0.1, 0.13, 31))).state == "lost"  # by luck
    (start,) = told(decaying(0.1), initial_loss).findings
    assert start.severity == "watch"  # it is high by the penalty


@pytest.mark.parametrize(
    "run",
    [
        decaying(0.3),
        decaying(0.1, planned=10**5),  # it may still begin to
        decaying(0.1, DECAYS - 0.4),  # too low for a guess
        decaying(np.nan),
        replace(decaying(0.1), probe_samples=50),
        decaying(0.1, reduction="sum"),
    ],
)
def test_a_regularized_loss_that_falls_is_believed(run):
    assert progress(run).state in ("improving", "learned")


@pytest.mark.parametrize(("samples", "state"), [(256, "improving"), (10_000, "lost")])
def test_few_right_answers_among_a_thousand_classes_are_no_guesses(samples, state):
    model = plain(regularized=True).architecture
    output = replace(model.layers[-1], shape=(1000,))
    model = replace(model, layers=(*model.layers[:-1], output))
    kinds = traces.labels(classes=1000, maximum=999.0, largest=0.008, smallest=0.001, shares=())
    run = traces.trace(model)
    run = replace(run, data=traces.data(answers=kinds), probe_samples=samples, planned_steps=600)
    right, loss = 0.012 if samples == 256 else 0.002, 7 + 5 * np.exp(-np.arange(31) / 20)
    run = traces.with_series(run, loss=loss, probe_loss=loss, probe_accuracy=right)
    assert progress(run).state == state


@pytest.mark.parametrize(("spread", "lost"), [(0.01, True), (1.0, False)])
def test_outputs_that_hardly_vary_explain_nothing_whatever_the_penalty_is(spread, lost):
    answers = traces.labels("real", shape=(1,), std=2.0)
    start = static.ending(None, "mean_squared_error", width=1, y=answers)
    options = {**start.architecture.loss_options, "regularized": True}
    model = replace(start.architecture, loss="mse", loss_options=options)
    run = replace(traces.trace(model), data=start.data, planned_steps=600)
    run = traces.changed(run, "output_std", spread, ("output",))
    run = traces.with_series(run, loss=DECAYS + 2, probe_loss=DECAYS + 2)
    assert (progress(run).state in ("lost", "stuck")) is lost


def several(loss, train=None, std=0.3, shape=(9,), width=9, **series):
    """Returns a run of nine labels at once, each of which a tenth of the samples have."""
    answers = traces.labels("multi-hot", shape=shape, maximum=1.0, std=std)
    start = static.ending("sigmoid", "binary_crossentropy", width=width, y=answers)
    model = replace(start.architecture, loss="binary_crossentropy")
    run = replace(traces.trace(model), data=start.data, planned_steps=600)
    losses = {"loss": loss if train is None else train, "probe_loss": loss}
    return traces.with_series(run, **losses, **series)


RATE = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))


def told(run, rule):
    (one,) = check(run, [rule]).outcomes
    return one


def test_several_labels_at_once_have_a_constant():
    assert constant_loss(several(0.3)) == pytest.approx(RATE)
    assert constant_loss(several(0.3, std=0.5)) == pytest.approx(np.log(2))
    (finding,) = told(several(RATE), no_better_than_constant).findings
    assert "how frequent each label is" in finding.message
    assert told(several(0.9 * RATE), no_better_than_constant).outcome == "healthy"
    assert "samples differ" in told(several(RATE, std=0.1), no_better_than_constant).reason
    soft = traces.labels("soft", shape=(9,), maximum=1.0, std=0.3)
    run = replace(several(RATE), data=replace(several(RATE).data, labels=(soft,)))
    assert told(run, no_better_than_constant).outcome == "not-evaluated"


@pytest.mark.parametrize(("shape", "width"), [((50, 9), 9), ((9,), 1)])
def test_several_labels_of_a_sequence_have_no_constant(shape, width):
    with pytest.raises(NotApplicable):
        constant_loss(several(RATE, shape=shape, width=width))  # its end may be masked
    assert constant_loss(several(RATE, shape=(8, 8, 9))) == pytest.approx(RATE)


@pytest.mark.parametrize(
    ("shape", "first", "known"),
    [
        ((30, 1), {"type": "Masking"}, False),
        ((30, 1), {"type": "Embedding", "options": {"mask_zero": True}}, False),
        ((30, 1), {"type": "Embedding", "options": {}}, True),
        ((1,), {"type": "Masking"}, True),  # a number for each sequence
    ],
)
def test_padded_targets_have_no_known_constant(shape, first, known):
    answers = traces.labels("real", shape=shape, std=2.0)
    start = static.ending(None, "mean_squared_error", width=1, y=answers)
    changed, *others = start.architecture.layers
    model = replace(start.architecture, layers=(replace(changed, **first), *others))
    output = replace(start.data.outputs[0], shape=shape)
    run = replace(start, architecture=model, data=replace(start.data, outputs=(output,)))
    assert known_constant(run) == (pytest.approx(4.0) if known else None)


def test_several_labels_at_once_fail_on_held_out_data():
    for right, outcome in ((0.9, "found"), (0.97, "healthy")):  # always none: 90 %
        held, train = np.full(6, 2 * RATE), np.full(6, 0.1)
        run = several(2 * RATE, 0.1, probe_binary_accuracy=right)
        assert told(traces.with_epochs(run, held, train), held_out_fails).outcome == outcome


def pixels(loss, shape=(16, 16), accuracy=0.7, **changes):
    """Returns a run that tells the class of each pixel, 70 % of which are background."""
    answers = traces.labels(shape=shape, largest=0.7, smallest=0.1, shares=(0.7, 0.2, 0.1))
    start = static.ending("softmax", width=3, y=answers)
    options = {**start.architecture.loss_options, **changes}
    run = replace(traces.trace(), architecture=replace(start.architecture, loss_options=options))
    run = replace(run, data=start.data, planned_steps=600)
    return traces.with_series(run, loss=loss, probe_loss=loss, probe_accuracy=accuracy)


def test_pixels_have_a_constant():
    entropy = 0.7 * np.log(1 / 0.7) + 0.2 * np.log(5) + 0.1 * np.log(10)
    assert constant_loss(pixels(0.8)) == constant_loss(pixels(0.8, (16, 16, 1)))
    assert constant_loss(pixels(0.8)) == pytest.approx(entropy)
    assert told(pixels(entropy), no_better_than_guess).outcome == "found"
    assert told(pixels(0.5, accuracy=0.9), no_better_than_guess).outcome == "healthy"
    for other in (pixels(entropy, (16,)), pixels(entropy, ignore_class=0)):  # may be masked
        assert told(other, no_better_than_guess).outcome == "not-evaluated"
        with pytest.raises(NotApplicable):
            constant_loss(other)


def test_the_right_one_among_five_is_no_accuracy():
    run = traces.with_series(plain(), probe_top_k_categorical_accuracy=0.9)
    assert accuracy_name(run) is None and np.isnan(accuracy(run))
    run = traces.with_series(run, probe_sparse_categorical_accuracy=0.4, probe_nonfinite=0.0)
    assert accuracy(run) == pytest.approx(0.4)
    assert np.isnan(accuracy(traces.with_series(run, probe_nonfinite=1.0)))
