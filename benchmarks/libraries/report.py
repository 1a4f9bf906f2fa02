"""The table of a workload, and the plots of sweeps."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from benchmarks.libraries.contenders import FLOORS
from lfp_snn.explain.figures.style import paper

OURS = "lfp_snn LFP"
STYLES = {OURS: ("black", "-", "o"), "lfp_snn surrogate": ("black", "--", "s"), "snntorch": ("0.45", ":", "^")}


def table(title: str, found: dict[str, Any]) -> str:
    """Return medians in ms, the median ratio to LFP by this package with its middle 80 %, and memory, as Markdown."""
    lines = [
        f"**{title}**\n",
        "| | step, ms | times LFP here (10 % .. 90 % of the rounds) | peak memory, MB | times LFP here |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    ours = found[OURS]
    for name, each in found.items():
        ratios = [b / a for a, b in zip(ours["seconds"], each["seconds"], strict=True)]
        tenths = statistics.quantiles(ratios, n=10) if len(ratios) > 1 else [ratios[0]] * 9
        spread = f"{statistics.median(ratios):.2f} ({tenths[0]:.2f} .. {tenths[-1]:.2f})"
        memory = (f"{each['memory']:.0f}", f"{each['memory'] / max(ours['memory'], 1):.1f}")
        if name in FLOORS:
            memory = ("", "")
        time = 1e3 * statistics.median(each["seconds"])
        lines.append(f"| {name} | {time:.1f} | {'' if name == OURS else spread} | {memory[0]} | {memory[1]} |")
    return "\n".join(lines)


def plot(sweeps: dict[str, dict[float, Any]], file: Path) -> None:
    """Draw milliseconds and memory of a step against what varies, a column each; all axes in logarithms."""
    figure = Figure(figsize=(2.2 * len(sweeps) + 0.8, 4.4), layout="constrained")
    rows = figure.subplots(2, len(sweeps), squeeze=False, sharey="row")
    for column, (what, found) in zip(rows.T, sweeps.items(), strict=True):
        for name in next(iter(found.values())):
            colour, line, marker = STYLES.get(name, ("0.45", "-.", "d"))
            style = {"color": colour, "linestyle": line, "marker": marker, "markersize": 4, "label": name}
            times = [1e3 * statistics.median(each[name]["seconds"]) for each in found.values()]
            for axis, values in zip(column, (times, [each[name]["memory"] for each in found.values()]), strict=True):
                axis.plot(list(found), values, **style)
        for axis in column:
            axis.set(xscale="log", yscale="log")
            axis.set_xticks(list(found), [f"{v:g}" for v in found])
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_minor_locator(NullLocator())
        column[1].set_xlabel(what)
    rows[0, 0].set_ylabel("ms a training step")
    rows[1, 0].set_ylabel("peak memory / MB")
    figure.legend(*rows[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    paper(figure).savefig(file, dpi=170)
