"""Ready-made networks, all built from the public parts."""

from collections.abc import Callable

from torch import nn

from lfp_snn.models.calibrate import calibrate
from lfp_snn.models.parts import NEURONS
from lfp_snn.models.spiking import deep_snn, lif_cnn, lif_mlp, recurrent_snn, residual_snn
from lfp_snn.models.spiking_transformer import SpikingSelfAttention, spikformer
from lfp_snn.models.static import ResidualBlock, lenet, mlp, resnet, vgg
from lfp_snn.models.transformer import VisionTransformer, vit

MODELS: dict[str, Callable[..., nn.Module]] = {
    "lif-mlp": lif_mlp,
    "lif-cnn": lif_cnn,
    "deep-snn": deep_snn,
    "residual-snn": residual_snn,
    "recurrent-snn": recurrent_snn,
    "spikformer": spikformer,
    "mlp": mlp,
    "lenet": lenet,
    "vgg": vgg,
    "resnet": resnet,
    "vit": vit,
}
"""The networks by the names that configurations use: ``builder(input_shape, classes, **options)``."""

__all__ = [
    "MODELS",
    "NEURONS",
    "ResidualBlock",
    "SpikingSelfAttention",
    "VisionTransformer",
    "calibrate",
    "deep_snn",
    "lenet",
    "lif_cnn",
    "lif_mlp",
    "mlp",
    "recurrent_snn",
    "residual_snn",
    "resnet",
    "spikformer",
    "vgg",
    "vit",
]
