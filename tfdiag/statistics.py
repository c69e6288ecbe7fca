"""From the sums that are taken inside the training step to the measures that users see.

The compiled step only adds up; all mathematics is here, in numpy. Sums of several tensors merge
by adding (maxima by the larger), so a layer is judged over all of its weights and a shared
layer over all of its calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Columns of the sums that are taken of each weight on a sampled step.
WEIGHT_SUMS = (
    "count",  # entries of the weight
    "squares",  # sum of the gradient's squares
    "max",  # largest magnitude in the gradient
    "zeros",  # exactly zero entries of the gradient
    "nonfinite",  # NaN and Inf in the gradient
    "weight_squares",  # sum of squares of the weight before the step
    "new_weight_squares",  # the same after the step
    "update_squares",  # sum of squares of what the step changed
    "weight_nonfinite",  # NaN and Inf in the weight after the step
    "gradient_count",  # entries of the gradient; 0 if the loss does not depend on the weight
)

#: Columns of the sums that are taken of each layer's output on the probe set.
OUTPUT_SUMS = ("count", "sum", "squares", "zeros", "nonfinite")

#: One histogram bin per power of two from 2**-40 (9e-13) to 2**24 (2e7), outliers at its ends.
OCTAVES = 64
LOWEST_EXPONENT = -40
#: Bins of one histogram: negative octaves, positive octaves, exact zeros, NaN, Inf.
BINS = 2 * OCTAVES + 3
ZERO_BIN, NAN_BIN, INF_BIN = 2 * OCTAVES, 2 * OCTAVES + 1, 2 * OCTAVES + 2

#: The bins along the axis, from the largest negative to the largest positive, and their edges.
_ASCENDING = np.r_[np.arange(OCTAVES)[::-1], ZERO_BIN, OCTAVES : 2 * OCTAVES]
_POWERS = 2.0 ** np.arange(LOWEST_EXPONENT, LOWEST_EXPONENT + OCTAVES + 1)
_EDGES = np.concatenate(
    [
        np.column_stack([-_POWERS[1:], -_POWERS[:-1]])[::-1],
        np.zeros((1, 2)),
        np.column_stack([_POWERS[:-1], _POWERS[1:]]),
    ]
)


def gradient_measures(sums: np.ndarray, owners: np.ndarray, layers: int) -> dict[str, np.ndarray]:
    """Returns the measures of one training step, per layer.

    Args:
        sums: `float[W, 10]`, one row per weight, columns as in `WEIGHT_SUMS`.
        owners: `int[W]`, index of the layer that owns each weight.
        layers: number of layers `L`.

    Returns:
        Measure's name to `float32[L]`: nan for a layer without a trainable weight, and for
        a measure of a tensor that is not finite, which its count then says. No unit, but
        gradients have the loss's unit per weight's.

    Raises:
        ValueError: if `sums` has not one row per owner and a column per sum.

    The update ratio is |Δw| / |w|, with the w before the step and the Δw that the optimizer
    really made; of a large weight with a dense gradient both are measured on evenly spaced blocks
    (`tfdiag.sums.CHANGE_ENTRIES`). Source: Karpathy, CS231n notes, "Ratio of weights:updates",
    https://cs231n.github.io/neural-networks-3/#ratio.
    """
    sums = np.asarray(sums, np.float64)
    if sums.shape != (len(owners), len(WEIGHT_SUMS)):
        raise ValueError(
            f"`sums` must have one row for each of the {len(owners)} owners and "
            f"{len(WEIGHT_SUMS)} columns, but has the shape {sums.shape}."
        )
    column = dict(zip(WEIGHT_SUMS, sums.T, strict=True))

    def total(name: str) -> np.ndarray:
        return np.bincount(owners, column[name], minlength=layers)

    count, gradients = total("count"), total("gradient_count")
    largest = np.full(layers, -np.inf)
    with np.errstate(all="ignore"):
        np.maximum.at(largest, owners, column["max"])
        gradient = {
            "gradient_rms": np.sqrt(total("squares") / gradients),
            "gradient_max": largest,
            "gradient_zeros": total("zeros") / gradients,
        }
        weight = {
            "update_ratio": np.sqrt(total("update_squares") / total("weight_squares")),
            "weight_rms": np.sqrt(total("new_weight_squares") / count),
        }
    bad_gradient, bad_weight = total("nonfinite"), total("weight_nonfinite")
    gradient = {name: np.where(bad_gradient > 0, np.nan, v) for name, v in gradient.items()}
    weight = {name: np.where(bad_weight > 0, np.nan, v) for name, v in weight.items()}
    gradient["gradient_nonfinite"], weight["weight_nonfinite"] = bad_gradient, bad_weight
    return {
        **{name: _measured(value, gradients) for name, value in gradient.items()},
        **{name: _measured(value, count) for name, value in weight.items()},
    }


def global_norm(sums: np.ndarray) -> float:
    """Returns the L2 norm of the whole model's gradient; nan if it is not finite.

    Args:
        sums: `float[W, 10]`, columns as in `WEIGHT_SUMS`.
    """
    sums = np.asarray(sums, np.float64)
    if sums[:, WEIGHT_SUMS.index("nonfinite")].any():
        return float("nan")
    return float(np.sqrt(sums[:, WEIGHT_SUMS.index("squares")].sum()))


def output_measures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the measures of the layers' outputs on the probe set.

    Args:
        sums: `float[L, 5]`, columns as in `OUTPUT_SUMS`; count 0 where a layer did not run.

    Returns:
        Measure's name to `float32[L]`, in the output's own unit; nan where the layer did not
        run, and where the output is not finite. The deviation is that of the population.
    """
    count, total, squares, zeros, nonfinite = np.asarray(sums, np.float64).T
    with np.errstate(all="ignore"):
        mean = total / count
        finite = {
            "output_rms": np.sqrt(squares / count),
            "output_mean": mean,
            "output_std": np.sqrt(np.maximum(squares / count - mean**2, 0)),
            "output_zeros": zeros / count,
        }
    measures = {name: np.where(nonfinite > 0, np.nan, value) for name, value in finite.items()}
    measures["output_nonfinite"] = nonfinite
    return {name: _measured(value, count) for name, value in measures.items()}


def probe_measures(
    sums: np.ndarray,
    unit_max: Sequence[np.ndarray | None],
    saturated: Sequence[np.ndarray | None],
) -> dict[str, np.ndarray]:
    """Returns all measures of one pass over the probe set, per layer.

    Args:
        sums: `float[L, 5]`, as for `output_measures`.
        unit_max: `L` entries, as for `dead_fraction`; None where no unit can die.
        saturated: `L` entries, as for `saturated_fraction`; None where none can saturate.

    Returns:
        Measure's name to `float32[L]`; nan as in `output_measures`.
    """
    measures = output_measures(sums)
    finite = measures["output_nonfinite"] == 0  # nan where the layer did not run
    dead = np.full(len(sums), np.nan, np.float32)
    flat = np.full(len(sums), np.nan, np.float32)
    for layer, (largest, often) in enumerate(zip(unit_max, saturated, strict=True)):
        if not finite[layer]:
            continue
        if largest is not None:
            dead[layer] = dead_fraction(largest)
        if often is not None:
            flat[layer] = saturated_fraction(often, sums[layer][0] / len(often))
    return {**measures, "dead_fraction": dead, "saturated_fraction": flat}


def dead_fraction(unit_max: np.ndarray) -> float:
    """Returns the share of units that are not above zero anywhere on the probe set.

    Args:
        unit_max: `float[U]`, each unit's or channel's largest output over all samples and
            positions.

    Returns:
        Share in [0, 1], no unit; nan if there is no unit or a maximum is NaN.

    Source: Lu et al. (2019), "Dying ReLU and Initialization", arXiv:1903.06733.

    >>> dead_fraction(np.array([0.0, 0.3, -0.1, 2.0]))
    0.5
    """
    unit_max = np.asarray(unit_max, np.float64)
    if unit_max.size == 0 or np.isnan(unit_max).any():
        return float("nan")
    return float((unit_max <= 0).mean())


def saturated_fraction(saturated: np.ndarray, count: float, *, share: float = 0.95) -> float:
    """Returns the share of units whose output sits in the flat end of its curve.

    Args:
        saturated: `float[U]`, how many of each unit's outputs are in the flat end.
        count: outputs seen of each unit.
        share: a unit is saturated when at least this share of its outputs is. No unit.

    Returns:
        Share in [0, 1], no unit; nan if nothing was seen.

    Source: heuristic after Glorot & Bengio (2010),
    https://proceedings.mlr.press/v9/glorot10a.html, section 3.

    >>> saturated_fraction(np.array([10, 3]), 10)
    0.5
    """
    saturated = np.asarray(saturated, np.float64)
    if saturated.size == 0 or count <= 0:
        return float("nan")
    return float((saturated >= share * count).mean())


def histogram_buckets(counts: np.ndarray) -> np.ndarray:
    """Returns a histogram over powers of two as TensorBoard's buckets.

    Args:
        counts: `float[BINS]`, entries per bin: negative octaves (smallest magnitude first),
            positive octaves, exact zeros, NaN, Inf. NaN and Inf have no place on the axis
            and are left out; `gradient_nonfinite` counts them.

    Returns:
        `float64[K, 3]`: left edge, right edge, entries, ascending and without empty
        bins; exact zeros are the bucket (0, 0, entries).

    >>> counts = np.zeros(BINS)
    >>> counts[OCTAVES - LOWEST_EXPONENT] = 3  # three entries in [1, 2)
    >>> counts[ZERO_BIN] = 1
    >>> histogram_buckets(counts)
    array([[0., 0., 1.],
           [1., 2., 3.]])
    """
    ascending = np.asarray(counts, np.float64)[_ASCENDING]
    filled = ascending > 0
    return np.column_stack([_EDGES[filled], ascending[filled]])


def _measured(value: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, value, np.nan).astype(np.float32)
