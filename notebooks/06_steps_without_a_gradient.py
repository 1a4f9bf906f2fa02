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
# # A network of steps: where gradient descent has nothing to go by
#
# An ordinary multi-layer perceptron is the case of a single time step. With step activations (1 above the threshold,
# else 0) its gradient is 0 almost everywhere: only the last layer can learn by it. LFP needs no derivative, and trains
# all layers. Toy data in the plane shows the decision boundaries.

# %%
# %matplotlib inline
from contextlib import nullcontext

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.datasets import make_circles, make_moons
from torch import Tensor, nn

from lfp_snn import LFP, Step, rewards


def spirals(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two arms of a spiral."""
    rng = np.random.default_rng(seed)
    turn, arm = np.sqrt(rng.random(n)) * 3 * np.pi, rng.integers(0, 2, n)
    angle = turn + np.pi * arm
    points = np.stack([np.cos(angle), np.sin(angle)], 1) * turn[:, None] / (3 * np.pi)
    return points + rng.normal(0, 0.02, (n, 2)), arm


DATA = {
    "moons": make_moons(600, noise=0.15, random_state=0),
    "circles": make_circles(600, noise=0.08, factor=0.5, random_state=0),
    "spirals": spirals(600),
}

# %% [markdown]
# The two runs differ in one line: whether the backward pass is LFP's. Both begin with the same weights. (A constant
# input lets LFP, which scales by the weight, place the thresholds.)


# %%
def learn(x: Tensor, y: Tensor, by_lfp: bool, steps: int = 1000) -> nn.Sequential:
    """Train a network of two hidden layers of steps."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 128), Step(), nn.Linear(128, 64), Step(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    reward = rewards.Softmax()
    for _ in range(steps):
        chosen = torch.randint(0, len(x), (64,))
        with LFP(scale_floor=0.01).context(net) if by_lfp else nullcontext():
            output = net(x[chosen])
            loss = reward(output, y[chosen]) if by_lfp else reward.loss(output, y[chosen])
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return net


def inputs(points: np.ndarray) -> Tensor:
    """Return points of the unit square, moved to -2 ... 2, with a constant."""
    return torch.tensor(np.column_stack([4 * points - 2, np.full(len(points), 2)]), dtype=torch.float32)


figure = Figure(figsize=(7, 4.6), layout="constrained")
axes = figure.subplots(2, 3)
grid = np.stack(np.meshgrid(np.linspace(-0.1, 1.1, 120), np.linspace(-0.1, 1.1, 120)), -1).reshape(-1, 2)
accuracy = {}
for column, (name, (points, label)) in zip(axes.T, DATA.items(), strict=True):
    points = (points - points.min(0)) / (points.max(0) - points.min(0))
    train, test = slice(0, 400), slice(400, None)
    x, y = inputs(points), torch.tensor(label)
    for axis, by_lfp in zip(column, (True, False), strict=True):
        net = learn(x[train], y[train], by_lfp)
        with torch.no_grad():
            right = float((net(x[test]).argmax(-1) == y[test]).float().mean())
            side = net(inputs(grid)).diff(dim=-1)[:, 0].reshape(120, 120)
        accuracy[name, by_lfp] = right
        axis.contourf(*grid.reshape(120, 120, 2).transpose(2, 0, 1), side > 0, levels=1, cmap="Greys", alpha=0.45)
        for c, marker, face in ((0, "o", "white"), (1, "s", "black")):
            chosen = label[test] == c
            axis.scatter(*points[test][chosen].T, s=8, marker=marker, facecolor=face, edgecolor="black", lw=0.5)
        axis.set_title(f"{name}, {'LFP' if by_lfp else 'gradient'}: {100 * right:.0f} %", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
figure

# %% [markdown]
# By the gradient only the last layer moves, on features that stay as they were drawn. The hidden layers:

# %%
points, label = DATA["moons"]
x, y = inputs((points - points.min(0)) / (points.max(0) - points.min(0))), torch.tensor(label)
for by_lfp in (True, False):
    torch.manual_seed(0)
    before = nn.Linear(3, 128).weight
    moved = float(((learn(x, y, by_lfp, steps=50)[0].weight - before).norm() / before.norm()).detach())
    print(f"{'LFP' if by_lfp else 'gradient'}: the first layer has moved by {100 * moved:.1f} % of its length")

# %%
assert accuracy["moons", True] > 0.9
assert all(accuracy[name, True] > 0.95 for name in DATA)
assert accuracy["spirals", False] < 0.9
