"""Which layers a family of rules leaves out, and why: words that users read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfdiag.architecture import DYING, SATURATING, Architecture, Layer
from tfdiag.trace import Finding


def untrained(layer: Layer) -> str | None:
    """Exempts layers that training does not change."""
    if layer.trainable:
        return None
    return "frozen" if layer.parameters else "no weights"


def no_kernel(layer: Layer) -> str | None:
    """Exempts what has no kernel, so that norms and ratios mean something else there.

    Embeddings change in few rows per step; scale and shift of a normalization may start at 0.
    """
    if layer.role == "normalization":
        return "normalization: no kernel"
    if layer.role == "embedding":
        return "embedding: few rows change per step"
    return untrained(layer)


def no_relu(layer: Layer) -> str | None:
    """Exempts layers whose units cannot die, and those that `gated` exempts."""
    return gated(layer) if layer.activation in DYING else "no ReLU"


def no_flat_ends(layer: Layer) -> str | None:
    """Exempts layers that cannot saturate, outputs too: a sure answer should saturate."""
    if layer.activation not in SATURATING:
        return "no tanh or sigmoid"
    return "output: saturation is confidence" if layer.role == "output" else gated(layer)


def no_scale(layer: Layer) -> str | None:
    """Exempts layers the size of whose outputs something else decides than their weights."""
    if layer.role in ("output", "embedding", "attention", "gate"):
        return f"{layer.role}: its scale is free"
    if layer.activation == "softmax":
        return "softmax: shares of 1"
    return None


def hidden_kernel(layer: Layer) -> str | None:
    """Exempts what has no kernel or lies at the end; a last layer may start at zero."""
    if layer.role in ("output", "attention", "gate", "recurrent"):
        return f"{layer.role}: may start small"
    if layer.role in ("normalization", "embedding"):
        return f"{layer.role}: no kernel"
    return None if layer.parameters else "no weights"


def not_constant(layer: Layer) -> str | None:
    """Exempts ReLUs, which are silent when dead, and what may be the same for all samples."""
    if layer.activation in DYING and layer.role != "output":
        return "ReLU: see dead-relu"
    if layer.role in ("embedding", "attention", "gate"):
        return f"{layer.role}: may be the same for all samples"
    return None if layer.parameters or layer.role == "output" else "no weights"


def gated(layer: Layer) -> str | None:
    """Exempts layers whose units are switched off by design, and frozen ones."""
    if layer.role in ("recurrent", "attention", "gate"):
        return f"{layer.role}: closed gates are normal"
    if layer.parameters and not layer.trainable:
        return "frozen"
    return None


def input_layers(architecture: Architecture) -> tuple[str, ...]:
    """Returns the first layer with weights and those up to the next with weights: its activation.

    Empty if an embedding or a normalization comes first: then inputs need no scale.
    """
    weighted = [i for i, layer in enumerate(architecture.layers) if layer.parameters]
    if not weighted or architecture.layers[weighted[0]].role in ("embedding", "normalization"):
        return ()
    end = weighted[1] if len(weighted) > 1 else None
    return tuple(layer.name for layer in architecture.layers[weighted[0] : end])


def at_input(finding: Finding, facts: Mapping[str, Any]) -> bool:
    """Returns True if the finding's layer is one of `input_layers`: see `facts.py`."""
    return finding.layer in str(facts.get("input_layers") or "").split("\n")


def cuts(architecture: Architecture, name: str) -> bool:
    """Returns True if all data passes layer `name` on its way to the output.

    False if a path leads around it, as in a residual block, or if the graph is not known.
    """
    feeds = {layer.name: layer.inputs for layer in architecture.layers}
    outputs = [layer.name for layer in architecture.layers if layer.role == "output"]
    if not outputs or not any(feeds.values()):
        return False
    reached, waiting = set(), [output for output in outputs if output != name]
    while waiting:
        layer = waiting.pop()
        if layer in reached or layer == name:
            continue
        reached.add(layer)
        if not feeds.get(layer):
            return False
        waiting.extend(feeds[layer])
    return True
