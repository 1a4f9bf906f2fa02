"""What surrounds a forward pass: always left, also where the pass fails; modes as they were."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn.forward import Passage, around_forward, inside, mode


class Net(nn.Module):
    def forward(self, x: Tensor, fail: bool = False) -> Tensor | None:
        if fail:
            raise KeyError("inside")
        return x


def test_before_and_after_in_the_order_of_contexts() -> None:
    book: list[str] = []

    def noting(name: str) -> Any:
        def passage(module: nn.Module, args: Any, kwargs: Any) -> Passage:
            book.append(f"before {name}")
            output = yield None
            book.append(f"after {name}")
            return output + 1

        return passage

    net = Net()
    ends = [around_forward(net, noting("outer"), first=True), around_forward(net, noting("inner"), first=True)]
    assert net(torch.zeros(())) == 2
    assert book == ["before outer", "before inner", "after inner", "after outer"]
    for end in ends:
        end()
    assert net(torch.zeros(())) == 0


def test_other_arguments() -> None:
    def doubled(module: nn.Module, args: Any, kwargs: Any) -> Passage:
        return (yield tuple(2 * x for x in args), {k: 2 * v for k, v in kwargs.items()})

    net = Net()
    around_forward(net, doubled)
    assert net(torch.ones(())) == net(x=torch.ones(())) == 2


def test_contexts_are_left_where_the_pass_fails() -> None:
    net = Net()
    around_forward(net, inside(torch.no_grad))
    with pytest.raises(KeyError):
        net(torch.zeros(()), fail=True)
    assert torch.is_grad_enabled()
    net(torch.zeros(()))
    assert torch.is_grad_enabled()


def test_an_output_of_none_stays_none() -> None:
    class Nothing(nn.Module):
        def forward(self) -> None:
            return None

    net = Nothing()
    around_forward(net, inside(torch.no_grad))
    assert net() is None
    assert torch.is_grad_enabled()


def test_more_than_one_yield_is_an_error() -> None:
    def twice(module: nn.Module, args: Any, kwargs: Any) -> Passage:
        yield None
        yield None

    net = Net()
    around_forward(net, twice)
    with pytest.raises(RuntimeError, match="surrounds Net yields more than once"):
        net(torch.zeros(()))


@pytest.mark.parametrize("training", [True, False])
def test_modes_and_buffers_are_put_back(training: bool) -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3).eval(), nn.Dropout())
    try:
        with mode(net, training):
            assert all(m.training is training for m in net)
            net(torch.randn(8, 3) + 5)
            raise KeyError
    except KeyError:
        pass
    assert [m.training for m in net] == [True, False, True]
    assert not net[0].running_mean.any()
