"""Runs at their first step, of models made to measure, and what a rule says of them."""

from dataclasses import replace

from tests import traces
from tfdiag.rules import check


def outcome(run, rule):
    return check(run, [rule]).outcomes[0]


def severities(run, rule):
    found = outcome(run, rule)
    assert found.outcome != "not-evaluated", found.reason
    return {finding.layer: finding.severity for finding in found.findings}


def at_start(run):
    """Returns the run at step 0."""
    return replace(
        run,
        steps=run.steps[:1],
        columns={name: values[:1] for name, values in run.columns.items()},
        series={name: values[:1] for name, values in run.series.items()},
        wall_times=run.wall_times[:1],
    )


def chain(*layers, **changes):
    """Returns a model in which each layer feeds the next."""
    names = [layer.name for layer in layers]
    linked = [
        replace(layer, inputs=tuple(names[i - 1 : i]) if i else ())
        for i, layer in enumerate(layers)
    ]
    base = traces.architecture()
    return replace(base, layers=tuple(linked), **changes)


def dense(name, activation=None, units=64, inputs=64, **changes):
    options = {"units": units, "use_bias": True, **changes.pop("options", {})}
    parameters = units * inputs + units
    return traces.layer(
        name, activation, shape=(units,), parameters=parameters, options=options, **changes
    )


def plain(name, type, activation=None, shape=(64,), **options):
    return traces.layer(
        name,
        activation,
        type=type,
        shape=shape,
        parameters=0,
        trainable=False,
        options=options,
    )


def ending(activation, loss="sparse_categorical_crossentropy", *, logits=False, width=10, y=None):
    """Returns the first step of a model with this end."""
    head = dense("output", activation, width, role="output")
    options = {"kind": loss, "from_logits": logits, "regularized": False}
    model = chain(dense("dense", "relu"), head, loss=loss, loss_options=options)
    run = traces.trace(model)
    facts = traces.data(answers=y)
    said = replace(facts.outputs[0], shape=(width,))
    return at_start(replace(run, data=replace(facts, outputs=(said,))))


def without_graph(model):
    return replace(model, layers=tuple(replace(layer, inputs=()) for layer in model.layers))
