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
# # Spoken digits as spikes, with a recurrent network of adaptive neurons
#
# The Free Spoken Digit Dataset as the spikes of 700 cells of a model of the ear, as in the Heidelberg digits. Neurons
# that adapt raise their threshold when they fire, which is one memory; recurrent connections are another. Reward
# travels back through both.
#
# It needs the data set `fsdd` (see `datasets/fsdd.md`), in the folder that the variable `LFP_SNN_DATA` names.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from lfp_snn.explain import explain
from lfp_snn.explain.figures import confusion, membranes, raster, relevance_map, time_course
from lfp_snn.rewards import scores
from lfp_snn.training import presets
from lfp_snn.training.config import Config, apply
from lfp_snn.training.loop import train
from lfp_snn.training.rerun import load_run

folder = Path(tempfile.mkdtemp())
config = apply(Config(), presets.read("fsdd-alif"), "preset")
config = apply(config, {"training": {"epochs": 8, "figures": False}}, "notebook")
summary = train(config, folder / "run")
print(f"test accuracy {100 * summary['test_accuracy']:.1f} % after {config.training.epochs} epochs (the preset has 40)")

# %% [markdown]
# ## What the network hears
#
# Six words. A step is 20 ms; channels are sorted by their frequency.

# %%
_, task = load_run(folder / "run")
net, names = task.network.eval(), task.splits.class_names
figure = Figure(figsize=(7, 3.2), layout="constrained")
some = task.splits.test.__getitems__(list(range(0, len(task.splits.test), len(task.splits.test) // 6))[:6])
panels = figure.subplots(2, 3, sharex=True, sharey=True).flat
for axis, word, label in zip(panels, some.x.unbind(1), some.target, strict=True):
    axis.imshow(word.flatten(1).T, aspect="auto", origin="lower", cmap="gray_r", interpolation="nearest")
    axis.set_title(names[label], fontsize=8)
figure.supxlabel("time step")
figure.supylabel("channel, of 5 cells each")
figure

# %% [markdown]
# ## What it mistakes

# %%
x, target, lengths = task.splits.test.__getitems__(list(range(len(task.splits.test))))
with torch.no_grad():
    decision = scores(net(x), lengths).argmax(-1)
right = (decision == target).nonzero()[:, 0]
confusion(confusion_matrix(target, decision), names, title=f"{len(right)} of {len(target)} right")

# %% [markdown]
# ## Why
#
# The relevance of each channel and step for one decision, against the class that came second. Blue speaks against it.

# %%
example = int(right[len(right) // 2])
why = explain(net, x[:, example : example + 1], against="next", lengths=lengths[example : example + 1])
relevance_map(why, f"heard: {names[int(target[example])]}")

# %%
time_course(why, names, title="when it was decided")

# %% [markdown]
# Hidden spikes by their relevance, and two adaptive neurons: the threshold (dashed) rises with each spike and falls
# back.

# %%
raster(why, most=40)

# %%
layer = next(name for name, found in why.layers.items() if found.membrane is not None)
membranes(why, layer, neurons=2)

# %%
assert summary["test_accuracy"] > 0.6
