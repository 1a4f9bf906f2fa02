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
# # Event cameras: from a raw recording to a decision
#
# A recording is made as a camera's driver would leave it, with noise and a stuck pixel, and saved in a camera's own
# format. It is read back, looked at, cleaned, cut into time steps and fed to a network as if it came live.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import numpy as np
import torch
from IPython.display import Image, display
from matplotlib.figure import Figure
from torch import nn

from lfp_snn import LFP, LI, LIF, Sequential, data, rewards
from lfp_snn.data import Recording, make_events, read_recording, write_recording
from lfp_snn.data.filters import rates
from lfp_snn.data.noise import denoise, drop_pixels, hot_pixels
from lfp_snn.explain.figures import event_cloud, time_surface
from lfp_snn.explain.stream import Decisions, watch
from lfp_snn.look import animate
from lfp_snn.rewards import scores

torch.manual_seed(0)
digits = data.load("event-digits", seed=0)
part = digits.test
chosen = 3
clean = part.events(chosen)
width, height, _ = part.sensor_size
print(len(clean), "events of a", digits.class_names[int(part.__getitems__([chosen]).target)])

# %% [markdown]
# Background activity and a pixel that never stops, as real sensors have them:

# %%
rng = np.random.default_rng(0)
end = int(clean["t"].max())
n = len(clean) // 3
noise = make_events(
    rng.integers(0, width, n), rng.integers(0, height, n), np.sort(rng.integers(0, end, n)), rng.random(n) < 0.5
)
stuck = make_events(1, 1, np.arange(0, end, 300), True)
events = np.concatenate([clean, noise.astype(clean.dtype), stuck.astype(clean.dtype)])
recording = Recording(events[np.argsort(events["t"], kind="stable")], part.sensor_size, "")
file = Path(tempfile.mkdtemp()) / "digit.aedat4"
write_recording(file, recording)
print(f"{file.name}: {file.stat().st_size / 1024:.0f} KiB")

# %% [markdown]
# ## Look at it
#
# `lfp-snn show digit.aedat4` prints this at the command line.

# %%
recording = read_recording(file)
found = rates(recording, 10_000)
print(f"{len(recording.events)} events, {np.ptp(recording.events['t']) / 1000:.0f} ms, sensor {recording.sensor_size}")
print("ON events a second, every 10 ms:", found.on.astype(int)[:6])
event_cloud(recording.events, recording.sensor_size, title="as recorded")

# %% [markdown]
# ## Clean it
#
# A hot pixel sends far more than the others; a noise event has no neighbour that fired shortly before.

# %%
hot = hot_pixels(recording)
print("hot pixels (row, column):", np.argwhere(hot).tolist())
quiet = denoise(drop_pixels(recording, hot), 20_000)
event_cloud(quiet.events, quiet.sensor_size, title="without hot pixels and noise")

# %%
figure = Figure(figsize=(7, 2.2), layout="constrained")
panels = figure.subplots(1, 4)
for axis, ms in zip(panels, (30, 70, 110, 150), strict=True):
    surface = time_surface(quiet.events, quiet.sensor_size, ms * 1000)
    axis.imshow(surface.sum(0), cmap="gray_r")
    axis.set_title(f"time surface, {ms} ms", fontsize=8)
    axis.set_axis_off()
figure

# %%
film = file.with_suffix(".gif")
animate(film, quiet, n_frames=30)
display(Image(data=film.read_bytes()))

# %% [markdown]
# ## Decide
#
# A network learns from the training part by LFP.

# %%
features = digits.shape[0] * digits.shape[1] * digits.shape[2]
net = Sequential(nn.Flatten(), nn.Linear(features, 128), LIF(beta=0.9), nn.Linear(128, 10), LI(beta=0.9))
lfp, reward = LFP(), rewards.Softmax()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(6):
    for x, target, _ in data.loader(digits.train, 32, shuffle=True, seed=epoch):
        with lfp.context(net):
            reward(net(x), target).backward()
        optimizer.step()
        optimizer.zero_grad()
net.eval()
x, target, _ = next(iter(data.loader(part, len(part))))
with torch.no_grad():
    output = net(x)
test = float((scores(output).argmax(-1) == target).float().mean())
print(f"test accuracy {100 * test:.1f} %")

# %% [markdown]
# Now the recording, step by step as it comes; the network stops when the class in front leads by a margin.

# %%
frames = data.bin_events(quiet.events, quiet.sensor_size, part.binning, group=part.group).float()
evidence = []
for moment in watch(net, frames[:, None], margin=4.0):
    evidence.append(moment.evidence[0])
    best = digits.class_names[int(moment.choice)]
    print(f"step {moment.step + 1:2d}: {best} leads by {float(moment.lead):.2f}")

# %%
figure = Figure(figsize=(6, 2.6), layout="constrained")
axis = figure.subplots()
lines = torch.stack(evidence)
winner = int(lines[-1].argmax())
for c in range(lines.shape[1]):
    axis.plot(range(1, len(lines) + 1), lines[:, c], color="black" if c == winner else "0.75", lw=1.5)
axis.set_xticks(range(1, len(lines) + 1))
axis.set(xlabel="time step", ylabel="evidence", title=f"decided {digits.class_names[winner]} after {len(lines)} steps")
figure

# %% [markdown]
# What waiting longer buys, over the whole test part:

# %%
decisions = Decisions(output)
for margin in (0, 1, 2, 4, 8):
    exits = decisions.exits(margin)
    right = float((exits.choice == target).float().mean())
    print(f"margin {margin}: {100 * right:.1f} % right after {float(exits.step.float().mean()) + 1:.1f} steps")

# %%
assert test > 0.9
assert winner == int(target[chosen])
