"""Transformers of Hugging Face and timm, as they are, train with LFP."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, rewards
from lfp_snn.rules import Gamma

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_labels": 3,
}
TEXT: dict[str, Any] = SMALL | {
    "vocab_size": 50,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
DECODER: dict[str, Any] = TEXT | {"num_key_value_heads": 2, "head_dim": 8}
GPT2: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16, "activation_function": "gelu_new"}

OPTIONS: dict[str, dict[str, Any]] = {
    "ViT": SMALL | {"image_size": 28, "patch_size": 7, "hidden_dropout_prob": 0.1},
    "Bert": TEXT,
    "GPT2": {k: v for k, v in TEXT.items() if k not in SMALL} | GPT2 | {"num_labels": 3},
    "Llama": DECODER,
    "Qwen3": DECODER,
    "Gemma": DECODER,
}


def hugging_face(name: str, implementation: str = "sdpa") -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a small classifier and a batch for it."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(**OPTIONS[name], attn_implementation=implementation)
    task = "Image" if name == "ViT" else "Sequence"
    net = getattr(transformers, f"{name}For{task}Classification")(config)
    if name == "ViT":
        return net, {"pixel_values": torch.randn(4, 3, 28, 28)}
    ids = torch.randint(3, 50, (4, 7))
    mask = torch.ones_like(ids)
    ids[0, 5:], mask[0, 5:] = 0, 0
    return net, {"input_ids": ids, "attention_mask": mask}


LABELS = torch.tensor([0, 2, 1, 1])


def feedback(net: nn.Module, batch: dict[str, Tensor], epsilon: float = 1e-6) -> dict[str, Tensor]:
    net.zero_grad()
    with LFP(epsilon, scale_floor=0.01).context(net):
        rewards.Softmax()(net(**batch).logits, LABELS).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_parameter_gets_feedback(name: str, training: bool) -> None:
    net, batch = hugging_face(name)
    net.train(training)
    got = feedback(net, batch)
    assert set(got) == {name for name, _ in net.named_parameters()}
    assert all(torch.isfinite(g).all() for g in got.values())
    assert [n for n, g in got.items() if not g.any()] == []


@pytest.mark.parametrize("name", OPTIONS)
def test_attention_written_out_and_fused_give_the_same_feedback(name: str) -> None:
    net, batch = hugging_face(name, "eager")
    net.double().eval()
    batch = {k: x.double() if x.is_floating_point() else x for k, x in batch.items()}
    for epsilon, tolerance in ((1e-10, 1e-6), (1e-6, 1e-4)):  # adding a mask has an epsilon of its own
        net.set_attn_implementation("eager")
        eager = torch.cat([g.flatten() for g in feedback(net, batch, epsilon).values()])
        net.set_attn_implementation("sdpa")
        fused = torch.cat([g.flatten() for g in feedback(net, batch, epsilon).values()])
        off = float((eager - fused).norm() / fused.norm())
        print(f"{name}, epsilon {epsilon}: {off:.1e}")
        assert off < tolerance


@pytest.mark.parametrize("name", ["ViT", "Llama"])
def test_a_few_steps_raise_the_reward(name: str) -> None:
    net, batch = hugging_face(name)
    optimizer, reward, losses = torch.optim.Adam(net.parameters(), 3e-3), rewards.Softmax(), []
    for _ in range(15):
        optimizer.zero_grad()
        with LFP(scale_floor=0.01).context(net):
            logits = net(**batch).logits
            reward(logits, LABELS).backward()
        losses.append(nn.functional.cross_entropy(logits, LABELS).item())
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0], losses


@pytest.mark.parametrize("fused", [True, False])
def test_a_vit_of_timm_trains(fused: bool) -> None:
    timm = pytest.importorskip("timm")
    size: dict[str, Any] = {"img_size": 28, "patch_size": 7, "embed_dim": 32, "depth": 2, "num_heads": 4}
    net = timm.models.VisionTransformer(**size, num_classes=3)
    for block in net.blocks:
        block.attn.fused_attn = fused
    x, losses = torch.randn(4, 3, 28, 28), []
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(15):
        optimizer.zero_grad()
        with LFP(scale_floor=0.01).context(net):
            logits = net(x)
            rewards.Softmax()(logits, LABELS).backward()
        assert all(torch.isfinite(p.grad).all() for p in net.parameters())
        losses.append(nn.functional.cross_entropy(logits, LABELS).item())
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0], losses


@pytest.mark.parametrize("where", ["transformers.activations", "timm.layers.activations"])
def test_an_activation_that_is_written_out_hands_its_reward_through(where: str) -> None:
    pytest.importorskip(where.partition(".")[0])
    module = pytest.importorskip(where)
    gelu = getattr(module, "NewGELUActivation" if "transformers" in where else "QuickGELU")()
    net, x = nn.Sequential(nn.Linear(4, 6), gelu, nn.Linear(6, 3)).double(), torch.randn(5, 4, dtype=torch.float64)
    with LFP(epsilon=0.0).context(net):
        net(x).backward(torch.ones(5, 3, dtype=torch.float64))
    z = net[0](x)
    g = (gelu(z) / z) * ((1 / net(x)) @ net[2].weight)
    torch.testing.assert_close(net[0].weight.grad, net[0].weight.abs() * (g.mT @ x))


class Addmm(nn.Module):
    """A linear layer of which torch sees ``addmm``, with its weights the other way round."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(layer.weight.detach().t().clone()), nn.Parameter(layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


@pytest.mark.parametrize("lfp", [LFP(), LFP(rule=Gamma(0.25))])
def test_addmm_with_weights_is_a_linear_layer(lfp: LFP) -> None:
    layer, x = nn.Linear(5, 4), torch.randn(6, 5)
    other = Addmm(layer)
    for net in (layer, other):
        with lfp.context(net):
            net(x).sum().backward()
    torch.testing.assert_close(other.weight.grad, layer.weight.grad.t())
    torch.testing.assert_close(other.bias.grad, layer.bias.grad)


def test_addmm_of_signals_is_a_product() -> None:
    class Signals(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.baddbmm(torch.zeros(1), a, b, alpha=2.0)

    a, b = torch.rand(2, 3, 4, requires_grad=True), torch.rand(2, 4, 3, requires_grad=True)
    with LFP(epsilon=0.0).context(net := Signals()):
        y = net(a, b)
        y.backward(y.detach())  # the reward of each output is its value: its density is 1
    for x in (a, b):
        torch.testing.assert_close((x * x.grad).sum().detach(), y.sum().detach() / 2)


@pytest.mark.parametrize(
    "root", [torch.rsqrt, lambda v: v**-0.5, lambda v: 1 / v.sqrt(), lambda v: v.sqrt().reciprocal()]
)
def test_a_normalisation_written_out_is_rms_norm(root: Any) -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(-0.5, 0.5, 6))

        def forward(self, x: Tensor) -> Tensor:
            return x * root(x.pow(2).mean(-1, keepdim=True) + 1e-6) * (1.0 + self.weight)

    written, norm = Written(), nn.RMSNorm(6, eps=1e-6)
    with torch.no_grad():
        norm.weight.copy_(1 + written.weight)
    got, want = (torch.randn(4, 6).requires_grad_() for _ in range(2))
    want.data = got.data
    for net, x in ((written, got), (norm, want)):
        with LFP().context(net):
            net(x).sum().backward()
    torch.testing.assert_close(got.grad, want.grad)
    torch.testing.assert_close(written.weight.grad * norm.weight, norm.weight.grad * written.weight.abs())
