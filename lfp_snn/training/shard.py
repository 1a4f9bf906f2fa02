"""Each process's share of the examples."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler


class Shard(Sampler[int]):
    """Every `world`-th index of an order, beginning with the `rank`-th.

    The first ``B/world`` indices of all the processes together are the first ``B`` of the order, and so on: the
    processes share each batch, they do not have batches of their own.

    Parameters
    ----------
    order : Sampler or range
        All indices.
    rank, world : int
        Number of this process, and of all processes.
    even : bool
        Leave out the last few indices that not every process would get (training: the processes step together).

    Examples
    --------
    >>> list(Shard(range(5), rank=1, world=2))
    [1, 3]
    >>> len(Shard(range(5), rank=0, world=2)), len(Shard(range(5), rank=0, world=2, even=True))
    (3, 2)
    """

    def __init__(self, order: Sampler[int] | range, rank: int = 0, world: int = 1, *, even: bool = False) -> None:
        self.order, self.rank, self.world = order, rank, world
        size = len(order)  # type: ignore[arg-type]  # torch leaves __len__ out of Sampler
        self._end = size - size % world if even else size

    def set_epoch(self, epoch: int) -> None:
        """Tell the order which epoch begins."""
        if isinstance(self.order, Sampler) and hasattr(self.order, "set_epoch"):
            self.order.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the number of indices of this process."""
        return len(range(self.rank, self._end, self.world))

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this process."""
        for position, index in enumerate(self.order):
            if position < self._end and position % self.world == self.rank:
                yield index
