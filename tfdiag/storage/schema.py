"""What a recording is on disk: names, types and version. Writer, reader and plugin agree here.

A recording is an ordinary TensorBoard event file whose name ends in ".tfdiag". Each step is one
event with up to:

    tag                        plugin         value
    tfdiag/stats/<hash8>       tfdiag         float32[metrics, layers]; content: the manifest
    tfdiag/series/<hash8>      tfdiag         float32[names]; content: {"schema", "series": names}
    tfdiag/histograms/<hash8>  tfdiag         uint8[bytes], zlib of uint8[4, layers, 131]: the four
                                              bytes, lowest first, of the number of entries of
                                              a layer's gradient per bin; content: {"schema",
                                              "layers": names,
                                              "bins": {"lowest_exponent", "octaves"}}
    tfdiag/weight_histograms/<hash8>  tfdiag  the same of the layers' trainable weights
    tfdiag/images              tfdiag         uint8[N, H, W, C], the probe images, once
    tfdiag/cams/<hash8>        tfdiag         float16[N, 2, h, w], raw Grad-CAM maps of the true
                                              and of the predicted class; content: the samples
    tfdiag/predictions/<hash8> tfdiag         float32[N, 3]: predicted class, its probability,
                                              the probability of the true class
    tfdiag/probe/<hash8>       tfdiag         float32[N, 3], the same for up to 64 probe samples,
                                              or float32[N, 1], predicted values; content:
                                              {"schema", "kind", "rows": numbers in the probe set,
                                              "true", "features": first numbers of each, or null}
    tfdiag/report              tfdiag_events  string[1], JSON: {"schema", "report", "finished",
                                              "cost"}; the newest one counts
    tfdiag/gradients/<layer>   histograms     float64[K, 3], TensorBoard's own histogram: the
                                              same again at the first of 25 records of them
    tfdiag/weights/<layer>     histograms     as tfdiag/gradients, of the layer's weights
    tfdiag/gradcam/<sample>    images         TensorBoard's own image
    tfdiag/<name>              scalars        a few aggregates, float32

A hash is of the content, so that a changed model in the same folder opens a new tag: TensorBoard
keeps only the first content of a tag. nan in a matrix means "not measured". What is measured later
at the same step comes as a further matrix, with all measures of the step: the last one counts. With
every matrix come series, at the least the learning rate: the steps are known without the matrices.

The 131 bins of a histogram are one per power of two, `octaves` of them from 2**`lowest_exponent`,
first of the negative and then of the positive entries, smallest magnitude first, with outliers in
the first and the last of each sign; then exact zeros, NaN and Inf. A layer without a gradient, or
without trainable weights, has no entry in any bin.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tfdiag.architecture import Architecture, Layer, Options
from tfdiag.data import KINDS, Data, Input, Labels, Output
from tfdiag.errors import TfdiagError

#: Version of all that is described here. A reader refuses a newer one. Version 1 had no options
#: of layers and of the loss, and no facts about the data; it is read without them.
SCHEMA = 2

#: Name under which TensorBoard keeps our matrices.
PLUGIN = "tfdiag"
#: Name under which TensorBoard keeps our reports, with a sampling budget of its own.
EVENTS_PLUGIN = "tfdiag_events"
PLUGINS = (PLUGIN, EVENTS_PLUGIN)

#: How the name of an event file of ours ends; others in the same folder are not read.
SUFFIX = ".tfdiag"

STATS = "tfdiag/stats/"
SERIES = "tfdiag/series/"
GRADIENT_HISTOGRAMS = "tfdiag/histograms/"
WEIGHT_HISTOGRAMS = "tfdiag/weight_histograms/"
IMAGES = "tfdiag/images"
CAMS = "tfdiag/cams/"
PREDICTIONS = "tfdiag/predictions/"
PROBE = "tfdiag/probe/"
REPORT = "tfdiag/report"
NATIVE_GRADIENTS = "tfdiag/gradients/"
NATIVE_WEIGHTS = "tfdiag/weights/"
GRADCAM_IMAGES = "tfdiag/gradcam/"
SCALARS = "tfdiag/"


def encode(content: Mapping[str, Any]) -> bytes:
    """Returns `content` as canonical JSON, with the schema version added.

    A number that is not finite becomes null, an object that JSON does not know its text.

    >>> encode({"series": ["loss"], "value": float("nan")})
    b'{"schema":2,"series":["loss"],"value":null}'
    """
    fields = plain({"schema": SCHEMA, **content})
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def plain(value: Any) -> Any:
    """Returns `value` as JSON can hold it: not finite becomes null, an unknown object its text.

    >>> import numpy as np
    >>> plain({"steps": np.arange(2), "share": np.float32("inf")})
    {'steps': [0, 1], 'share': None}
    """
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)


def decode(content: bytes) -> dict[str, Any]:
    """Returns the content that `encode` wrote.

    Raises:
        TfdiagError: if it is not such a content, or of a newer schema than this reader knows.
    """
    try:
        decoded = json.loads(content)
        version = decoded["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TfdiagError(
            f"This is not a tfdiag recording: its content starts with {content[:40]!r}, but JSON "
            "with a `schema` was expected. Remove the event file, or record the run again."
        ) from error
    if not isinstance(version, int) or version > SCHEMA:
        raise TfdiagError(
            f"This recording has schema version {version!r}, but this tfdiag reads versions up to "
            f"{SCHEMA}. Install the tfdiag that wrote it, or a newer one."
        )
    return decoded


def tag(prefix: str, content: bytes) -> str:
    """Returns `prefix` with the first 8 hexadecimal digits of the content's SHA-256.

    >>> tag("tfdiag/series/", b'{"schema":2,"series":["loss"]}')
    'tfdiag/series/6d1bf02c'
    """
    return prefix + hashlib.sha256(content).hexdigest()[:8]


def manifest(
    architecture: Architecture,
    metrics: tuple[str, ...],
    *,
    thresholds: Mapping[str, Mapping[str, Any]],
    versions: Mapping[str, str],
    not_measured: Mapping[str, str],
    probe_samples: int,
    planned_steps: int = 0,
    data: Data | None = None,
    monitor: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the manifest of a recording, ready for `encode`.

    Args:
        architecture: the model's `L` layers.
        metrics: names of the matrix's rows.
        thresholds: rule's id to its thresholds, as the user set them.
        versions: package's name to its version.
        not_measured: measure's name to the reason why this recording has none of it.
        probe_samples: number of samples in the probe set; 0 if there is none.
        planned_steps: step at which training is to end; 0 if that is not known.
        data: what the probe set looks like; None if there is none.
        monitor: the monitor's own settings (cadence, ...).
    """
    return {
        "architecture": asdict(architecture),
        "metrics": list(metrics),
        "thresholds": {rule: dict(values) for rule, values in thresholds.items()},
        "versions": dict(versions),
        "not_measured": dict(not_measured),
        "probe_samples": probe_samples,
        "planned_steps": planned_steps,
        "data": None if data is None else asdict(data),
        "monitor": dict(monitor),
    }


def decode_manifest(content: bytes) -> dict[str, Any]:
    """Returns the manifest that `manifest` made, with an `Architecture` under "architecture".

    Under "data" is a `Data` or None.

    Raises:
        TfdiagError: if it is damaged, or of a newer schema.
    """
    fields = decode(content)
    try:
        return {
            "architecture": _architecture(fields["architecture"]),
            "metrics": _names(fields["metrics"]),
            "thresholds": {
                rule: dict(_mapping(values))
                for rule, values in _mapping(fields["thresholds"]).items()
            },
            "versions": _mapping(fields["versions"], str),
            "not_measured": _mapping(fields["not_measured"], str),
            "probe_samples": _of(int, fields["probe_samples"]),
            "planned_steps": _of(int, fields["planned_steps"]),
            "data": _data(fields.get("data")),
            "monitor": _mapping(fields["monitor"]),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TfdiagError(
            f"The recording's manifest is damaged ({type(error).__name__}: {error}). "
            "Remove the event file, or record the run again."
        ) from error


def decode_series(content: bytes) -> list[str]:
    """Returns the names of the series whose content it is.

    Raises:
        TfdiagError: if it is damaged, or of a newer schema.
    """
    try:
        return _names(decode(content)["series"])
    except (KeyError, TypeError, ValueError) as error:
        raise TfdiagError(
            f"The recording's list of series is damaged ({type(error).__name__}: {error}). "
            "Remove the event file, or record the run again."
        ) from error


def decode_histograms(content: bytes) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Returns the names of the layers and the bins of the packed histograms whose content it is.

    Raises:
        TfdiagError: if it is damaged, or of a newer schema.
    """
    try:
        fields = decode(content)
        return tuple(_names(fields["layers"])), _mapping(fields["bins"])
    except (KeyError, TypeError, ValueError) as error:
        raise TfdiagError(
            f"The recording's histograms are damaged ({type(error).__name__}: {error}). "
            "Remove the event file, or record the run again."
        ) from error


def _architecture(fields: Any) -> Architecture:
    layers = tuple(_layer(**layer) for layer in _of(list, fields["layers"]))
    _names([layer.name for layer in layers])
    return Architecture(
        layers=layers,
        loss=_optional(fields["loss"]),
        optimizer=_optional(fields["optimizer"]),
        settings=_mapping(fields["settings"], _PLAIN),
        loss_options=_options(fields.get("loss_options")),
    )


def _layer(
    *,
    name: Any,
    type: Any,
    shape: Any,
    parameters: Any,
    trainable: Any,
    activation: Any,
    role: Any,
    inputs: Any,
    options: Any = None,
) -> Layer:
    return Layer(
        name=_of(str, name),
        type=_of(str, type),
        shape=tuple(size if size is None else _of(int, size) for size in _of(list, shape)),
        parameters=_of(int, parameters),
        trainable=_of(bool, trainable),
        activation=_optional(activation),
        role=_of(str, role),
        inputs=tuple(_of(str, name) for name in _of(list, inputs)),
        options=_options(options),
    )


def _options(fields: Any) -> Options | None:
    return None if fields is None else _mapping(fields, _PLAIN)


def _data(fields: Any) -> Data | None:
    if fields is None:
        return None
    return Data(
        samples=_of(int, fields["samples"]),
        inputs=tuple(_input(**part) for part in _of(list, fields["inputs"])),
        labels=tuple(_labels(**part) for part in _of(list, fields["labels"])),
        outputs=tuple(_output(**part) for part in _of(list, fields["outputs"])),
    )


def _input(*, name: Any, dtype: Any, shape: Any, **numbers: Any) -> Input:
    values = {key: _number(value) for key, value in numbers.items()}
    return Input(name=_of(str, name), dtype=_of(str, dtype), shape=_sizes(shape), **values)


def _labels(
    *, kind: Any, dtype: Any, shape: Any, classes: Any, shares: Any, **numbers: Any
) -> Labels:
    if kind not in KINDS:
        raise ValueError(f"{str(kind)[:40]!r} is no kind of labels")
    return Labels(
        kind=kind,
        dtype=_of(str, dtype),
        shape=_sizes(shape),
        classes=_of(int, classes),
        shares=tuple(_number(share) for share in _of(list, shares)),
        **{key: _number(value) for key, value in numbers.items()},
    )


def _output(*, shape: Any, adds_up: Any, **numbers: Any) -> Output:
    values = {key: _number(value) for key, value in numbers.items()}
    return Output(shape=_sizes(shape), adds_up=_of(bool, adds_up), **values)


def _sizes(value: Any) -> tuple[int, ...]:
    return tuple(_of(int, size) for size in _of(list, value))


def _number(value: Any) -> float:
    return math.nan if value is None else float(_of((int, float), value))


_PLAIN = (str, int, float, type(None))


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{str(value)[:40]!r} is no {getattr(kind, '__name__', kind)}")
    return value


def _optional(value: Any) -> str | None:
    return None if value is None else _of(str, value)


def _names(value: Any) -> list[str]:
    names = [_of(str, name) for name in _of(list, value)]
    if len(set(names)) != len(names):
        raise ValueError("a name appears twice")
    return names


def _mapping(value: Any, kind: Any = object) -> dict[str, Any]:
    return {name: _of(kind, item) for name, item in _of(dict, value).items()}
