"""Reading autograd's graph: which operations made a tensor, each with the number of its result."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from torch import Tensor

_MOVES = (
    "View UnsafeView ReshapeAlias Reshape Unflatten Transpose T Permute Movedim Stack Cat Split SplitWithSizes Unbind "
    "Select Slice Index IndexSelect Gather Flip Roll Rot90 Expand Repeat Unfold AsStrided Unsqueeze Squeeze Clone "
    "Alias ToCopy Identity ConstantPadNd Where MaskedFill IndexPut IndexCopy SliceScatter SelectScatter "
    "BackwardHookFunction _DDPSink"
)
"""Operations that only move the elements of their inputs, cast them or fill in constants; hooks and DDP add some."""
_CHOICES = "Amax Amin Max Min Topk Sort Kthvalue Median Take MaskedSelect"
"""Operations that choose among the elements of their input."""


def _named(names: str) -> re.Pattern[str]:
    # The last is what out[t] = spikes makes.
    return re.compile(f"({names.replace(' ', '|')})Backward[0-9]*$|torch::autograd::CopySlices$")


_MOVE, _MOVE_OR_CHOICE = _named(_MOVES), _named(f"{_MOVES} {_CHOICES}")


def moves(node: Any, choices: bool = False) -> bool:
    """Whether an operation only moves elements (or chooses some)."""
    return (_MOVE_OR_CHOICE if choices else _MOVE).match(node.name()) is not None


def _walk(begin: Iterable[tuple[Any, int]], through: Callable[[Any], bool]) -> Iterator[tuple[Any, int]]:
    """Yield operations from the given ones on, each with a number of its results, and what is behind them."""
    waiting, seen = list(begin), set()
    while waiting:
        node, number = waiting.pop()
        if node is None or (node, number) in seen:
            continue
        seen.add((node, number))
        yield node, number
        if through(node):
            waiting.extend(node.next_functions)


def _made_by(begin: Iterable[tuple[Any, int]], choices: bool) -> Iterator[tuple[Any, int]]:
    walked = _walk(begin, lambda node: moves(node, choices))
    return ((node, number) for node, number in walked if not moves(node, choices))


def made_by(output: Tensor, choices: bool = False) -> Iterator[tuple[Any, int]]:
    """Yield the operations whose results a tensor consists of, behind all that only moves elements (or chooses some).

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(2, 3, requires_grad=True)
    >>> [node.name() for node, _ in made_by(torch.stack([x.exp(), x.sin()])[0].t())]
    ['SinBackward0', 'ExpBackward0']
    """
    return _made_by([(output.grad_fn, output.output_nr)], choices)


def sources(node: Any) -> Iterator[tuple[Any, int]]:
    """Yield the operations whose results an operation takes."""
    return _made_by(node.next_functions, choices=False)


def behind(output: Tensor, most: int | None = None) -> Iterator[tuple[Any, int]]:
    """Yield all operations that a tensor was computed by, the last first; no more than ``most``."""
    return islice(_walk([(output.grad_fn, output.output_nr)], lambda node: True), most)
