"""The "Health" tab: its routes. What they answer is in docs/http.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard import errors
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug.wrappers import Request, Response

from tensorboard_plugin import answers, matrix
from tensorboard_plugin.experiment import Experiment
from tensorboard_plugin.loader import SAMPLES
from tensorboard_plugin.recordings import Recordings
from tensorboard_plugin.trial import choice_of
from tfdiag.errors import TfdiagError
from tfdiag.metrics import METRIC_NAMES
from tfdiag.storage import schema
from tfdiag.storage.decoder import Recording, with_report
from tfdiag.storage.histograms import KINDS
from tfdiag.storage.histograms import decode as decode_histograms
from tfdiag.storage.snapshots import Cams, decode_cams, decode_predictions
from tfdiag.trace import Trace

_JSON = "application/json"
_BINARY = "application/octet-stream"
_MARKDOWN = "text/markdown"
_SCRIPT = "text/javascript"  # written out: a Windows registry can make `mimetypes` say otherwise

_BUNDLE = Path(__file__).parent / "static" / "index.js"
_NO_BUNDLE = """export function render() {
  document.body.textContent =
    "The Health tab was not built. Run `make bundle` in the source folder of tfdiag, or install " +
    "tfdiag from PyPI, then start TensorBoard again.";
}
"""

#: Longest name of a run that an error message repeats.
_SHOWN = 200


class _UnreadableError(errors.PublicError):
    """The recording is there, but damaged or of a newer schema."""

    http_code = 422


class _MethodNotAllowedError(errors.PublicError):
    http_code = 405

    def __init__(self, method: str):
        super().__init__(f"{method} is not allowed: everything here is read with GET.")
        self.headers.append(("Allow", "GET"))


class HealthPlugin(base_plugin.TBPlugin):
    """Serves the recordings of the log folder to the tab."""

    plugin_name = schema.PLUGIN

    def __init__(self, context: base_plugin.TBContext):
        """Reads the tab's code, so that no request opens a file."""
        super().__init__(context)
        self._provider = context.data_provider
        samples = getattr(context.flags, "samples_per_plugin", {})
        self._recordings = Recordings(samples.get(schema.PLUGIN, SAMPLES))
        self._bundle = _BUNDLE.read_bytes() if _BUNDLE.exists() else _NO_BUNDLE.encode()

    def get_plugin_apps(self) -> dict[str, Callable]:
        return {
            "/static/index.js": _route(lambda request: (self._bundle, _SCRIPT)),
            "/api/runs": _route(self._runs),
            "/api/run": _route(self._run),
            "/api/judge": _route(self._judge),
            "/api/rules": _route(self._rules),
            "/api/losses": _route(self._losses),
            "/api/compare": _route(self._compare),
            "/api/metric": _route(self._metric),
            "/api/report": _route(self._report),
            "/api/layer": _route(self._layer),
            "/api/histograms": _route(self._histograms),
            "/api/predictions": _route(self._predictions),
            "/api/cams": _route(self._cams),
            "/api/cams/maps": _route(self._cam_maps),
            "/api/cams/images": _route(self._cam_images),
        }

    def is_active(self) -> bool:
        return False  # TensorBoard shows the tab as soon as a name below has data

    def data_plugin_names(self) -> tuple[str, ...]:
        return schema.PLUGINS

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        return base_plugin.FrontendMetadata(
            es_module_path="/static/index.js", tab_name="Health", disable_reload=False
        )

    def _runs(self, request: Request) -> tuple[str, str]:
        experiment = self._experiment(request)
        recorded = experiment.listed()
        reports = experiment.last_reports() if recorded else {}
        runs = experiment.runs()
        summaries = [
            answers.run_summary(run, start, recorded.get(run, {}), reports.get(run))
            for run, start in runs.items()
        ]
        folder = experiment.folder() if "." in runs else None
        return _json({"folder": folder, "runs": summaries})

    def _run(self, request: Request) -> tuple[str, str]:
        run, experiment = _parameter(request, "run"), self._experiment(request)
        since = _since(request)
        recording = self._recording(experiment, run)
        report = experiment.last_reports(run).get(run)
        return _json(answers.run(run, recording, report, since))

    def _judge(self, request: Request) -> tuple[str, str]:
        run, experiment = _parameter(request, "run"), self._experiment(request)
        choice = choice_of(request.args)
        recording = self._recording(experiment, run)
        report = experiment.last_reports(run).get(run)
        return _json(answers.judged(run, recording, report, choice))

    def _rules(self, request: Request) -> tuple[str, str]:
        experiment = self._experiment(request)
        tags = experiment.listed()
        recorded = {run: tags[run] for run in experiment.runs() if run in tags}
        return _json(matrix.rules(recorded, experiment.last_reports() if recorded else {}))

    def _losses(self, request: Request) -> tuple[str, str]:
        return _json(answers.losses(self._experiment(request).losses()))

    def _compare(self, request: Request) -> tuple[str, str]:
        run, baseline = _parameter(request, "run"), _parameter(request, "baseline")
        if run == baseline:
            raise errors.InvalidArgumentError(
                f"`run` and `baseline` are both {_shown(run)}. Choose two different runs."
            )
        experiment = self._experiment(request)
        ours, theirs = (self._judged(experiment, name) for name in (run, baseline))
        return _json(answers.compare(run, ours, baseline, theirs))

    def _metric(self, request: Request) -> tuple[bytes, str]:
        run, name = _parameter(request, "run"), _parameter(request, "metric")
        if name not in METRIC_NAMES:
            raise errors.InvalidArgumentError(
                f"`metric` is {_shown(name)}, but must be one of {', '.join(METRIC_NAMES)}."
            )
        since = _since(request)
        recording = self._recording(self._experiment(request), run)
        if name not in recording.trace.columns:
            raise errors.NotFoundError(f"This recording has no {name}. Choose another metric.")
        return answers.metric(recording, name, since), _BINARY

    def _report(self, request: Request) -> tuple[str, str]:
        run, kind = _parameter(request, "run"), _parameter(request, "format")
        if kind != "markdown":
            raise errors.InvalidArgumentError(f"`format` is {_shown(kind)}, but must be markdown.")
        experiment = self._experiment(request)
        stored = self._judged(experiment, run).report_json
        if stored is None:
            raise errors.NotFoundError(
                f"The rules have not judged run {_shown(run)} yet. Try again after its first epoch."
            )
        return answers.markdown(experiment.title(run), stored), _MARKDOWN

    def _layer(self, request: Request) -> tuple[bytes, str]:
        run, layer = _parameter(request, "run"), _parameter(request, "layer")
        recording = self._recording(self._experiment(request), run)
        _check_layer(layer, recording)
        return answers.layer(recording, layer), _BINARY

    def _histograms(self, request: Request) -> tuple[str, str]:
        run, layer = _parameter(request, "run"), _parameter(request, "layer")
        name = request.args.get("kind", "gradients")
        if name not in KINDS:
            raise errors.InvalidArgumentError(
                f"`kind` is {_shown(name)}, but must be one of {', '.join(KINDS)}."
            )
        experiment = self._experiment(request)
        recording = self._recording(experiment, run)
        _check_layer(layer, recording)
        tags = experiment.histograms(run, layer, KINDS[name])
        found = decode_histograms(KINDS[name], tags, layer, recording.trace)
        if found is None:
            raise errors.NotFoundError(
                f"No histograms of the {name} of {_shown(layer)} were recorded. Take a layer with "
                "weights that are trained."
            )
        return _json(answers.histograms(layer, name, *found))

    def _predictions(self, request: Request) -> tuple[str, str]:
        run, experiment = _parameter(request, "run"), self._experiment(request)
        trace = self._recording(experiment, run).trace
        found = decode_predictions(experiment.predictions(run), trace)
        if found is None:
            return _json(answers.none(f"No predictions: {_why_none(trace)}."))
        return _json(answers.predictions(found))

    def _cams(self, request: Request) -> tuple[str, str]:
        found = self._snapshots(request)
        return _json(answers.none(found) if isinstance(found, str) else answers.cams(found))

    def _cam_maps(self, request: Request) -> tuple[bytes, str]:
        return answers.cam_maps(self._taken(request)), _BINARY

    def _cam_images(self, request: Request) -> tuple[bytes, str]:
        return answers.cam_images(self._taken(request)), _BINARY

    def _taken(self, request: Request) -> Cams:
        found = self._snapshots(request)
        if isinstance(found, str):
            raise errors.NotFoundError(found)
        return found

    def _snapshots(self, request: Request) -> Cams | str:
        """Returns the Grad-CAM snapshots of a run, or why it has none."""
        run, experiment = _parameter(request, "run"), self._experiment(request)
        trace = self._recording(experiment, run).trace
        reason = trace.not_measured.get("gradcam", "no snapshot was recorded yet")
        return decode_cams(experiment.snapshots(run), trace) or f"No Grad-CAM: {reason}."

    def _experiment(self, request: Request) -> Experiment:
        return Experiment.of(self._provider, request.environ)

    def _judged(self, experiment: Experiment, run: str) -> Recording:
        """Returns the recording of `run` with its newest report; raises as `_recording` does."""
        recording = self._recording(experiment, run)
        return with_report(recording, experiment.last_reports(run).get(run))

    def _recording(self, experiment: Experiment, run: str) -> Recording:
        """Returns the recording of `run`, without its report.

        Raises:
            NotFoundError: if there is no such run, or nothing was recorded in it.
            TfdiagError: if the recording is damaged, or of a newer schema.
        """
        recording = self._recordings.of(experiment, run)
        if recording is not None:
            return recording
        if run in experiment.runs():
            raise errors.NotFoundError(
                f"Nothing was recorded in run {_shown(run)}. Train with "
                "callbacks=[tfdiag.HealthMonitor(log_dir)]."
            )
        raise errors.NotFoundError(
            f"There is no run {_shown(run)} in this log folder. Take a name from api/runs."
        )


def _why_none(trace: Trace) -> str:
    """Returns why a run has no predictions of single samples."""
    if "predictions" in trace.not_measured:
        return trace.not_measured["predictions"]
    if any(name.startswith("probe_") for name in trace.series):
        return "not recorded by the version of tfdiag that made this recording"
    return "no look at the probe set was recorded yet"


def _check_layer(layer: str, recording: Recording) -> None:
    if layer not in recording.trace.layers:
        raise errors.InvalidArgumentError(
            f"`layer` is {_shown(layer)}, but the model has no such layer; api/run lists them."
        )


def _route(answer: Callable[[Request], tuple[str | bytes, str]]) -> Callable:
    """Returns the WSGI application that serves what `answer` returns: content and its type."""

    @Request.application
    def application(request: Request) -> Response:
        if request.method != "GET":
            raise _MethodNotAllowedError(request.method)
        try:
            content, content_type = answer(request)
        except TfdiagError as error:
            raise _UnreadableError(str(error)) from error
        return http_util.Respond(request, content, content_type)

    return application


def _json(answer: dict[str, Any]) -> tuple[str, str]:
    return answers.as_json(answer), _JSON


def _parameter(request: Request, name: str) -> str:
    value = request.args.get(name)
    if value is None:
        raise errors.InvalidArgumentError(
            f"The parameter `{name}` is missing; see docs/http.md for what each address takes."
        )
    return value


def _since(request: Request) -> int | None:
    text = request.args.get("since")
    if text is None or re.fullmatch(r"\d{1,18}", text):
        return None if text is None else int(text)
    raise errors.InvalidArgumentError(
        f"`since` is {_shown(text)}, but must be a step: a whole number of at least 0."
    )


def _shown(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "…")
