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
# # First steps: train on event digits without a gradient of the spike
#
# A spiking network learns handwritten digits that a simulated event camera recorded. No derivative of the spike is
# taken: a reward at the output is shared out backwards, layer by layer and step by step (*Layer-wise Feedback
# Propagation*). Nothing is downloaded, and it takes less than a minute on two cores.

# %%
# %matplotlib inline
import torch
from matplotlib.figure import Figure
from torch import nn

from lfp_snn import LFP, LI, LIF, Sequential, data, rewards
from lfp_snn.rewards import Homeostasis, scores

torch.manual_seed(0)
digits = data.load("event-digits", n_bins=10, seed=0)
print(len(digits.train), "recordings to learn from, each of", digits.shape, "in 10 time steps")

# %% [markdown]
# A batch is `[T, B, polarity, y, x]`, time first. What the camera saw of six digits, all time steps summed, ON minus
# OFF:

# %%
some = digits.train.__getitems__(list(range(6)))
figure = Figure(figsize=(7, 1.5), layout="constrained")
for axis, picture, label in zip(figure.subplots(1, 6), some.x.sum(0), some.target, strict=True):
    axis.imshow(picture[1] - picture[0], cmap="gray")
    axis.set_title(digits.class_names[label], fontsize=8)
    axis.set_axis_off()
figure

# %% [markdown]
# The network is a chain of torch's layers and of neurons. `LIF` neurons spike, the last layer `LI` integrates without
# spiking, and its mean over time is the score of each class.

# %%
features = digits.shape[0] * digits.shape[1] * digits.shape[2]
net = Sequential(nn.Flatten(), nn.Linear(features, 256), LIF(beta=0.9), nn.Linear(256, 10), LI(beta=0.9))
reward = rewards.Softmax()
lfp = LFP(homeostasis=Homeostasis(low=0.01, high=0.2))  # keeps the firing rates of hidden neurons in a band
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

# %% [markdown]
# The training loop is torch's own. Inside `lfp.context(net)` the backward pass sends the reward, and each parameter's
# `grad` is minus its feedback. Leave that line out, and the same network trains by a surrogate gradient.


# %%
@torch.no_grad()
def accuracy(part: data.BatchDataset) -> float:
    """Return the share of right decisions."""
    right = sum(int((scores(net(x)).argmax(-1) == y).sum()) for x, y, _ in data.loader(part, 256))
    return right / len(part)


for epoch in range(8):
    net.train()
    for x, target, _ in data.loader(digits.train, 32, shuffle=True, seed=epoch):
        with lfp.context(net):
            loss = reward(net(x), target)  # minus the mean reward
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    net.eval()
    print(f"epoch {epoch + 1}: validation {100 * accuracy(digits.val):.1f} %")

test = accuracy(digits.test)
print(f"test {100 * test:.1f} %")

# %% [markdown]
# Why did it decide so? The same backward pass answers it: the relevance of each event of a test example.

# %%
from lfp_snn.explain import explain
from lfp_snn.explain.figures import raster, relevance_map

x, target, _ = digits.test.__getitems__([0])
why = explain(net, x)
relevance_map(why, f"decided {digits.class_names[why.target]}, is {digits.class_names[target]}")

# %%
raster(why, most=40)

# %%
assert test > 0.9
