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
# # Pruning a network that LFP trained
#
# LFP scales every update by the weight and leaves alone what did not fire, so that a trained network is used unevenly.
# What is used least can go: single weights by their size, or whole neurons by the relevance they had in decisions.
# Then the rest learns on, and the holes stay.

# %%
# %matplotlib inline
import copy

import torch
from matplotlib.figure import Figure
from torch import nn

from lfp_snn import LFP, LI, LIF, Sequential, data, rewards
from lfp_snn.compare.pruning import prune_weights
from lfp_snn.explain import explain
from lfp_snn.rewards import Homeostasis
from lfp_snn.training.metrics import accuracy

torch.manual_seed(0)
digits = data.load("event-digits", n_bins=10, group=2, seed=0)
features = digits.shape[0] * digits.shape[1] * digits.shape[2]
HIDDEN = 256


# %%
def train(net, epochs, lr):
    """Train by LFP."""
    lfp = LFP(homeostasis=Homeostasis(low=0.01, high=0.2))
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for epoch in range(epochs):
        for x, target, _ in data.loader(digits.train, 32, shuffle=True, seed=epoch):
            with lfp.context(net):
                rewards.Softmax()(net(x), target).backward()
            optimizer.step()
            optimizer.zero_grad()


net = Sequential(nn.Flatten(), nn.Linear(features, HIDDEN), LIF(beta=0.9), nn.Linear(HIDDEN, 10), LI(beta=0.9))
train(net, 8, 2e-3)
whole = 100 * accuracy(net, digits.test)
print(f"{sum(p.numel() for p in net.parameters())} parameters, {whole:.1f} %")

# %% [markdown]
# ## Weights
#
# The smallest over both layers are set to zero; then five epochs of LFP with what is left. It takes no mask: an
# update is in proportion to |w|, so that what is zero stays zero.

# %%
shares = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
at_once, afterwards = [], []
for share in shares:
    thin = copy.deepcopy(net)
    prune_weights(thin, share)
    at_once.append(100 * accuracy(thin, digits.test))
    holes = [thin[k].weight == 0 for k in (1, 3)]
    train(thin, 5, 5e-4)
    assert not any(thin[k].weight[hole].any() for k, hole in zip((1, 3), holes, strict=True))
    afterwards.append(100 * accuracy(thin, digits.test))
    print(f"{100 * share:3.0f} % pruned: {at_once[-1]:.1f} %, after five epochs {afterwards[-1]:.1f} %")

# %%
figure = Figure(figsize=(5.5, 2.8), layout="constrained")
axis = figure.subplots()
axis.plot([100 * s for s in shares], at_once, "--", color="0.5", marker="o", ms=3, label="at once")
axis.plot([100 * s for s in shares], afterwards, "-", color="black", marker="o", ms=3, label="after five epochs of LFP")
axis.set(xlabel="weights pruned / %", ylabel="test accuracy / %")
axis.legend(frameon=False)
figure

# %% [markdown]
# ## Neurons, by relevance
#
# The relevance that a hidden neuron's spikes had, in size and over all decisions on the validation part, says how much
# it took part. Neurons that took part least are removed first, against the order of their weights' norm and chance.

# %%
x, target, _ = next(iter(data.loader(digits.val, len(digits.val))))
why = explain(net, x, target)
orders = {
    "relevance": [why.layers["2"].relevance.abs().sum((0, 1)).argsort()],
    "weight": [net[3].weight.detach().norm(dim=0).argsort()],
    "chance": [torch.randperm(HIDDEN) for _ in range(10)],
}
fractions = (0.0, 0.25, 0.5, 0.625, 0.75, 0.875)


def without(order, fraction):
    """Return the accuracy without the first neurons of an order."""
    thin = copy.deepcopy(net)
    with torch.no_grad():
        thin[3].weight[:, order[: int(fraction * HIDDEN)]] = 0
    return 100 * accuracy(thin, digits.test)


curves = {}
for name, chosen in orders.items():
    curves[name] = [sum(without(order, fraction) for order in chosen) / len(chosen) for fraction in fractions]
    print(f"{name:10s}", " ".join(f"{value:5.1f}" for value in curves[name]))

# %%
figure = Figure(figsize=(5.5, 2.8), layout="constrained")
axis = figure.subplots()
for (name, curve), line in zip(curves.items(), ("-", "--", ":"), strict=True):
    axis.plot([100 * f for f in fractions], curve, line, color="black", marker="o", ms=3, label=f"by {name}")
axis.set(xlabel="neurons removed / %", ylabel="test accuracy / %")
axis.legend(frameon=False)
figure

# %% [markdown]
# Relevance and the norm of the outgoing weights choose about equally well, and better than chance (the mean of ten
# orders); where few neurons are left, the norm is ahead. Relevance is measured on decisions, so it can be asked for
# some classes only, or for what counts at a certain time.
#
# ## A smaller network
#
# Half of the neurons, by relevance, are taken out for good: a network of half the size, which needs no masks.

# %%
stay = orders["relevance"][0][HIDDEN // 2 :].sort().values
small = Sequential(nn.Flatten(), nn.Linear(features, len(stay)), LIF(beta=0.9), nn.Linear(len(stay), 10), LI(beta=0.9))
with torch.no_grad():
    small[1].weight.copy_(net[1].weight[stay])
    small[1].bias.copy_(net[1].bias[stay])
    small[3].weight.copy_(net[3].weight[:, stay])
    small[3].bias.copy_(net[3].bias)
cut = 100 * accuracy(small, digits.test)
train(small, 5, 5e-4)
learnt = 100 * accuracy(small, digits.test)
print(f"{sum(p.numel() for p in small.parameters())} parameters, {cut:.1f} %, after five epochs {learnt:.1f} %")

# %%
assert whole > 90
assert afterwards[shares.index(0.9)] > whole - 5
assert sum(curves["relevance"]) > sum(curves["chance"])
