"""What surrounds a forward pass: code before and after that of any module, and a network's mode."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

Passage = Generator[tuple[Any, Any] | None, Any, Any]
"""One forward pass: what is before its ``yield`` runs first, and may yield other arguments; then it is sent the output,
and returns what to put in the output's place."""


def first_input(args: Any, kwargs: Any) -> Any:
    """Return the first argument of a call, by position or by keyword."""
    return args[0] if args else next(iter(kwargs.values()))


def with_first_input(args: Any, kwargs: Any, x: Any) -> tuple[Any, Any]:
    """Return the arguments of a call with another first one.

    Examples
    --------
    >>> with_first_input((1, 2), {}, 3), with_first_input((), {"x": 1, "y": 2}, 3)
    (((3, 2), {}), ((), {'x': 3, 'y': 2}))
    """
    return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, next(iter(kwargs)): x})


class _Running(threading.local):
    """The passages that have begun, in this thread."""

    def __init__(self) -> None:
        self.passages: list[Passage] = []


def around_forward(
    module: nn.Module, passage: Callable[[nn.Module, Any, Any], Passage], first: bool = False
) -> Callable[[], None]:
    """Run code before and after every forward pass of a module; return what ends that.

    ``passage(module, args, kwargs)`` is a generator, so contexts it enters are left even if the forward pass fails. An
    output of ``None`` stays ``None``. With ``first``, the output is given to it before it is given to other hooks.

    Examples
    --------
    >>> def double(module, args, kwargs):
    ...     with torch.no_grad():
    ...         output = yield
    ...     return 2 * output
    >>> net = nn.Identity()
    >>> end = around_forward(net, double)
    >>> net(torch.tensor(1.0)), end(), net(torch.tensor(1.0))
    (tensor(2.), None, tensor(1.))
    """
    here = _Running()

    def enter(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        here.passages.append(passage(module, args, kwargs))
        return next(here.passages[-1])

    def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        if not here.passages:  # what ran before failed
            return None
        passing = here.passages.pop()
        if output is None:  # the forward pass failed, or there is nothing to put anything in the place of
            passing.close()
            return None
        try:
            passing.send(output)
        except StopIteration as done:
            return done.value
        raise RuntimeError(f"what surrounds {type(module).__name__} yields more than once")

    handles = [
        module.register_forward_pre_hook(enter, with_kwargs=True),
        module.register_forward_hook(leave, prepend=first, with_kwargs=True, always_call=True),
    ]

    def end() -> None:
        for handle in handles:
            handle.remove()
        while here.passages:  # the forward pass was interrupted, and torch does not run hooks then
            here.passages.pop().close()

    return end


def inside(context: Callable[[], AbstractContextManager[Any]]) -> Callable[[nn.Module, Any, Any], Passage]:
    """Return the passage that runs a forward pass inside a fresh context.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> end = around_forward(net, inside(torch.no_grad))
    >>> net(torch.rand(3, 2)).requires_grad
    False
    """

    def passage(module: nn.Module, args: Any, kwargs: Any) -> Passage:
        with context():
            return (yield None)

    return passage


@contextmanager
def mode(network: nn.Module, training: bool) -> Iterator[None]:
    """Run a network as in training or in evaluation, and leave modes and buffers as they were.

    Examples
    --------
    >>> net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3).eval())
    >>> with mode(net, training=False):
    ...     net[0].training
    False
    >>> net[0].training, net[1].training
    (True, False)
    """
    modes = {module: module.training for module in network.modules()}
    buffers = [(b, b.clone()) for b in network.buffers()] if training else []
    network.train(training)
    try:
        yield
    finally:
        for module, before in modes.items():
            module.training = before
        with torch.no_grad():
            for buffer, content in buffers:
                buffer.copy_(content)
