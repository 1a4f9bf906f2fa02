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
# # Rewards without derivatives: a black box, and a person
#
# LFP sends any reward back: nobody has to differentiate it, or even to write it down. Here a network is never told
# which digit it saw. It guesses, and hears "good" or "bad", from a program that cannot be looked into, from a person
# who errs now and then, or from you.

# %%
# %matplotlib inline
import torch
from matplotlib.figure import Figure
from torch import nn

from lfp_snn import LFP, LI, LIF, Sequential, data, rewards
from lfp_snn.rewards import Homeostasis, scores
from lfp_snn.training.metrics import accuracy

digits = data.load("event-digits", n_bins=10, group=2, seed=0)
features = digits.shape[0] * digits.shape[1] * digits.shape[2]


# %%
def fresh(seed=0):
    """Return an untrained network."""
    torch.manual_seed(seed)
    return Sequential(nn.Flatten(), nn.Linear(features, 128), LIF(beta=0.9), nn.Linear(128, 10), LI(beta=0.9))


def learn(judge, epochs=30):
    """Train a network that is told nothing but what a judge says of its guesses; return it and its accuracies."""
    net, lfp, reward = fresh(), LFP(homeostasis=Homeostasis(low=0.01, high=0.2)), rewards.Judged()
    optimizer, curve = torch.optim.Adam(net.parameters(), lr=2e-3), []
    for epoch in range(epochs):
        for x, target, _ in data.loader(digits.train, 32, shuffle=True, seed=epoch):
            with lfp.context(net):
                output = net(x)
                verdict = judge(scores(output).argmax(-1), target)  # one number for each guess
                reward(output, verdict).backward()
            optimizer.step()
            optimizer.zero_grad()
        curve.append(100 * accuracy(net, digits.test))
    return net, curve


# %% [markdown]
# ## A black box
#
# Any function of the guess that returns a number: here one that works on words, a spelling checker of sorts. And a
# person, who knows the digit but presses the wrong button one time in ten.


# %%
def black_box(guess, target):
    """Say how many letters of the word are where they should be, from -1 (none) to 1 (all)."""
    found = []
    for g, t in zip(guess.tolist(), target.tolist(), strict=True):
        said, right = WORDS[g], WORDS[t]
        found.append(2 * sum(a == b for a, b in zip(said, right, strict=False)) / max(len(said), len(right)) - 1)
    return torch.tensor(found)


class Person:
    """Someone who presses "good" or "bad", and errs now and then."""

    def __init__(self, errs, seed=0):
        self.errs, self.generator, self.pressed = errs, torch.Generator().manual_seed(seed), 0

    def __call__(self, guess, target):
        """Return +1 or -1 for each guess."""
        self.pressed += len(guess)
        wrong_button = torch.rand(len(guess), generator=self.generator) < self.errs
        return torch.where((guess == target) ^ wrong_button, 1.0, -1.0)


WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
judges = {"black box": black_box, "a person": Person(0.0), "a person who errs, 10 %": Person(0.1)}
curves = {}
for name, judge in judges.items():
    net, curves[name] = learn(judge)
    print(f"{name}: {curves[name][-1]:.1f} %")
print(judges["a person"].pressed, "buttons pressed")

# %%
figure = Figure(figsize=(6, 3), layout="constrained")
axis = figure.subplots()
for (name, curve), line in zip(curves.items(), ("-", "--", ":"), strict=True):
    axis.plot(range(1, len(curve) + 1), curve, line, color="black", label=name)
axis.axhline(10, color="0.7", lw=1)
axis.text(1, 11, "chance", fontsize=8, color="0.5")
axis.set(xlabel="epoch", ylabel="test accuracy / %", title="guess, and hear good or bad")
axis.legend(frameon=False)
figure

# %% [markdown]
# It is slower than with labels: a label says which of ten classes is right, "bad" only that one is wrong, and a class
# that is never guessed is never found.
#
# ## You
#
# Two buttons. The network shows a digit and its guess and learns at once from what you press. (Where nobody presses,
# nothing happens.)

# %%
import ipywidgets
from IPython.display import display


class Teacher:
    """A small panel: a picture, a guess, and two buttons."""

    def __init__(self, net, part):
        self.net, self.part, self.at, self.said = net, part, 0, []
        self.optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        self.good, self.bad = ipywidgets.Button(description="good"), ipywidgets.Button(description="bad")
        self.good.on_click(lambda _: self.press(1.0))
        self.bad.on_click(lambda _: self.press(-1.0))
        self.picture, self.guess = ipywidgets.Output(), ipywidgets.Label()
        self.panel = ipywidgets.VBox([self.picture, self.guess, ipywidgets.HBox([self.good, self.bad])])
        self.show()

    def show(self):
        """Draw the next example and the network's guess."""
        self.x = self.part.__getitems__([self.at]).x
        with torch.no_grad():
            self.decision = int(scores(self.net(self.x)).argmax(-1))
        self.guess.value = f"I think it is {WORDS[self.decision]}."
        figure = Figure(figsize=(1.6, 1.6), layout="constrained")
        axis = figure.subplots()
        summed = self.x.sum((0, 1))
        axis.imshow(summed[1] - summed[0], cmap="gray")
        axis.set_axis_off()
        self.picture.clear_output(wait=True)
        with self.picture:
            display(figure)

    def press(self, verdict):
        """Learn from a verdict and go on to the next example."""
        with LFP().context(self.net):
            rewards.Judged()(self.net(self.x), torch.tensor([verdict])).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.said.append(verdict)
        self.at = (self.at + 1) % len(self.part)
        self.show()


teacher = Teacher(net, digits.val)
teacher.panel

# %% [markdown]
# The same buttons, pressed by a simulated hand:

# %%
before = [p.detach().clone() for p in net.parameters()]
for _ in range(20):
    is_right = teacher.decision == int(digits.val.__getitems__([teacher.at]).target)
    (teacher.good if is_right else teacher.bad).click()
moved = any(bool((a != b).any()) for a, b in zip(before, net.parameters(), strict=True))
print(f"{sum(v > 0 for v in teacher.said)} of {len(teacher.said)} good; the network has changed: {moved}")

# %%
assert moved
assert len(teacher.said) == 20
assert min(curve[-1] for curve in curves.values()) > 40
assert curves["a person"][-1] > 60
