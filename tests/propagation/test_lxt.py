"""Relevance of transformers against LXT (AttnLRP's own implementation) on the same network and input."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lfp_snn import LFP

Patches = dict[Any, Callable[[Any], bool]]


@cache
def lxt() -> Any:
    """Import LXT, without its table of models: that imports parts of transformers that are gone since version 5."""
    (folder,) = pytest.importorskip("lxt").__path__
    table: Any = ModuleType("lxt.efficient.models")
    table.__path__, table.get_default_map = [folder + "/efficient/models"], None
    sys.modules.setdefault(table.__name__, table)
    return importlib.import_module("lxt.efficient.patches")


class Functions(dict[str, Any]):
    """Attention functions by name, as transformers 5 asks for them; LXT leaves a plain dictionary."""

    def get_interface(self, name: str, default: Any) -> Any:
        return default if name == "eager" else self[name]


def attention(module: Any) -> bool:
    """Patch the attention of a model of transformers as LXT does."""
    done: bool = lxt().patch_attention(module)
    module.ALL_ATTENTION_FUNCTIONS = Functions(module.ALL_ATTENTION_FUNCTIONS)
    return done


def timm_attention(module: Any) -> bool:
    """Put LXT's attention (it has none for timm) in the place of torch's in one module."""
    inner = lxt().wrap_attention_forward(lambda module, *args, **kw: F.scaled_dot_product_attention(*args, **kw))
    module.F = SimpleNamespace(**vars(F) | {"scaled_dot_product_attention": partial(inner, None)})
    return True


def multi_head(self: Any, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Any:
    """LXT's rule for attention (its own patch of this module is CP-LRP) before the projections, which are linear."""
    divide = lxt().divide_gradient
    return self.original_forward(divide(q, 4), divide(k, 4), divide(v, 2), *args, **kwargs)


def method(new: Any, **options: Any) -> Callable[[Any], bool]:
    return partial(lxt().patch_method, new, **options)


def norm_and(activation: type[nn.Module], norm: type[nn.Module] = nn.LayerNorm) -> Patches:
    return {
        norm: method(lxt().layer_norm_forward),
        activation: method(lxt().non_linear_forward, keep_original=True),
    }


@contextmanager
def patched(targets: Patches) -> Iterator[None]:
    """Patch classes and modules for a while: LXT patches for good."""
    before = {target: dict(vars(target)) for target in targets}
    try:
        importlib.import_module("lxt.efficient.core").monkey_patch(None, targets)
        yield
    finally:
        for target, was in before.items():
            for name, value in dict(vars(target)).items():
                if name not in was:
                    delattr(target, name)
                elif value is not was[name]:
                    setattr(target, name, was[name])


class Logits(nn.Module):
    """A network of any library, from its main input to logits."""

    def __init__(self, net: nn.Module, argument: str) -> None:
        super().__init__()
        self.net, self.argument = net, argument
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.1 * torch.randn_like(p))  # no bias, position or token is 0
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(**{self.argument: x})
        return y if isinstance(y, Tensor) else y.logits  # type: ignore[no-any-return]


IMAGE, TOKENS = (2, 3, 28, 28), (2, 7, 32)
Case = tuple[Logits, tuple[int, ...], Patches]


def hugging_face_vit(implementation: str) -> Case:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        image_size=28,
        patch_size=7,
        num_labels=3,
        attn_implementation=implementation,
    )
    vit = importlib.import_module("transformers.models.vit.modeling_vit")
    gelu = importlib.import_module("transformers.activations").GELUActivation
    net = Logits(transformers.ViTForImageClassification(config), "pixel_values")
    return net, IMAGE, {**norm_and(gelu), vit: attention}


def timm_vit() -> Case:
    timm = pytest.importorskip("timm")
    net = timm.models.VisionTransformer(img_size=28, patch_size=7, embed_dim=64, depth=2, num_heads=4, num_classes=3)
    where = importlib.import_module("timm.layers.attention")
    return Logits(net, "x"), IMAGE, {**norm_and(nn.GELU, timm.layers.LayerNorm), where: timm_attention}


def encoder() -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(32, 4, 64, activation=nn.GELU(), batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def torch_encoder() -> Case:
    patch = method(multi_head, keep_original=True)
    return Logits(encoder(), "src"), TOKENS, norm_and(nn.GELU) | {nn.MultiheadAttention: patch}


def decoder(name: str, implementation: str = "sdpa") -> Case:
    """Return a decoder that LXT knows, with LXT's own patches."""
    small: dict[str, Any] = {"num_labels": 3, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if name == "GPT2":
        small |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16}
    else:
        small |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        small |= {"intermediate_size": 48, "head_dim": 8}
    transformers, patch_attention = pytest.importorskip("transformers"), lxt().patch_attention
    own = importlib.import_module(f"lxt.efficient.models.{name.removesuffix('Text').lower()}").attnLRP
    config = getattr(transformers, f"{name}Config")(**small, attn_implementation=implementation)
    net = getattr(transformers, f"{name}ForSequenceClassification")(config)
    rules = {target: attention if rule is patch_attention else rule for target, rule in own.items()}
    return Logits(net, "inputs_embeds"), TOKENS, rules


def lxts(net: nn.Module, x: Tensor, targets: Patches) -> Tensor:
    """Return the relevance of the input for the first output by LXT."""
    x = x.clone().requires_grad_()
    with patched(targets):
        (g,) = torch.autograd.grad(net(x)[..., 0].sum(), x)
    return g * x.detach()


def relevance(net: nn.Module, x: Tensor) -> Tensor:
    """Return the same by LFP, without epsilon, as LXT has none at linear layers."""
    x = x.clone().requires_grad_()
    with LFP(epsilon=0.0).context(net):
        y = net(x)
    reward = torch.zeros_like(y)
    reward[..., 0] = y.detach()[..., 0]
    (g,) = torch.autograd.grad(y, x, reward)
    return g * x.detach()


def difference(net: nn.Module, x: Tensor, targets: Patches) -> float:
    want = lxts(net, x, targets)
    return float((relevance(net, x) - want).norm() / want.norm())


CASES: dict[str, Callable[[], Case]] = {
    "vit-eager": partial(hugging_face_vit, "eager"),
    "vit-sdpa": partial(hugging_face_vit, "sdpa"),
    "timm-vit": timm_vit,
    "torch-encoder": torch_encoder,
    "llama-eager": partial(decoder, "Llama", "eager"),
    **{name.lower(): partial(decoder, name) for name in ("Llama", "Qwen2", "Qwen3", "Gemma3Text", "GPT2")},
}


@pytest.mark.parametrize("name", CASES)
def test_relevance_is_lxts(name: str) -> None:
    net, shape, targets = CASES[name]()
    x = torch.rand(shape, dtype=torch.float64) - 0.3
    plain = net(x)
    off = difference(net, x, targets)
    print(f"{name}: {off:.1e}")  # quoted in docs/adapters/torch.md: pytest -s
    assert off < 1e-6  # LXT adds 1e-10 to what activations divide by, whatever its sign
    assert torch.equal(net(x), plain)  # and nothing stays patched


def test_lxts_own_patch_of_torchs_attention_is_another_rule() -> None:
    """CP-LRP sends nothing through the softmax: the same as AttnLRP only if queries and keys are constants."""
    net, shape, targets = torch_encoder()
    x = torch.rand(shape, dtype=torch.float64) - 0.3
    cp = targets | {nn.MultiheadAttention: method(lxt().cp_multi_head_attention_forward, keep_original=True)}
    assert difference(net, x, targets) < 1e-6
    assert difference(net, x, cp) > 0.1
