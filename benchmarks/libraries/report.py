"""The table of a workload, and the plot of a sweep."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

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
        if name == "dense products":
            memory = ("", "")
        time = 1e3 * statistics.median(each["seconds"])
        lines.append(f"| {name} | {time:.1f} | {'' if name == OURS else spread} | {memory[0]} | {memory[1]} |")
    return "\n".join(lines)


def plot(what: str, found: dict[Any, Any], file: Path) -> None:
    """Draw milliseconds and memory of a step against what varies, both axes in logarithms."""
    figure = Figure(figsize=(6.3, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in next(iter(found.values())):
        colour, line, marker = STYLES.get(name, ("0.45", "-.", "d"))
        style = {"color": colour, "linestyle": line, "marker": marker, "markersize": 4, "label": name}
        left.plot(list(found), [1e3 * statistics.median(each[name]["seconds"]) for each in found.values()], **style)
        right.plot(list(found), [each[name]["memory"] for each in found.values()], **style)
    for axis, label in ((left, "ms a training step"), (right, "peak memory / MB")):
        axis.set(xscale="log", yscale="log", xlabel=what, ylabel=label)
        axis.set_xticks(list(found), [f"{v:g}" for v in found])
        axis.minorticks_off()
    left.legend(frameon=False, fontsize=7)
    paper(figure).savefig(file, dpi=200)
