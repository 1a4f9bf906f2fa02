# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Why did it decide? Relevance over space and time
#
# A network is trained by the command's own preset, in fewer epochs, and then asked for its reasons: which events, when,
# for which class and against which. At the end the reasons are put to the test.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import torch
from IPython.display import Image, display

from lfp_snn.data import loader
from lfp_snn.explain import GradientTimesInput, Random, Relevance, explain, faithfulness
from lfp_snn.explain.events import relevance_of_events
from lfp_snn.explain.figures import (
    animate,
    curves,
    event_cloud,
    membranes,
    raster,
    relevance_frames,
    relevance_map,
    time_course,
)
from lfp_snn.explain.stream import Decisions
from lfp_snn.training import presets
from lfp_snn.training.config import Config, apply
from lfp_snn.training.loop import train
from lfp_snn.training.rerun import load_run

folder = Path(tempfile.mkdtemp())
config = apply(Config(), presets.read("event-digits"), "preset")
config = apply(config, {"training": {"epochs": 10, "figures": False}}, "notebook")
summary = train(config, folder / "run")
_, task = load_run(folder / "run")
net, names = task.network, task.splits.class_names
print(f"test accuracy {100 * summary['test_accuracy']:.1f} %")

# %% [markdown]
# The most doubtful right decision of the test part: the class in front leads the next by the least.

# %%
x, target, _ = next(iter(loader(task.splits.test, len(task.splits.test))))
with torch.no_grad():
    z = net.eval()(x).mean(0)
lead = z.topk(2).values[:, 0] - z.topk(2).values[:, 1]
doubtful = int(torch.where(z.argmax(-1) == target, lead, torch.inf).argmin())
why = explain(net, x[:, doubtful : doubtful + 1], against="next")
first, second = (names[c] for c in z[doubtful].topk(2).indices)
title = f"why {first}, and not {second}?"
relevance_map(why, title)

# %%
relevance_frames(why, title=title)

# %% [markdown]
# From bins back to events: every event with its relevance, in space and time.

# %%
part = task.splits.test
events = relevance_of_events(
    part.events(doubtful), why.relevance[:, 0], part.sensor_size, part.binning, group=part.group
)
event_cloud(events, part.sensor_size, title=title)

# %% [markdown]
# When the evidence came, and how the classes stood:

# %%
time_course(why, names, title=title)

# %% [markdown]
# Through which neurons: their spikes by relevance, and the membranes of the most relevant ones.

# %%
raster(why, most=40)

# %%
layer = next(name for name, q in why.layers.items() if q.membrane is not None)
membranes(why, layer, neurons=3)

# %%
display(Image(data=animate(why, folder / "decision.gif", names).read_bytes()))

# %% [markdown]
# How early could it have stopped? With a margin the decision is made as soon as the class in front leads by it.

# %%
with torch.no_grad():
    decisions = Decisions(net(x))
for margin in (0, 1, 2, 4):
    exits = decisions.exits(margin)
    right = float((exits.choice == target).float().mean())
    print(
        f"margin {margin}: {100 * right:.1f} % right after {float(exits.step.float().mean()) + 1:.1f} of {len(x)} steps"
    )

# %% [markdown]
# ## Is it true?
#
# Take the events away that were called most relevant, and see whether the decision falls; or begin with nothing and add
# them first. A good order falls fast and rises fast.

# %%
some = part.subset(list(range(0, len(part), 3)))
orders = {
    "LFP": Relevance(net, against="next"),
    "gradient x input": GradientTimesInput(net, against="next"),
    "random": Random(),
}
found = faithfulness(net, loader(some, 64), orders)
curves(found)

# %%
assert found["LFP"].fall(0.2) > 3 * max(0.0, found["random"].fall(0.2))
