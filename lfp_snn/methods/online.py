"""Learning while time goes on: messages reach back a window of steps only, so memory does not grow with T."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.containers import Sequential, State
from lfp_snn.errors import ConfigError
from lfp_snn.methods.base import Criterion, Learner, Method, Run, Send
from lfp_snn.methods.feedback import Feedback
from lfp_snn.methods.gradient import SurrogateGradient
from lfp_snn.methods.rewire import Rewire, backward_only
from lfp_snn.neurons.ambient import RateTerm
from lfp_snn.propagation import LFP
from lfp_snn.propagation.linear import Apply


class _Stretch(nn.Module):
    """A network that is run for a stretch of time, from a state to a state."""

    def __init__(self, network: Sequential) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, state: State, steps: int | None) -> tuple[Tensor, State]:
        return self.network.run(x, state, steps=steps)


class Traces:
    """A low-pass filtered copy of the input of each linear layer: ``trace[t] = decay * trace[t-1] + x[t]``.

    Weights see the trace in their backward pass in place of the input, which stands for the past that the message does
    not reach (Xiao et al. 2022, arXiv 2210.04195, eq. 8).
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.kept: dict[int, Tensor] = {}

    def wire(self, k: int, apply: Apply, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Run a layer on its input, with its trace for the weight's backward pass."""
        now = x.detach()
        before = self.kept.get(k)
        self.kept[k] = now if before is None else now + self.decay * before
        return apply(x, weight.detach(), bias) + backward_only(apply(self.kept[k], weight, None))


class OnlineLearner(Learner):
    """Runs a window of steps, sends its message back, forgets all but the state, and goes on."""

    def __init__(self, network: nn.Module, method: Method, window: int, trace: float) -> None:
        if not isinstance(network, Sequential):
            raise ConfigError(
                "learning online needs a lfp_snn.Sequential, which can be run step by step; got "
                f"{type(network).__name__}"
            )
        self.window, self.trace = window, trace
        self.stretch = _Stretch(network)
        super().__init__(network, method.attach(self.stretch).remove)

    def learn(
        self,
        x: Tensor,
        target: Tensor,
        lengths: Tensor | None = None,
        *,
        criterion: Criterion,
        steps: int | None = None,
        run: Run | None = None,
        send: Send = torch.autograd.backward,
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`Learner.learn`; the criterion judges each window as if it were the whole, by its share of time."""
        total = len(x) if steps is None else steps
        batch = x.shape[1] if steps is None else x.shape[0]
        valid = lengths if lengths is not None else torch.full((batch,), total, device=x.device)
        state: Any = None
        outputs, loss = [], x.new_zeros(())
        traces = Traces(self.trace)
        for first in range(0, total, self.window):
            n = min(self.window, total - first)
            stretch = (x, state, n) if steps is not None else (x[first : first + n], state, None)
            if self.trace:
                with Rewire(traces.wire):
                    y, state = self.stretch(*stretch)
            else:
                y, state = self.stretch(*stretch)
            outputs.append(y.detach())
            inside = (valid - first).clamp(0, n)
            live = inside > 0
            if not bool(live.any()):
                continue
            share = float(inside.sum()) / float(valid.sum())
            part = share * criterion(y[:, live], target[live], None if lengths is None else inside[live])
            if part.requires_grad:
                send(part)
            loss += part.detach()
        return torch.cat(outputs), loss


class OnlineGradient(Method):
    """Online training through time (OTTT): a surrogate gradient of the present step, and traces of the past inputs.

    Source: Xiao et al. 2022, arXiv 2210.04195. Memory does not grow with the number of steps. Recurrent weights of a
    neuron see the spikes of the step before, without a trace.

    Parameters
    ----------
    surrogate, slope, homeostasis
        As for :class:`lfp_snn.methods.SurrogateGradient`.
    trace : float
        Decay of the traces per step, in [0, 1): the decay of the membranes.

    Raises
    ------
    ConfigError
        If the trace is not in [0, 1); when attached to a network that cannot be run step by step.

    Examples
    --------
    >>> from lfp_snn import LI, LIF, rewards
    >>> net, x = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LI()), torch.rand(6, 2, 4)
    >>> with OnlineGradient().attach(net) as learner:
    ...     output, loss = learner.learn(x, torch.tensor([0, 2]), criterion=rewards.Softmax().loss)
    >>> output.shape
    torch.Size([6, 2, 3])
    """

    own_loop = True

    def __init__(
        self,
        surrogate: str = "atan",
        slope: float | None = None,
        trace: float = 0.9,
        homeostasis: RateTerm | None = None,
    ) -> None:
        if not 0 <= trace < 1:
            raise ConfigError(f"the decay of a trace must lie in [0, 1), got {trace}")
        self.method, self.trace = SurrogateGradient(surrogate, slope, homeostasis=homeostasis), trace

    def attach(self, network: nn.Module) -> OnlineLearner:
        """Let the network learn step by step."""
        return OnlineLearner(network, self.method, 1, self.trace)


class OnlineFeedback(Method):
    """LFP while time goes on: the reward of a window of steps travels back within that window.

    With a window of all steps it is LFP, but for the judgement: a window is rewarded by its own outputs. Memory grows
    with the window only. How near its feedback is to LFP's is measured by
    :func:`lfp_snn.methods.agreement`.

    Parameters
    ----------
    lfp : LFP, optional
        The propagator.
    window : int
        Steps that a reward reaches back.
    trace : float
        For a window of one step: decay of traces that stand for the past inputs, as in :class:`OnlineGradient`; 0:
        none.

    Raises
    ------
    ConfigError
        If the window is not positive, or a trace is asked for with a longer one.

    Examples
    --------
    >>> from lfp_snn import LI, LIF, rewards
    >>> net, x = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LI()), torch.rand(6, 2, 4)
    >>> with OnlineFeedback(window=2).attach(net) as learner:
    ...     output, loss = learner.learn(x, torch.tensor([0, 2]), criterion=rewards.Softmax())
    >>> output.shape
    torch.Size([6, 2, 3])
    """

    takes_reward = True
    own_loop = True

    def __init__(self, lfp: LFP | None = None, window: int = 5, trace: float = 0.0) -> None:
        if window < 1:
            raise ConfigError(f"the window must be at least one step, got {window}")
        if not 0 <= trace < 1:
            raise ConfigError(f"the decay of a trace must lie in [0, 1), got {trace}")
        if trace and window > 1:
            raise ConfigError(f"traces stand for what a window of 1 step does not see; the window is {window}")
        self.method, self.window, self.trace = Feedback(lfp), window, trace

    def attach(self, network: nn.Module) -> OnlineLearner:
        """Let the network learn window by window."""
        return OnlineLearner(network, self.method, self.window, self.trace)
