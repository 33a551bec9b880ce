"""Which rows of which source a training step sees: pure functions of seed, epoch and position.

Nothing here has a state, so a resumed run needs only the epoch and the number of batches done.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from biomedgpt_fairseq.data.mixture_shares import apportion
from biomedgpt_fairseq.data.sampling import epoch_order

Kind = Literal["image_text", "text", "image", "detection"]

# In as few bytes as the numbers need: there may be very many rows.
Order = npt.NDArray[np.unsignedinteger[Any]]

ROUND = 8
"""Of so many main rows, one brings rows of the other kinds along."""
ROWS_PER_ROUND: dict[Kind, int] = {"text": 2, "image": 1, "detection": 1}


class Pick(NamedTuple):
    """A row of a source, in an epoch of that source (from 1)."""

    source: int
    epoch: int
    row: int


@dataclass(frozen=True)
class Source:
    """Rows of one kind under one name."""

    name: str
    kind: Kind
    rows: int


class Plan(Protocol):
    """Slots of an epoch; a batch is a number of consecutive slots."""

    def slots(self, epoch: int) -> int:
        """Number of slots of an epoch (from 1)."""

    def picks(self, epoch: int, slot: int) -> tuple[Pick, ...]:
        """The rows of a slot."""

    def item(self, epoch: int, index: int) -> tuple[Pick, ...]:
        """The rows at an index of the dataset, in the order of the files where there is one."""

    def passes(self, epoch: int) -> list[float]:
        """Effective epochs: how often each source has been seen when an epoch ends."""


class Stream:
    """The endless sequence of a source's rows.

    Each of its own epochs has every row once, in an order of its own, however long the epochs of
    the training are.
    """

    def __init__(self, rows: int, seed: int) -> None:
        if rows < 1:
            raise ValueError(f"a source of the mixture must have rows, found {rows}")
        self.rows = rows
        self.seed = seed
        self._orders: dict[int, Order] = {}

    def __reduce__(self) -> tuple[type[Stream], tuple[int, int]]:
        return Stream, (self.rows, self.seed)  # orders are large, and quickly made again

    def __call__(self, position: int) -> tuple[int, int]:
        """Epoch (from 1) and row at a position from 0."""
        epoch, place = divmod(position, self.rows)
        return epoch + 1, int(self._order(epoch + 1)[place])

    def _order(self, epoch: int) -> Order:
        if epoch not in self._orders:
            # Two are kept: a training epoch may run over the end of one of the source's.
            recent = dict(list(self._orders.items())[-1:])
            order = epoch_order(self.rows, self.seed, epoch).numpy()
            self._orders = {**recent, epoch: order.astype(np.min_scalar_type(self.rows))}
        return self._orders[epoch]


def source_seed(seeds: Sequence[int], name: str) -> int:
    """Seed of a source's order and rows: sources of one run have nothing in common."""
    entropy = [*(seed & 0xFFFFFFFF for seed in seeds), zlib.crc32(name.encode())]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])


class ReleasedPlan:
    """The ratios of the released models: every slot has a row of the main source; of eight, one
    also has two texts, an infilling image and a detection image, where there are such sources.

    main_files: rows of every main file; epoch e reads file (e - 1) modulo their number, which is
    source 0.  others: sources 1, 2, ..
    """

    def __init__(
        self, main_files: Sequence[int], others: Sequence[Source], seeds: Sequence[int]
    ) -> None:
        self._main = [
            Stream(rows, source_seed(seeds, f"main {i}")) for i, rows in enumerate(main_files)
        ]
        self._others = list(others)
        self._streams = [Stream(s.rows, source_seed(seeds, s.name)) for s in others]

    def slots(self, epoch: int) -> int:
        return self._main[(epoch - 1) % len(self._main)].rows

    def picks(self, epoch: int, slot: int) -> tuple[Pick, ...]:
        use, file = divmod(epoch - 1, len(self._main))
        stream = self._main[file]
        return (Pick(0, *stream(use * stream.rows + slot)), *self._side_picks(epoch, slot))

    def item(self, epoch: int, index: int) -> tuple[Pick, ...]:
        return (Pick(0, epoch, index), *self._side_picks(epoch, index))

    def passes(self, epoch: int) -> list[float]:
        rounds = self._rounds_before(epoch + 1)
        shown = [rounds * ROWS_PER_ROUND[other.kind] / other.rows for other in self._others]
        return [epoch / len(self._main), *shown]

    def _side_picks(self, epoch: int, slot: int) -> Iterator[Pick]:
        if slot % ROUND == 0:
            number = self._rounds_before(epoch) + slot // ROUND
            for index, other in enumerate(self._others):
                count = ROWS_PER_ROUND[other.kind]
                for position in range(number * count, (number + 1) * count):
                    yield Pick(index + 1, *self._streams[index](position))

    def _rounds_before(self, epoch: int) -> int:
        whole, rest = divmod(epoch - 1, len(self._main))
        rounds = [-(-stream.rows // ROUND) for stream in self._main]
        return whole * sum(rounds) + sum(rounds[:rest])


class SharesPlan:
    """One row a slot, each source having its share of every stretch of slots.

    shares: positive or zero, one for each source; epoch_slots: slots of an epoch.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shares: Sequence[float],
        epoch_slots: int,
        seeds: Sequence[int],
    ) -> None:
        self._sources = list(sources)
        self.counts = apportion(epoch_slots, shares)
        self._streams = [Stream(s.rows, source_seed(seeds, s.name)) for s in sources]
        self._seed = source_seed(seeds, "mixture")
        self._ends = np.cumsum(self.counts)
        self._orders: dict[int, Order] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_orders": {}}

    def slots(self, epoch: int) -> int:
        return int(self.counts.sum())

    def picks(self, epoch: int, slot: int) -> tuple[Pick, ...]:
        if epoch not in self._orders:
            self._orders = {epoch: self._order(epoch)}
        place = int(self._orders[epoch][slot])
        owner = int(np.searchsorted(self._ends, place, side="right"))
        rank = place - int(self._ends[owner] - self.counts[owner])
        position = (epoch - 1) * int(self.counts[owner]) + rank
        return (Pick(owner, *self._streams[owner](position)),)

    def item(self, epoch: int, index: int) -> tuple[Pick, ...]:
        return self.picks(epoch, index)

    def passes(self, epoch: int) -> list[float]:
        counts = self.counts.tolist()
        return [epoch * n / s.rows for n, s in zip(counts, self._sources, strict=True)]

    def _order(self, epoch: int) -> Order:
        """What is at each slot (N,), as a number among all rows of this epoch, source by source.

        Each source is spread evenly, from a random start on.
        """
        starts = np.random.default_rng([self._seed, epoch]).random(len(self.counts))
        total = int(self.counts.sum())
        times = np.empty(total)
        for start, count, end in zip(starts, self.counts, self._ends, strict=True):
            times[end - count : end] = (np.arange(count) + start) / count
        return np.argsort(times, kind="stable").astype(np.min_scalar_type(total))


class EvaluationPlan:
    """Every row of every source once, one a slot, source by source; the same in every epoch."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._ends = np.cumsum([source.rows for source in sources])

    def slots(self, epoch: int) -> int:
        return int(self._ends[-1])

    def picks(self, epoch: int, slot: int) -> tuple[Pick, ...]:
        source = int(np.searchsorted(self._ends, slot, side="right"))
        first = int(self._ends[source - 1]) if source else 0
        return (Pick(source, 1, slot - first),)

    def item(self, epoch: int, index: int) -> tuple[Pick, ...]:
        return self.picks(epoch, index)

    def passes(self, epoch: int) -> list[float]:
        return [1.0] * len(self._ends)
