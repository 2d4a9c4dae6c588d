"""Who may learn from which part of a source: a pool for the whole, or blocks with gaps."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmedagent.cases.case import Pool


@dataclass(frozen=True)
class Blocks:
    """A source in equal blocks, one pool each, with the end of every block left out as a gap.

    With one pool it is a source that belongs to that pool whole.
    """

    pools: Sequence[Pool]
    gap: float = 0.25
    """Share of a block that is left out at its end."""

    def pool(self, position: float) -> Pool | None:
        """Return the pool at `position` (0 to 1 along the source), or None inside a gap."""
        if not 0.0 <= position <= 1.0:
            return None
        if len(self.pools) == 1:
            return self.pools[0]
        place = min(position, 1 - 1e-9) * len(self.pools)
        return self.pools[int(place)] if place % 1.0 < 1.0 - self.gap else None


def whole(pool: Pool) -> Blocks:
    """Return the plan of a source that one pool has to itself."""
    return Blocks((pool,))
