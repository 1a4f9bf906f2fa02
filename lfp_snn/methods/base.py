"""What a way of training is: it goes to work on a network and becomes a learner, which takes a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.forward import around_forward, inside
from lfp_snn.neurons.ambient import Ambient, surrounded

Criterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``criterion(output, target, lengths) -> scalar``: a reward (minus its mean), or a loss."""
Run = Callable[[Tensor], Tensor]
Send = Callable[[Tensor], Any]


class Learner:
    """A method at work on one network; :meth:`remove` (or the end of a ``with`` block) takes it off again.

    Parameters
    ----------
    network : nn.Module
        What learns.
    *removals : callable
        What takes the method off the network, called in reverse order.
    """

    def __init__(self, network: nn.Module, *removals: Callable[[], None]) -> None:
        self.network = network
        self._removals = list(removals)

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
        """Run a batch forwards and what comes of it backwards, which leaves a message in every ``parameter.grad``.

        Parameters
        ----------
        x : Tensor
            ``[T, B, ...]``, or ``[B, ...]`` with ``steps`` (or for a network without time).
        target, lengths : Tensor
            As the criterion takes them, ``[B]``.
        criterion : callable
            A reward where the method's ``takes_reward`` is true, else a differentiable loss.
        steps : int, optional
            Steps for which a static input is shown.
        run : callable, optional
            How the network is run, if it is wrapped (DDP, mixed precision). Default: ``network(x, steps=steps)``.
        send : callable, optional
            ``send(loss)`` runs the backward pass. Default: ``loss.backward()``.

        Returns
        -------
        output : Tensor
            ``[T, B, C]`` or ``[B, C]``.
        loss : Tensor
            The criterion's value, a scalar.
        """
        if run is None:
            run = self.network if steps is None else partial(self.network, steps=steps)
        output = run(x)
        loss = criterion(output, target, lengths)
        if loss.requires_grad:  # no parameter may have a way to the loss, under the gradient of a step for one
            send(loss)
        return output, loss

    def remove(self) -> None:
        """Take the method off the network. Calling it again does nothing."""
        while self._removals:
            self._removals.pop()()

    def __enter__(self) -> Learner:
        """Return the learner."""
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        """Take the method off the network."""
        self.remove()


class Method:
    """Base class of the ways to train.

    Attributes
    ----------
    takes_reward : bool
        Whether a reward travels back (LFP and its kin) rather than the gradient of a loss.
    own_loop : bool
        Whether the learner runs the network in its own way, not as one forward pass. Wrappers of the forward pass (DDP,
        mixed precision) do not go with that.
    pieces : bool
        Whether time may be taken in pieces (:mod:`lfp_snn.checkpointing`).
    """

    takes_reward = False
    own_loop = False
    pieces = False

    def attach(self, network: nn.Module) -> Learner:
        """Go to work on a network."""
        raise NotImplementedError


def surround(network: nn.Module, by: Ambient) -> Callable[[], None]:
    """Ask ``by`` of the neurons in every forward pass of a network; return what ends that."""
    return around_forward(network, inside(lambda: surrounded(by)))
