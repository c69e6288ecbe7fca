"""Draws what `scaling.py` measured: one small panel for each quantity that grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, NullLocator

if TYPE_CHECKING:
    from benchmarks.scaling import Panel

#: Colour and marker of each cost, in the order in which a panel has them; both differ, so that
#: colour is never the only sign (Okabe and Ito's palette).
STYLES = (("#9aa0a6", "s"), ("#0072b2", "o"), ("#d55e00", "^"), ("#009e73", "D"))
#: The least that is drawn, in milliseconds: a difference of two medians can be below zero.
FLOOR = 0.01


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Writes the panels to `path`, as PNG or SVG by its ending."""
    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(
            1, len(panels), figsize=(12, 3.3), sharey=True, layout="constrained"
        )
        for axis, panel in zip(axes, panels, strict=True):
            _draw_panel(axis, panel)
        axes[0].set_ylabel("CPU time")
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(low, high * (high / low) ** 0.2)  # room for the legends
        figure.savefig(path, dpi=110)


def _draw_panel(axis: Any, panel: Panel) -> None:
    styles = STYLES if len(panel.costs) == len(STYLES) else STYLES[1:3]
    for (name, costs), (colour, marker) in zip(panel.costs.items(), styles, strict=True):
        shown = [max(cost, FLOOR) for cost in costs]
        axis.plot(
            panel.points,
            shown,
            color=colour,
            marker=marker,
            ms=4.5,
            lw=1.6,
            label=name.replace("`", ""),
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_title(panel.title, loc="left", fontweight="bold", fontsize=10)
    axis.set_xlabel(panel.axis)
    axis.set_xticks(panel.points, [_short(point) for point in panel.points])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _duration(value)))
    axis.grid(axis="y", color="#e4e6e8", lw=0.8)
    axis.set_axisbelow(True)
    axis.legend(frameon=False, fontsize=8, handlelength=1.6, loc="upper left")


def _short(number: int) -> str:
    """Returns a number in few characters.

    >>> _short(16), _short(10_000), _short(10**8)
    ('16', '10k', '100M')
    """
    if number >= 10**6:
        return f"{number // 10**6}M"
    return f"{number // 1000}k" if number >= 10_000 else str(number)


def _duration(milliseconds: float) -> str:
    """Returns a time with its unit.

    >>> _duration(0.1), _duration(10.0), _duration(1000.0)
    ('0.1 ms', '10 ms', '1 s')
    """
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"
