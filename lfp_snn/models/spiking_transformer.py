r"""A spiking transformer (Spikformer, arXiv 2209.15425): attention among tokens, all of whose signals are spikes.

Queries, keys and values are the spikes of neurons, so their products count coincidences, and no softmax is needed:

.. math:: a_t = s\, (q_t k_t^\top)\, v_t , \qquad y_t = \mathrm{LIF}(W\, \mathrm{LIF}(a)_t)

Tokens are the last axis, ``[T, B, D, N]``, as in a feature map whose pixels are laid out in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.containers import Residual, Sequential, State
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.models.parts import image_shape, neuron
from lfp_snn.neurons import TimeModule


class SpikingSelfAttention(nn.Module):
    r"""Self-attention of spikes, without softmax (arXiv 2209.15425, equations 5 to 8), inside a :class:`Sequential`.

    Under LFP, each product of two signals gives each factor half: a quarter to queries and keys, a half to values.

    Parameters
    ----------
    width, heads : int
        Features of a token, and into how many parts attention divides them.
    scale : float
        The factor :math:`s`.
    threshold : float
        Of the neurons that take what was attended to, 0.5 in the paper.
    neuron_kind, neuron_options :
        The neurons (:mod:`lfp_snn.neurons`).

    Raises
    ------
    ConfigError
        If the heads do not divide the width.

    Examples
    --------
    >>> block = SpikingSelfAttention(16, heads=4)
    >>> Sequential(block)(torch.rand(5, 2, 16, 9)).shape         # [T, B, D, N]
    torch.Size([5, 2, 16, 9])
    """

    def __init__(
        self,
        width: int,
        heads: int = 4,
        scale: float = 0.125,
        threshold: float = 0.5,
        neuron_kind: str = "lif",
        neuron_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"{heads} heads do not divide a width of {width}")
        self.heads, self.scale = heads, scale
        self.query, self.key, self.value, self.project = (
            Sequential(*_pointwise(width, width), neuron(neuron_kind, neuron_options)) for _ in range(4)
        )
        self.attended = neuron(neuron_kind, {**(neuron_options or {}), "threshold": threshold})

    def advance(self, x: Tensor, state: State, steps: int | None) -> tuple[Tensor, State, int | None]:
        """Run on from ``state``; see :meth:`Sequential.advance`."""
        states = [None] * 5 if state is None else list(state)
        signals = []
        for part, branch in enumerate((self.query, self.key, self.value)):
            spikes, states[part], _ = branch.advance(x, states[part], steps)
            signals.append(spikes.reshape(*spikes.shape[:2], self.heads, -1, spikes.shape[-1]))
        q, k, v = signals  # [T, B, H, D/H, N]
        scores = torch.matmul(q.transpose(-2, -1), k) * self.scale  # [T, B, H, N, N]
        a = torch.matmul(v, scores.transpose(-2, -1)).flatten(2, 3)
        spikes, states[3] = self.attended(a, states[3])
        y, states[4], _ = self.project.advance(spikes, states[4], None)
        return y, tuple(states), None

    def forward(self, x: Tensor) -> Tensor:
        """Run from rest over ``x`` ``[T, B, D, N]``."""
        return self.advance(x, None, None)[0]


def _pointwise(n_in: int, n_out: int) -> list[nn.Module]:
    """Return a linear map of each token, normalised."""
    return [nn.Conv1d(n_in, n_out, 1, bias=False), nn.BatchNorm1d(n_out)]


def spikformer(
    input_shape: Sequence[int],
    classes: int,
    *,
    patch: int | None = None,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    expansion: int = 2,
    scale: float = 0.125,
    neuron_kind: str = "lif",
    neuron_options: dict[str, Any] | None = None,
    readout: str = "li",
    readout_options: dict[str, Any] | None = None,
) -> Sequential:
    """Return a small Spikformer: patches as spikes, their positions by a convolution, blocks, the mean token decides.

    Each block adds attention and a spiking MLP (``expansion`` times as wide) to its input. The paper's embedding is a
    stack of convolutions with pooling; here one convolution makes patches of ``patch`` pixels, by default a seventh of
    the picture's height or the largest that tiles it below.

    Raises
    ------
    ShapeError
        If the patches do not tile the picture.

    Examples
    --------
    >>> spikformer((1, 28, 28), 10)(torch.rand(2, 1, 28, 28), steps=4).shape
    torch.Size([4, 2, 10])
    """
    channels, height, across = image_shape(input_shape)
    if patch is None:
        patch = next(p for p in range(max(1, height // 7), 0, -1) if height % p == across % p == 0)
    if height % patch or across % patch:
        raise ShapeError(f"patches of {patch} x {patch} pixels do not tile an image of {height} x {across}")

    def spikes() -> TimeModule:
        return neuron(neuron_kind, neuron_options)

    def images(n_in: int, kernel: int, **options: Any) -> list[nn.Module]:
        return [nn.Conv2d(n_in, width, kernel, bias=False, **options), nn.BatchNorm2d(width), spikes()]

    blocks: list[nn.Module] = []
    for _ in range(depth):
        inner = [*_pointwise(width, expansion * width), spikes(), *_pointwise(expansion * width, width), spikes()]
        attention = SpikingSelfAttention(width, heads, scale, neuron_kind=neuron_kind, neuron_options=neuron_options)
        blocks += [Residual(attention), Residual(Sequential(*inner))]
    return Sequential(
        *images(channels, patch, stride=patch),
        Residual(Sequential(*images(width, 3, padding=1))),
        nn.Flatten(2),
        *blocks,
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
        neuron(readout, readout_options),
    )
