"""From what was measured to words: what stands out, why it matters, which option to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lfp_snn.diagnosis import remedies

if TYPE_CHECKING:
    from lfp_snn.diagnosis.diagnose import Diagnosis, Layer
    from lfp_snn.diagnosis.update import Update

MANY_DEAD = 0.25
"""Share of silent units from which a layer has lost too much. Trained presets have up to 0.2 without harm."""
MANY_SATURATED = 0.1
"""Share of units at the limit from which it is said. Trained presets have less than 0.05."""
VANISHED = 1e-3
"""Size of the message against that at the output below which a layer lags far behind the others.

Trained presets have ratios from 0.8 to 60, whatever the method."""
EXPLODED = 1e3
"""The opposite of :data:`VANISHED`."""
MUCH_LOST = 0.1
"""Share of the reward that a layer's neurons may keep without its being mentioned."""
SPENT = 0.95
"""Share of examples without reward from which training stands still; trained presets reach 0.85."""
LEARNT = 0.9
"""Training accuracy from which a vanished reward means that the examples are learnt, not that the reward is wrong."""
ZERO_WEIGHTS = 0.05
"""Share of weights at exactly 0: fresh and trained weights are none, so 5 % were set to 0 by something."""
LARGE_STEP = 0.3
"""Length of a step over length of the weights above which a few steps replace what was learnt.

At their full learning rate, presets make steps up to 0.1."""
SMALL_STEP = 1e-5
"""The same, below which a hundred thousand steps would be needed; a usual step is 1e-3 to 3e-2."""
MANY_FLIPS = 0.45
"""Share of changed signs in a few steps; drawing all weights anew would change half (presets: up to 0.36)."""
STILL = 0.99
"""Share of weights that do not move from which a parameter does not learn."""
GOOD_STEP = 1e-2
"""Length of a step over length of the weights that a suggested learning rate aims at."""

Severity = Literal["serious", "warning", "note"]
_ORDER: dict[Severity, int] = {"serious": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Advice:
    """One thing that stands out.

    Attributes
    ----------
    severity : {"serious", "warning", "note"}
        Whether training cannot work so, works worse than it could, or is merely done.
    where : str
        Layer, parameter or part of the configuration.
    finding : str
        What was measured.
    why : str
        Why it matters.
    options : tuple of str
        What to change, as options of ``lfp-snn train`` and ``lfp-snn doctor``; each may help by itself.
    """

    severity: Severity
    where: str
    finding: str
    why: str
    options: tuple[str, ...]


def advise(diagnosis: Diagnosis) -> list[Advice]:
    """Return what stands out, the most serious first; causes are said, their consequences are not said again."""
    zeros, sizes = list(_zeros(diagnosis)), list(_sizes(diagnosis))
    rates, reach = list(_rates(diagnosis)), list(_reach(diagnosis))
    found = [*rates, *zeros, *reach, *sizes]
    if not any(a.severity == "serious" for a in found):
        found += _spent(diagnosis)
    if not found:
        found += _still(diagnosis)
    return sorted(found, key=lambda a: _ORDER[a.severity])


def _silent(layer: Layer) -> bool:
    return layer.activity is not None and layer.activity.dead == 1


def _reached(layer: Layer) -> bool:
    return layer.message is not None and layer.message.unreached <= MANY_DEAD


def _rates(d: Diagnosis) -> Iterator[Advice]:
    """Look at the activity of each layer, up to the first silent one: what lies above it hears nothing."""
    for layer in d.layers:
        a = layer.activity
        if a is None:
            continue
        where, unit = f"layer {layer.name}", "spike" if layer.spiking else "activity"
        if _silent(layer):
            yield Advice(
                "serious",
                where,
                f"none of its {a.units} units showed any {unit} in {d.batches} batches",
                "what is silent has no share in a decision: no reward reaches it, and nothing below it learns",
                remedies.wake(d.config, layer.output, layer.spiking),
            )
            return
        if a.dead > MANY_DEAD and not (layer.output and _reached(layer)):
            yield Advice(
                "warning",
                where,
                f"{100 * a.dead:.0f} % of its {a.units} units showed no {unit} in {d.batches} batches",
                "silent units have no share in any decision, nor in its reward: the layer is narrower than it looks",
                remedies.wake(d.config, layer.output, layer.spiking),
            )
        if a.saturated is not None and a.saturated >= MANY_SATURATED:
            yield Advice(
                "serious" if a.saturated > 0.9 else "warning",
                where,
                f"{100 * a.saturated:.0f} % of its {a.units} units fired at nearly every step "
                f"(the layer at {100 * a.rate:.0f} %)",
                "a unit that always fires says the same about every example",
                remedies.calm(d.config, layer.output),
            )


def _zeros(d: Diagnosis) -> Iterator[Advice]:
    """Look for weights that feedback scaled by ``|w|`` cannot move."""
    config = d.config
    if config.method.name not in ("lfp", "online-lfp", "scaled-gradient") or config.rule.scale_floor:
        return
    for p in d.parameters:
        if p.zero >= ZERO_WEIGHTS:
            yield Advice(
                "serious" if p.zero >= STILL and len(p.shape) > 1 else "warning",
                p.name,
                f"{100 * p.zero:.0f} % of its weights are exactly 0",
                f"{config.method.name} scales what a weight is taught by its size: what is 0 stays 0",
                ("--rule.scale_floor 1e-3",),
            )


def _reach(d: Diagnosis) -> Iterator[Advice]:
    """Look where the message gets lost or grows on its way from the output; the first such place is the cause."""
    what = "reward" if d.rewarded else "gradient"
    if d.config.method.name == "r-stdp" or not d.layers:  # its reward goes to all layers at once
        return
    *_, output = d.layers
    if output.message is None or output.message.size == 0:
        return
    above = output
    for layer in reversed(d.layers[:-1]):
        if _silent(layer) or _silent(above):
            return
        size = 0.0 if layer.message is None else layer.message.size
        ratio = size / output.message.size
        if ratio < VANISHED:
            lost, also = 0.0 if above.conservation is None else above.conservation.neurons or 0.0, ""
            if lost > MUCH_LOST:
                also = f"; the neurons of layer {above.name} keep {100 * min(lost, 1):.0f} % of theirs"
            yield Advice(
                "serious",
                f"layer {layer.name}",
                f"the {what} that arrives is {ratio:.1g} of that at the output (layer {output.name}){also}",
                f"weights below layer {above.name} learn nothing, or much later than the others",
                remedies.carry(d.config, d.rewarded, layer.spiking),
            )
            return
        if ratio > EXPLODED:
            yield Advice(
                "warning",
                f"layer {layer.name}",
                f"the {what} that arrives is {ratio:.1g} times that at the output (layer {output.name})",
                "a few examples decide about the weights, and steps get long",
                remedies.restrain(d.config, d.rewarded, layer.spiking),
            )
            return
        above = layer


def _sizes(d: Diagnosis) -> Iterator[Advice]:
    """Look at the steps of the optimiser, of the weights (biases may be small and move far)."""
    lr = d.config.optimizer.lr
    if d.diverged:
        yield Advice(
            "serious",
            "optimiser",
            f"weights or outputs became NaN within {d.batches} steps of learning rate {lr:g}",
            "training will stop with an error",
            remedies.slower(d.config, 0.1),
        )
        return
    steps = {p.name: p.step for p in d.parameters if len(p.shape) > 1 and p.step is not None and p.still < STILL}
    if not steps:
        return
    flips = {p.name: p.flips for p in d.parameters if p.name in steps}
    longest, wildest = max(steps, key=steps.__getitem__), max(flips, key=flips.__getitem__)
    if steps[longest] > LARGE_STEP or flips[wildest] > MANY_FLIPS:
        name = longest if steps[longest] > LARGE_STEP else wildest
        yield Advice(
            "serious" if steps[name] > 1 else "warning",
            name,
            f"a step at learning rate {lr:g} is {steps[name]:.2g} times as long as the weights, and "
            f"{100 * flips[name]:.0f} % of them change their sign within {d.batches} steps",
            "such steps throw away what was learnt before; 0.001 to 0.03 a step are usual",
            remedies.slower(d.config, min(0.3, GOOD_STEP / steps[name])),
        )
    elif steps[longest] < SMALL_STEP:
        yield Advice(
            "warning",
            longest,
            f"a step at learning rate {lr:g} is {steps[longest]:.1g} times as long as the weights; no other is longer",
            "the weights will hardly have moved by the end of training; 0.001 to 0.03 a step are usual",
            remedies.faster(d.config, GOOD_STEP / max(steps[longest], 1e-12)),
        )


def _spent(d: Diagnosis) -> Iterator[Advice]:
    """Look whether the output is still told anything."""
    message = d.layers[-1].message if d.layers else None
    if message is None or message.spent < SPENT or d.config.method.name == "r-stdp":
        return
    what = "reward" if d.rewarded else "gradient"
    learnt = d.accuracy >= LEARNT
    yield Advice(
        "note" if learnt else "serious",
        f"{what} at the output",
        f"it is less than 0.01 for {100 * message.spent:.0f} % of the training examples, of which "
        f"{100 * d.accuracy:.0f} % are decided right",
        "these examples are learnt already: more epochs change little; more or harder data would"
        if learnt
        else f"the {what} teaches nothing although many decisions are wrong",
        remedies.reward(d.config),
    )


def _still(d: Diagnosis) -> Iterator[Advice]:
    """Look for parameters that do not move, though nothing else explains it."""
    silent: list[Update] = [p for p in d.parameters if p.still >= STILL]
    if d.config.method.name == "r-stdp":  # by design, biases and recurrent weights stay
        silent = silent if len(silent) == len(d.parameters) else []
    if silent:
        yield Advice(
            "serious" if any(len(p.shape) > 1 for p in silent) else "warning",
            ", ".join(p.name for p in silent),
            f"not moved by {d.batches} steps at learning rate {d.config.optimizer.lr:g}",
            "what does not move does not learn",
            remedies.move(d.config),
        )
