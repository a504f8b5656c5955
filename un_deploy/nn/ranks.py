"""The processes whose tokens count as one batch, and sums over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

from un_deploy.errors import InputError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@dataclass(frozen=True)
class Ranks:
    """Those of a process group, or this process alone.

    A copy keeps the group; a pickled one comes back alone, since a group lives in its processes.

    Attributes:
        group: None is this process alone, which exchanges nothing.
    """

    group: ProcessGroup | None = None

    @property
    def alone(self) -> bool:
        """Whether nothing is exchanged."""
        return self.group is None

    @property
    def size(self) -> int:
        """How many there are."""
        return 1 if self.alone else distributed.get_world_size(self.group)

    def sum(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """The sum of each over the processes, in one exchange; all of one dtype and device.

        Every process gets the same bits. Autograd does not see through: a backward whose gradient
        passes through a sum over all processes takes such a sum itself.

        Raises:
            InputError: within torch.export, whose program would have no processes.
        """
        if self.alone:
            return parts
        if torch.compiler.is_exporting():
            raise InputError(
                "torch.export cannot keep a process group: set process_group = None to export "
                "the training of one process, or call eval()"
            )
        flat = torch.cat([part.flatten() for part in parts])
        distributed.all_reduce(flat, group=self.group)
        sums = flat.split([part.numel() for part in parts])
        return tuple(one.view(part.shape) for one, part in zip(sums, parts, strict=True))

    def mean(self, rows: Tensor) -> Tensor:
        """(C,) of (n, C), over the rows of all processes."""
        if self.alone:
            return rows.mean(0)
        total, count = self.sum(rows.sum(0), rows.new_tensor(len(rows)))
        return total / count

    def __copy__(self) -> Ranks:
        return self

    def __deepcopy__(self, memo: object) -> Ranks:
        return self

    def __reduce__(self) -> tuple[type[Ranks], tuple[()]]:
        return Ranks, ()


ALONE = Ranks()
