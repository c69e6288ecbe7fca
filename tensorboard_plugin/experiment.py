"""What TensorBoard holds of the runs, on either of its data servers. Sees no file itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tensorboard import plugin_util
from tensorboard.data import provider

from tensorboard_plugin.nudge import nudged
from tfdiag.storage import histograms, schema
from tfdiag.storage.decoder import Record, Tag

T = TypeVar("T")

#: TensorBoard was already told how many steps to keep; no further sampling here.
_ALL = 2**31 - 1

#: As many steps of a loss as a line of 48 pixels can show.
_SPARK = 48


@dataclass(frozen=True)
class Listed:
    """One tag of a run before its records are read.

    Attributes:
        content: what its writer says of it.
        last_step: its largest step.
        last_time: its latest time, in seconds since the Unix epoch.
    """

    content: bytes
    last_step: int
    last_time: float


@dataclass(frozen=True)
class Experiment:
    """The log folder that one request is about.

    Attributes:
        provider: TensorBoard's access to the data.
        context: who asks.
        id: TensorBoard's id of the log folder.
    """

    provider: provider.DataProvider
    context: Any
    id: str
    _known: dict[str | None, dict[str, dict[str, Listed]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @staticmethod
    def of(data_provider: provider.DataProvider, environ: Mapping[str, Any]) -> Experiment:
        """Returns the experiment that a request with the WSGI `environ` is about."""
        context = plugin_util.context(environ)
        return Experiment(data_provider, context, plugin_util.experiment_id(environ))

    def runs(self) -> dict[str, float | None]:
        """Returns each run's name and start, in seconds since the Unix epoch, oldest first."""
        runs = self._ask(self.provider.list_runs)
        return {run.run_name: run.start_time for run in runs}

    def folder(self) -> str | None:
        """Returns the log folder's own name; None where TensorBoard was told none."""
        name = re.split(r"[/\\]", self._metadata().data_location.rstrip("/\\"))[-1]
        return None if name in ("", ".", "..") else name

    def title(self, run: str) -> str:
        """Returns what people call a run; the one in the log folder itself is "." by name."""
        return (self.folder() or "(log folder)") if run == "." else run

    def listed(self, run: str | None = None) -> dict[str, dict[str, Listed]]:
        """Returns each recorded run's tags; reads no record.

        Args:
            run: only this one.
        """
        if run not in self._known:
            self._known[run] = self._list(run)
        return self._known[run]

    def _list(self, run: str | None) -> dict[str, dict[str, Listed]]:
        found = self._ask(
            self.provider.list_tensors,
            plugin_name=schema.PLUGIN,
            run_tag_filter=_filter(run),
        )
        listed = {
            name: {
                tag: Listed(series.plugin_content, series.max_step, series.max_wall_time)
                for tag, series in tags.items()
            }
            for name, tags in found.items()
        }
        return {name: tags for name, tags in listed.items() if newest_stats(tags)}

    def last_reports(self, run: str | None = None) -> dict[str, Tag]:
        """Returns each run's newest report.

        Args:
            run: only this one.
        """
        found = self._read(schema.EVENTS_PLUGIN, run, [schema.REPORT], downsample=1)
        return {name: tags[schema.REPORT] for name, tags in found.items() if schema.REPORT in tags}

    def losses(self) -> dict[str, list[tuple[int, float]]]:
        """Returns some steps of each run with their training loss, as TensorBoard's own tabs do."""
        found = self._ask(
            self.provider.read_scalars,
            plugin_name="scalars",
            run_tag_filter=_filter(None, [schema.SCALARS + "loss"]),
            downsample=_SPARK,
        )
        return {
            run: [(datum.step, datum.value) for datum in data]
            for run, tags in found.items()
            for data in tags.values()
        }

    def tagged(self, run: str, listed: Mapping[str, Listed], *prefixes: str) -> dict[str, Tag]:
        """Returns the tags whose names begin with one of `prefixes`, with their records.

        Args:
            listed: all tags of the run.
        """
        names = [tag for tag in listed if tag.startswith(prefixes)]
        found = self._read(schema.PLUGIN, run, names) if names else {}
        return {
            name: Tag(listed[name].content, tag.records) for name, tag in found.get(run, {}).items()
        }

    def snapshots(self, run: str) -> dict[str, Tag]:
        """Returns the tags that `tfdiag.storage.snapshots.decode_cams` wants."""
        kinds = (schema.CAMS, schema.PREDICTIONS, schema.IMAGES)
        return self.tagged(run, self.listed(run).get(run, {}), *kinds)

    def predictions(self, run: str) -> dict[str, Tag]:
        """Returns the tags that `tfdiag.storage.snapshots.decode_predictions` wants."""
        return self.tagged(run, self.listed(run).get(run, {}), schema.PROBE)

    def histograms(self, run: str, layer: str, kind: histograms.Kind) -> dict[str, Tag]:
        """Returns the tags that `tfdiag.storage.histograms.decode` wants."""
        packed = self.tagged(run, self.listed(run).get(run, {}), kind.packed)
        if packed:
            return packed
        native = self._read("histograms", run, [kind.native + layer])
        return native.get(run, {})

    def _read(
        self, plugin: str, run: str | None, tags: list[str], downsample: int = _ALL
    ) -> dict[str, dict[str, Tag]]:
        found = self._ask(
            self.provider.read_tensors,
            plugin_name=plugin,
            run_tag_filter=_filter(run, tags),
            downsample=downsample,
        )
        return {
            name: {
                tag: Tag(b"", [Record(datum.step, datum.wall_time, datum.numpy) for datum in data])
                for tag, data in series.items()
            }
            for name, series in found.items()
        }

    def _ask(self, question: Callable[..., T], **parameters: Any) -> T:
        """Returns TensorBoard's answer to one of the questions that its provider takes."""
        with nudged(self._metadata):
            return question(self.context, experiment_id=self.id, **parameters)

    def _metadata(self) -> provider.ExperimentMetadata:
        return self.provider.experiment_metadata(self.context, experiment_id=self.id)


def newest_stats(listed: Mapping[str, Listed]) -> Listed | None:
    """Returns the tag of the model that was recorded last; None if none was."""
    stats = [tag for name, tag in listed.items() if name.startswith(schema.STATS)]
    return max(stats, key=lambda tag: tag.last_time, default=None)


def _filter(run: str | None, tags: list[str] | None = None) -> provider.RunTagFilter:
    return provider.RunTagFilter(runs=None if run is None else [run], tags=tags)
