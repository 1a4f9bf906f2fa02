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
# # Bring your snnTorch or norse network
#
# A network that was written for another library trains by LFP as it is: its forward pass stays its own to the last
# spike, and two lines of the training step change. Then it is converted, for speed, and explained.

# %%
# %matplotlib inline
import copy
import time
import warnings
from functools import partial

warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)  # norse and newer torch

import norse.torch as norse
import snntorch as snn
import torch
from matplotlib.figure import Figure
from snntorch import utils
from torch import nn

from lfp_snn import LFP, data, rewards
from lfp_snn.adapters.norse import from_norse
from lfp_snn.adapters.snntorch import from_snntorch
from lfp_snn.explain import explain
from lfp_snn.explain.figures import raster, relevance_map
from lfp_snn.models import calibrate
from lfp_snn.training.metrics import accuracy

digits = data.load("event-digits", n_bins=10, group=2, seed=0)
features = digits.shape[0] * digits.shape[1] * digits.shape[2]

# %% [markdown]
# ## snnTorch
#
# As in its tutorials: `Leaky` neurons, a loop over the time steps.


# %%
class Net(nn.Module):
    """A fully connected network in snnTorch's own style."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(features, 128), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(128, 10), snn.Leaky(beta=0.9)

    def forward(self, x):
        """Return the spikes of the output neurons, [T, B, 10]."""
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in x.flatten(2):
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            out.append(spk2)
        return torch.stack(out)


def epoch(net, optimizer, learn, seed):
    """Train for one epoch."""
    for x, target, _ in data.loader(digits.train, 32, shuffle=True, seed=seed):
        optimizer.zero_grad()
        learn(net, x, target)
        optimizer.step()


# %% [markdown]
# Its training step by a surrogate gradient, and by LFP:


# %%
def by_gradient(net, x, target):
    """Descend on the cross-entropy of the spike counts."""
    nn.functional.cross_entropy(net(x).sum(0), target).backward()


def by_lfp(reward, net, x, target):
    """Send the reward back."""
    with LFP().context(net):
        reward(net(x), target).backward()


torch.manual_seed(0)
start, curves = Net(), {}
for name, learn in {"surrogate gradient": by_gradient, "LFP": partial(by_lfp, rewards.RateCoded())}.items():
    net = copy.deepcopy(start)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    curves[name] = []
    for seed in range(5):
        epoch(net, optimizer, learn, seed)
        curves[name].append(100 * accuracy(net, digits.test))
    print(f"{name}: {curves[name][-1]:.1f} %")

# %%
figure = Figure(figsize=(5, 2.6), layout="constrained")
axis = figure.subplots()
for (name, curve), line in zip(curves.items(), ("--", "-"), strict=True):
    axis.plot(range(1, 6), curve, line, color="black", label=name)
axis.set_xticks(range(1, 6))
axis.set(xlabel="epoch", ylabel="test accuracy / %", title="the same snnTorch network")
axis.legend(frameon=False)
figure

# %% [markdown]
# ## Converted
#
# The loop in Python is what costs. A network in `nn.Sequential` converts to one that runs all steps in one call,
# with the same parameters and the same spikes.

# %%
theirs = nn.Sequential(
    nn.Flatten(),
    nn.Linear(features, 128),
    snn.Leaky(beta=0.9, init_hidden=True),
    nn.Linear(128, 10),
    snn.Leaky(beta=0.9, init_hidden=True, output=True),
)
ours = from_snntorch(theirs)
x, target, _ = next(iter(data.loader(digits.test, 64)))


def their_loop(x):
    """Run snnTorch's network step by step."""
    utils.reset(theirs)
    return torch.stack([theirs(step)[0] for step in x])


with torch.no_grad():
    same = bool((their_loop(x) == ours(x)).all())
print("the same spikes:", same)

# %%
seconds = {}
for name, run in {"snnTorch": their_loop, "converted": ours}.items():
    with torch.no_grad():
        run(x)
        times = []
        for _ in range(20):
            started = time.perf_counter()
            run(x)
            times.append(time.perf_counter() - started)
    seconds[name] = sorted(times)[len(times) // 2]
    print(f"{name}: {1000 * seconds[name]:.2f} ms a batch of 64")

# %% [markdown]
# ## Norse
#
# Cells in a `SequentialState`, leaky integrators read out. Converted, its parameters are shared, so what is trained
# here is trained there. A norse neuron takes a tenth of its input in a step, so fresh weights hardly make it fire, and
# LFP has no credit for what is silent: `calibrate` scales them until 10 % of the neurons fire.

# %%
torch.manual_seed(0)
state_net = norse.SequentialState(
    nn.Flatten(), nn.Linear(features, 128), norse.LIFBoxCell(), nn.Linear(128, 10), norse.LIBoxCell()
)
fast = from_norse(state_net)
calibrate(fast, digits.train.__getitems__(list(range(0, len(digits.train), 20))).x, 0.1)
optimizer = torch.optim.Adam(fast.parameters(), lr=5e-3)
for seed in range(5):
    epoch(fast, optimizer, partial(by_lfp, rewards.Softmax()), seed)


def norse_loop(x):
    """Run norse's own network step by step."""
    state, out = None, []
    for step in x:
        y, state = state_net(step, state)
        out.append(y)
    return torch.stack(out)


here, there = (100 * accuracy(run, digits.test) for run in (fast, norse_loop))
print(f"norse's own network, trained here: {there:.1f} % (converted: {here:.1f} %)")

# %% [markdown]
# ## Why did it decide?
#
# Whatever library it came from:

# %%
why = explain(fast.eval(), x[:, :1], against="next")
relevance_map(why, f"norse: why {digits.class_names[int(target[0])]}?")

# %%
raster(why, most=40)

# %%
assert same
assert curves["LFP"][-1] > 85
assert there > 80
