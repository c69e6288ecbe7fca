"""All that is attached to one model while it trains, and what it measures there."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tfdiag import backend, distribution, statistics, weights
from tfdiag.architecture import Architecture
from tfdiag.cadence import EVERY, PROBE_EVERY, Clock
from tfdiag.capture import TrainingTap, compiled_state
from tfdiag.data import Data, Output, top_class
from tfdiag.errors import TfdiagError
from tfdiag.forward import ForwardTap, ProbeSums
from tfdiag.gallery import Gallery
from tfdiag.layers import describe, owned_weights, recorded_layers
from tfdiag.metrics import METRICS, NO_PROBE, TRAINING
from tfdiag.predictions import Predictions
from tfdiag.probe import ProbeSet, check_fits
from tfdiag.trainer import Trainer
from tfdiag.training_step import StepSums

_log = logging.getLogger("tfdiag")

_NO_PROBE = f"{NO_PROBE}: HealthMonitor(log_dir, probe=(x, y))"
#: What the model answers most often, and how often that is right to be answered.
_TOP_CLASS = ("probe_top_class_share", "probe_top_class_true_share")
_NOT_ASKED = "no callback of this recording asks for it"


@dataclass(eq=False)
class Measurement:
    """What was measured at one step.

    Attributes:
        columns: measure's name to `float32[L]`.
        series: name to a number for the whole model.
        histograms: "gradients" and "weights", where they were taken, to `float64[L, BINS]`:
            entries of each layer per bin, all zero where a layer has none.
    """

    columns: dict[str, np.ndarray] = field(default_factory=dict)
    series: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, np.ndarray] = field(default_factory=dict)

    def aggregates(self) -> dict[str, float]:
        """Returns the few numbers that TensorBoard's own tabs show too."""
        names = ("loss", "probe_loss", "gradient_norm")
        shown = {name: self.series[name] for name in names if name in self.series}
        for name in ("update_ratio", "dead_fraction", "saturated_fraction"):
            values = self.columns.get(name)
            if values is not None and np.isfinite(values).any():
                shown[f"{name}_max"] = float(np.nanmax(values))
        return shown


class Instruments:
    """The taps on one model: its training step, its test step and its images.

    Args:
        trainer: what trains a Keras model; an unbuilt one is built by its first pass.
        probe: the probe set, or None.
        gradients: whether the training step is to be sampled.
        histograms: whether histograms of gradients and weights are taken.
        images: number of probe images with Grad-CAM; 0 for none.
        layer: name of the layer that Grad-CAM looks at; None for the last spatial one.
        method: "gradcam" or "gradcam++".

    Attributes:
        not_measured: measure's name to the reason why there is none of it.
        gallery: the probe images with Grad-CAM, once looked at; None if there are none.
        has_looked: whether there was a first look at the probe set, if there is one.
    """

    def __init__(
        self,
        trainer: Trainer,
        probe: ProbeSet | None,
        *,
        gradients: bool,
        histograms: bool = False,
        images: int = 0,
        layer: str | None = None,
        method: str = "gradcam",
    ):
        self.not_measured: dict[str, str] = {}
        self._trainer = trainer
        self._model = trainer.model
        self._optimizer = next(iter(trainer.optimizers), None)
        self._probe = probe
        self._images, self._layer, self._method = images, layer, method
        self._architecture: Architecture | None = None
        self._training = TrainingTap(trainer) if gradients else None
        self._histograms = self._weight_histograms = histograms
        self._since_weights = 0  # measurements since the last histograms of weights
        self.gallery: Gallery | None = None
        self.has_looked = probe is None
        self._find_layers()
        for metric in METRICS:
            if metric.source == TRAINING and not gradients:
                self.not_measured[metric.name] = _NOT_ASKED
            if metric.source != TRAINING and probe is None:
                self.not_measured[metric.name] = _NO_PROBE
        self._outputs: tuple[Output, ...] = ()  # as they were at first
        self._predictions: Predictions | None = None
        if probe is None:
            names = ("probe_loss", "predictions", *_TOP_CLASS)
            self.not_measured.update(dict.fromkeys(names, _NO_PROBE))
        elif trainer.no_loss:
            self.not_measured["probe_loss"] = trainer.no_loss
        accumulated = getattr(self._optimizer, "gradient_accumulation_steps", None)
        if accumulated:
            self.not_measured["update_ratio"] = (
                f"gradients are accumulated over {accumulated} steps: most steps change no weight"
            )
        self._compiled: Any = None

    def serve(self, trainer: Trainer) -> bool:
        """Returns whether these instruments serve for another `fit` of this model.

        They do until it is compiled anew, which may change its loss and its metrics. A step that
        is traced goes on with the optimizer that it was traced with, also where the model was
        given another one since; one that is run asks the model for it.
        """
        known = trainer == self._trainer and self._compiled is not None
        if trainer.is_eager and next(iter(trainer.optimizers), None) is not self._optimizer:
            return False
        return known and self._compiled is compiled_state(trainer)

    @property
    def architecture(self) -> Architecture:
        """The model's layers; known once it has been built."""
        if self._architecture is None:
            self._find_new_layers()
            self._architecture = describe(
                self._model,
                self._layers,
                self._forward.places,
                optimizer=self._optimizer,
                loss=self._trainer.loss,
                regularized=self._forward.regularized,
            )
        return self._architecture

    @property
    def data(self) -> Data | None:
        """What the probe set looks like, and the model's outputs on it at first."""
        return None if self._probe is None else replace(self._probe.facts, outputs=self._outputs)

    @property
    def step(self) -> int:
        """The number of steps that the optimizer has made."""
        return (
            0 if self._optimizer is None else int(distribution.number(self._optimizer.iterations))
        )

    @property
    def clock(self) -> Clock:
        """How long the model's steps take."""
        return Clock() if self._training is None else self._training.clock

    @property
    def ahead(self) -> int:
        """The number of steps that the model makes in its next execution."""
        return self._trainer.steps_per_execution

    def attach(self) -> ProbeSums | None:
        """Attaches everything and looks at the probe set for the first time.

        Where several replicas train a model that is not built yet, that is left to `look`: what
        one of them creates alone is not trained in step with the others.

        Raises:
            ValueError: if the probe set does not fit the model, or it has no such layer as
                Grad-CAM is to look at.
        """
        if self._probe is not None:
            declared, named = (
                backend.declared_inputs(self._model),
                backend.named_inputs(self._model),
            )
            check_fits(self._probe, declared, named)
        self._architecture = None  # its settings may have changed since an earlier `fit`
        ready = distribution.replicas(self._model) == 1 or backend.is_complete(self._model)
        sums = self._first_look() if ready else None
        if self._training is not None:
            self._training.attach()
        self._compiled = compiled_state(self._trainer)
        return sums

    @property
    def samples(self) -> bool:
        """Whether training steps are to be sampled."""
        return self._training is not None

    def forgo_sampling(self, reason: str) -> None:
        """Leaves the training step as it is from now on, for a stated reason."""
        self.detach()
        self._training = None
        self._leave_unmeasured(reason)

    def detach(self) -> None:
        """Leaves the model as it was."""
        if self._training is not None:
            self._training.detach()

    def arm(self) -> bool:
        """Lets the next execution be a sampled one; returns whether it will be."""
        if self._training is None or self._training.failure:
            return False
        self._training.arm()
        return True

    def take(self) -> StepSums | None:
        """Returns what a sampled step added up; None if there was none."""
        if self._training is None:
            return None
        taken = self._training.take()
        if self._training.failure:
            self._leave_unmeasured(self._training.failure)
        return taken

    def look(self) -> ProbeSums | None:
        """Returns what a pass over the probe set added up; None if there is no probe set."""
        if self._probe is None:
            return None
        return self._forward.run(self._probe) if self.has_looked else self._first_look()

    def snapshot(self) -> dict[str, Any] | None:
        """Returns what `Gallery.snapshot` does; None if there is none or it fails."""
        if self.gallery is None:
            return None
        try:
            return self.gallery.snapshot()
        except Exception as error:
            self.gallery = None
            self.not_measured["gradcam"] = str(error)
            _log.warning("tfdiag records no Grad-CAM here: %s", error)
            return None

    def predictions(self, sums: ProbeSums) -> dict[str, Any] | None:
        """Returns what `RunWriter.predictions` takes; None if there is none or it fails."""
        if self._predictions is None or sums.followed is None:
            return None
        try:
            taken = self._predictions.taken(sums.followed)
        except Exception as error:
            self._predictions = None
            self.not_measured["predictions"] = str(error)
            _log.warning("tfdiag records no predictions here: %s", error)
            return None
        return {"content": self._predictions.content, "predictions": taken}

    def measure(
        self, taken: StepSums | None, sums: ProbeSums | None, logs: Mapping[str, Any]
    ) -> Measurement:
        """Returns the measures of a step.

        Args:
            taken: from `take`.
            sums: from `look`.
            logs: Keras' logs of the step; their loss counts where `taken` has none.
        """
        found = Measurement(series={"learning_rate": self._learning_rate()})
        loss = logs.get("loss")
        if taken is not None and taken.batch is not None:
            found.series["batch_size"] = taken.batch
        if taken is not None:
            self._add_gradients(found, taken)
            if "update_ratio" in self.not_measured:
                del found.columns["update_ratio"]
            loss = loss if taken.loss is None else taken.loss
        if isinstance(loss, float):
            found.series.update(loss=loss, loss_nonfinite=float(not math.isfinite(loss)))
        if sums is not None:
            found.columns.update(
                statistics.probe_measures(sums.sums, sums.unit_max, sums.saturated)
            )
            found.series.update(_probe_series(sums))
            shares = self._top_class(sums)
            found.series.update(zip(_TOP_CLASS, shares, strict=True) if shares else ())
        self._since_weights += 1
        usual = self._since_weights >= PROBE_EVERY // EVERY  # samples between two looks
        if self._weight_histograms and (sums is not None or usual):
            self._add_weights(found)
        return found

    def _leave_unmeasured(self, reason: str) -> None:
        names = [metric.name for metric in METRICS if metric.source == TRAINING]
        self.not_measured.update(dict.fromkeys(names, reason))

    def _note_outputs(self, sums: ProbeSums) -> None:
        """Keeps what the model's outputs are like at first."""
        self._outputs = sums.outputs
        if self._classes() is None:
            why = "the labels are not one class per sample, or the loss is not for classes"
            self.not_measured.update(dict.fromkeys(_TOP_CLASS, why))

    def _classes(self) -> np.ndarray | None:
        """Returns the probe set's classes, `int64[N]`, if the model is trained to tell them."""
        kind = str((self.architecture.loss_options or {}).get("kind"))
        return self._probe.classes if self._probe and "crossentropy" in kind else None

    def _top_class(self, sums: ProbeSums) -> tuple[float, float] | None:
        """Returns the share of the class that is answered most often, and its true share."""
        true, answers = self._classes(), sums.answers
        if true is None or answers is None:
            return None
        if answers.dtype.kind == "f":  # a single unit: its logit or its probability
            logits = (self.architecture.loss_options or {}).get("from_logits")
            inside = bool(((answers >= 0) & (answers <= 1)).all())
            answers = (answers > (0 if logits and not inside else 0.5)).astype(np.int64)
        return top_class(answers, true[: len(answers)])

    def _find_layers(self) -> None:
        self._layers = recorded_layers(self._model)
        self._forward = ForwardTap(self._trainer, self._layers)
        self._architecture = None
        self._owners: dict[int, int] = {}

    def _find_new_layers(self) -> bool:
        """Returns whether building the model has made more layers."""
        if list(recorded_layers(self._model)) == list(self._layers):
            return False
        self._find_layers()
        return True

    def _first_look(self) -> ProbeSums | None:
        sums = None if self._probe is None else self._first_pass(self._probe)
        self.has_looked = True
        if sums is not None:
            self._note_outputs(sums)
        self._follow_predictions()
        self._make_gallery()
        return sums

    def _first_pass(self, probe: ProbeSet) -> ProbeSums:
        try:
            sums = self._tested(probe)
        except Exception as error:
            raise ValueError(
                f"The model cannot be tested on the probe set: {error}\nPrepare `probe` exactly as "
                "the data for `model.fit`: same shapes, dtypes, and labels of the same kind."
            ) from error
        if not sums.sums[:, 0].any():
            reason = "no layer was seen: the model's `call` is inside a tf.function"
            names = [metric.name for metric in METRICS if metric.source != TRAINING]
            self.not_measured.update(dict.fromkeys(names, reason))
        return sums

    def _tested(self, probe: ProbeSet) -> ProbeSums:
        try:
            sums = self._forward.run(probe)
            return self._forward.run(probe) if self._find_new_layers() else sums
        except Exception as error:
            if not backend.has_own_test(self._model):
                raise
            # A `test_step` of the user's may want more than (x, y): then the model is only called.
            self._forward.tests = False
            self.not_measured["probe_loss"] = f"the model's own test_step failed: {error}"
            return self._forward.run(probe)

    def _follow_predictions(self) -> None:
        if self._probe is None:
            return
        try:
            self._predictions = Predictions(self.architecture, self._probe, self._outputs)
        except Exception as error:  # only this part is gone
            self.not_measured["predictions"] = str(error)

    def _make_gallery(self) -> None:
        if self.gallery is not None:
            return
        if self._probe is None or not self._images:
            self.not_measured["gradcam"] = _NO_PROBE if self._probe is None else _NOT_ASKED
            return
        try:
            self.gallery = Gallery(
                self._model,
                self._layers,
                self.architecture,
                self._probe,
                images=self._images,
                layer=self._layer,
                method=self._method,
            )
        except TfdiagError as error:
            self.not_measured["gradcam"] = str(error)

    def _add_gradients(self, found: Measurement, taken: StepSums) -> None:
        layers = len(self.architecture.layers)
        all_owners = [self._owner(variable) for variable in taken.variables]
        owned = [(row, owner) for row, owner in enumerate(all_owners) if owner is not None]
        rows, owners = np.array(owned, int).reshape(-1, 2).T
        found.columns.update(statistics.gradient_measures(taken.sums[rows], owners, layers))
        found.series["gradient_norm"] = statistics.global_norm(taken.sums)
        if self._histograms:
            found.histograms["gradients"] = _by_layer(taken.histograms[rows], owners, layers)

    def _add_weights(self, found: Measurement) -> None:
        """Adds histograms of the weights; they change slowly, so this is done more rarely."""
        owned = [(weight, owner) for weight, owner in self._weights() if weight.trainable]
        self._since_weights = 0
        try:
            bins = weights.histograms([weight for weight, _ in owned])
        except Exception as error:
            self._weight_histograms = False
            self.not_measured["weight_histograms"] = str(error)
            _log.warning("tfdiag records no histograms of weights here: %s", error)
            return
        owners = np.array([owner for _, owner in owned], int)
        layers = len(self.architecture.layers)
        found.histograms["weights"] = _by_layer(bins, owners, layers)

    def _weights(self) -> Iterator[tuple[Any, int]]:
        """Yields each recorded weight with the index of the layer that it belongs to."""
        for index, place in enumerate(self._forward.places.values()):
            if place.layer is not None:
                for weight in owned_weights(place.layer):
                    yield weight, index

    def _owner(self, variable: Any) -> int | None:
        if not self._owners:
            self._owners = {id(weight): index for weight, index in self._weights()}
        return self._owners.get(id(variable))

    def _learning_rate(self) -> float:
        rate = getattr(self._optimizer, "learning_rate", None)
        return math.nan if rate is None else distribution.number(rate)


def _by_layer(bins: np.ndarray, owners: np.ndarray, layers: int) -> np.ndarray:
    """Returns `float64[L, BINS]`, the sum of each layer's histograms, `float64[W, BINS]`."""
    summed = np.zeros((layers, bins.shape[1]))
    np.add.at(summed, owners, bins)
    return summed


def _probe_series(sums: ProbeSums) -> dict[str, float]:
    """Returns loss and metrics on the probe set, and whether they are of outputs that are finite.

    The loss tells itself where they are not; an accuracy of NaN is a number like any other, and is
    left out.
    """
    series = {f"probe_{name}": value for name, value in sums.logs.items()}
    if not sums.outputs:  # the model's own were not seen
        return series
    if all(output.is_finite for output in sums.outputs):
        return {**series, "probe_nonfinite": 0.0}
    told = {name: value if name.endswith("loss") else math.nan for name, value in series.items()}
    return {**told, "probe_nonfinite": 1.0}
