"""An independent, slow, obvious account of what a layer of neurons does: one neuron, one sample, one step at a time.

Plain Python floats; every term of the state update is written down and its share of the reward computed by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Denominator = Callable[..., float]


@dataclass
class Neuron:
    """One neuron: its parameters, and what happened at each step."""

    beta: float
    theta: float
    reset: str = "subtract"
    delayed: bool = True
    kappa: float = 0.0
    rho: float = 0.0
    v: list[float] = field(default_factory=list)
    s: list[float] = field(default_factory=list)
    a: list[float] = field(default_factory=list)
    current: list[float] = field(default_factory=list)

    def terms(self, t: int) -> tuple[float, float]:
        """Return the membrane that decays into step t, and what a delayed reset takes off there."""
        if t == 0:
            return 0.0, 0.0
        v, s = self.v[t - 1], self.s[t - 1]
        if self.reset == "none" or s == 0:
            return v, 0.0
        if self.reset == "zero":
            return 0.0, 0.0
        return (v, self.theta) if self.delayed else (v - self.theta, 0.0)

    def step(self, current: float) -> float:
        """Go on by one step and return the spike."""
        t = len(self.v)
        decaying, reset = self.terms(t)
        adaptation = 0.0 if t == 0 else self.rho * self.a[t - 1] + self.s[t - 1]
        v = self.beta * decaying + current - reset
        self.current.append(current)
        self.a.append(adaptation)
        self.v.append(v)
        self.s.append(1.0 if v > self.theta + self.kappa * adaptation else 0.0)
        return self.s[-1]

    def share(
        self, reward_density: list[float], denominator: Denominator, epsilon: float, readout: bool = False
    ) -> tuple[list[float], list[float]]:
        """Return the density of each step's current, and the reward that each step held (R + Q)."""
        steps = len(self.v)
        n, held = [0.0] * steps, [0.0] * steps
        from_adaptation = [0.0] * (steps + 1)  # density that step t's adaptation term sends to a[t]
        q = 0.0
        for t in reversed(range(steps)):
            # a[t'] for t' > t contains this spike with weight rho^(t'-t-1).
            through_a = sum(self.rho ** (k - t - 1) * from_adaptation[k] for k in range(t + 1, steps))
            reward = reward_density[t] if readout else self.s[t] * reward_density[t]
            held[t] = reward + self.s[t] * through_a + q
            decaying, reset = self.terms(t)
            adapt = self.kappa * self.a[t]
            d = denominator(decaying, self.current[t], self.beta, reset, adapt, self.v[t])
            n[t] = held[t] / (d + (epsilon if d >= 0 else -epsilon))
            from_adaptation[t] = -self.kappa * n[t]
            q = self.beta * decaying * n[t]
        return n, held
