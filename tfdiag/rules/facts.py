"""The few numbers of a run that its report keeps, so that it can be read alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfdiag.rules.curves import finite, is_over, is_untrained, lost_since
from tfdiag.rules.rates import optimizer_of
from tfdiag.rules.roles import input_layers
from tfdiag.trace import Trace

#: Series that tell how well the model does, the most trustworthy first: the probe set stays
#: the same, so its loss has no noise from the choice of the batch.
LOSSES = ("probe_loss", "loss")


def facts(trace: Trace) -> dict[str, Any]:
    """Returns the facts of a run.

    Returns:
        A dictionary with "layers" and "records" (their numbers), "loss" (name of the series
        that the next two are of, or None), "loss_first" and "loss_last" (the first and the last
        finite one, or nan; the latter also where the loss ended in NaN),
        "learning_rate" and "learning_rate_lowest" (the highest and the lowest, or nan: they
        differ if something moves it), "optimizer" (name of its class, or None; see `optimizer_of`),
        "record_gap" and "probe_gap" (steps from one record, or one look at the probe set, to the
        next, or nan),
        "nonfinite_at_start" ("yes" if an output is NaN or Inf before any training, or None),
        "ended" ("yes" if all planned steps were made, in more than one epoch, or None; the monitor
        says so too of a training that ended otherwise), "untrained" ("yes" if model and data are
        judged alone, or None), "loss_function" (name of Keras' function, or None) and
        "input_layers" (names of the first layer with weights and of its activation, one a line).
    """
    name = next((name for name in LOSSES if len(finite(trace, name))), None)
    values = finite(trace, name) if name else np.array([])
    rates = finite(trace, "learning_rate")
    bad = trace.columns.get("output_nonfinite", np.zeros((1, 0)))
    early = trace.steps[: len(bad)] == 0
    looks = trace.steps[np.isfinite(trace.series.get("probe_loss", trace.steps * np.nan))]
    return {
        "layers": float(len(trace.layers)),
        "records": float(len(trace.steps)),
        "loss": name,
        "loss_first": float(values[0]) if len(values) else float("nan"),
        "loss_last": float(values[-1])
        if name and lost_since(trace, name) is None
        else float("nan"),
        "learning_rate": float(rates.max()) if len(rates) else float("nan"),
        "learning_rate_lowest": float(rates.min()) if len(rates) else float("nan"),
        "optimizer": optimizer_of(trace.architecture),
        "record_gap": float(np.median(np.diff(trace.steps)))
        if len(trace.steps) > 1
        else float("nan"),
        "probe_gap": float(np.median(np.diff(looks))) if len(looks) > 1 else float("nan"),
        "nonfinite_at_start": "yes" if (bad[: len(early)][early] > 0).any() else None,
        "ended": "yes" if is_over(trace) else None,
        "untrained": "yes" if is_untrained(trace) else None,
        "loss_function": (trace.architecture.loss_options or {}).get("kind"),
        "input_layers": "\n".join(input_layers(trace.architecture)),
    }
