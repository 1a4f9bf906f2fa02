"""A vision transformer (arXiv 2010.11929), of torch's own encoder layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lfp_snn.errors import ShapeError
from lfp_snn.models.parts import image_shape


class VisionTransformer(nn.Module):
    """Patches, embedded with their positions, through an encoder; the mean over patches decides.

    Parameters
    ----------
    input_shape : sequence of int
        ``(channels, height, width)`` or ``(height, width)``.
    classes : int
        Outputs.
    patch : int
        Side of a patch in pixels; height and width must be multiples of it.
    width, depth, heads : int
        Size of the embedding, encoder layers, heads of attention.
    dropout : float
        Share of activations dropped in training.

    Raises
    ------
    ShapeError
        If the patches do not tile the image.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        patch: int = 7,
        width: int = 64,
        depth: int = 3,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, across = image_shape(input_shape)
        if height % patch or across % patch:
            raise ShapeError(f"patches of {patch} x {patch} pixels do not tile an image of {height} x {across}")
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.positions = nn.Parameter(0.1 * torch.randn((height // patch) * (across // patch), width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[B, classes]`` of images ``[B, C, H, W]``."""
        if x.dim() == 3:
            x = x.unsqueeze(1)
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.norm(self.encoder(tokens)).mean(1))
        return logits


def vit(
    input_shape: Sequence[int],
    classes: int,
    *,
    patch: int | None = None,
    width: int = 64,
    depth: int = 3,
    heads: int = 4,
    dropout: float = 0.0,
) -> VisionTransformer:
    """Return a small vision transformer; its patches are the largest from 4 to 8 pixels that tile the image.

    Examples
    --------
    >>> vit((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    if patch is None:
        _, height, across = image_shape(input_shape)
        patch = next((p for p in range(8, 4, -1) if height % p == across % p == 0), 4)
    return VisionTransformer(input_shape, classes, patch, width, depth, heads, dropout)
