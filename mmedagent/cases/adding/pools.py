"""Which pool a case belongs to: the source's official split, and what is carved from `train`."""

import hashlib

from mmedagent.cases.case import Pool
from mmedagent.cases.sources.contract import Split
from mmedagent.recipes.sets import PoolsRecipe


def pool_of(split: Split, subject: str, recipe: PoolsRecipe, has_validation: bool) -> Pool:
    """Return the pool of a case whose source has it in `split`.

    A subject of the train split falls into a pool by the hash of its name alone: all its cases go
    together, and more cases or subjects move none.
    """
    if split != "train":
        return split
    place = int.from_bytes(hashlib.sha256(f"pool\0{subject}".encode()).digest()[:8], "big") / 2**64
    shares: tuple[tuple[Pool, float], ...] = (
        ("panel", recipe.panel),
        ("warm_start", recipe.warm_start),
        ("validation", 0.0 if has_validation else recipe.validation),
    )
    for pool, share in shares:
        if place < share:
            return pool
        place -= share
    return "train"
