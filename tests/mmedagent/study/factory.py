"""Made-up studies with planted effects: random letters, right as often as a test says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmedagent.study.context import Row
from mmedagent.study.folder import (
    Evidence,
    cell_path,
    pool_path,
    read_evidence,
    shared_path,
    study_path,
    write_file,
)
from mmedagent.study.schema import (
    Cell,
    CellSeconds,
    Cost,
    CurvePoint,
    Decisions,
    Pool,
    Shared,
    SharedPool,
    StageDecisions,
    Study,
)

PANEL = ("alder", "birch", "cedar")
KINDS = ("modality", "region", "plane", "stain")


@dataclass(frozen=True)
class Plan:
    """How right a row is: by tier, with a shift of its own for each seed and stage."""

    easy: float = 0.95
    medium: float = 0.65
    hard: float = 0.15
    follows: float = 0.7
    """How often a wrong answer on a case with a wrong consensus is that consensus."""
    spread: float = 0.01
    """Standard deviation of a seed's own shift."""
    stages: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    seeds: int = 3


class Factory:
    """Draws a whole study; every row with the same `Plan` is equally good."""

    def __init__(self, images: int = 60, questions: int = 4, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self.pools = {name: self._pool(name, images, questions) for name in ("validation", "test")}
        self._shared: dict[int, Shared] = {}

    def write(self, folder: Path, rows: Mapping[Row, Plan] | list[tuple[Row, Plan]]) -> Evidence:
        """Write the study's files to `folder` and read them back."""
        study = Study(
            recipe="laptop", settings={"training": {"steps": 1}}, recipe_digest="r" * 64,
            data_digest="d" * 64, panel_digest="p" * 64, base_digest="b" * 64,
            pools=("validation", "test"),
        )  # fmt: skip
        write_file(study_path(folder), study)
        for name, pool in self.pools.items():
            write_file(pool_path(folder, name), pool)
        for row, plan in rows:
            for seed in range(plan.seeds):
                write_file(cell_path(folder, row.name, seed), self.cell(row, seed, plan))
        for seed, shared in self._shared.items():
            write_file(shared_path(folder, seed), shared)
        return read_evidence(folder)

    def shared(self, seed: int) -> Shared:
        """What the seed's panel says: tiers 1/3 each."""
        if seed not in self._shared:
            pools = {name: self._said(pool) for name, pool in self.pools.items()}
            self._shared[seed] = Shared(
                seed=seed, revision="abc", cpu_seconds={"warm_start_attending": 8.0, "triage": 9.5},
                pools=pools, best_specialist="birch", triage={"start_greedy": 0.7},
            )  # fmt: skip
        return self._shared[seed]

    def cell(self, row: Row, seed: int, plan: Plan) -> Cell:
        """One cell as `plan` says."""
        shared = self.shared(seed)
        shift = self._random.normal(0, plan.spread)
        rates = (plan.easy, plan.medium, plan.hard)
        decided: dict[str, Decisions] = {}
        for name, said in shared.pools.items():
            greedy = self._letters(self.pools[name], said, rates, plan.follows, shift)
            sampled = tuple(
                self._letters(self.pools[name], said, rates, plan.follows, shift - 0.05)
                for _ in range(2)
            )
            decided[name] = Decisions(greedy=greedy, sampled=sampled)
        after = {
            stage: {
                "test": StageDecisions(
                    greedy=self._letters(
                        self.pools["test"], shared.pools["test"], at, plan.follows, shift
                    )
                )
            }
            for stage, at in plan.stages.items()
        }
        return Cell(
            row=row.name, group=row.group, seed=seed, spec=dict(row.spec), revision="abc",
            recipe_digest="r" * 64, data_digest="d" * 64,
            cpu_seconds=CellSeconds(train=30.0 + seed, evaluate=9.0), pools=decided, stages=after,
            curve=tuple(self._curve(row)) if plan.stages else (),
            cost=Cost(specialist_calls=3, prompt_tokens=80, completion_tokens=20, seconds=0.02),
        )  # fmt: skip

    def _pool(self, name: str, images: int, questions: int) -> Pool:
        size = images * questions
        specialty = self._random.choice(["Radiologist", "Pathologist", "Dermatologist"], images)
        return Pool(
            pool=name,
            case_ids=tuple(f"{name}-{number}" for number in range(size)),
            gold="".join(self._random.choice(list("ABCD"), size)),
            clusters=tuple(int(n) for n in np.repeat(np.arange(images), questions)),
            specialty=tuple(str(s) for s in np.repeat(specialty, questions)),
            question_type=tuple(KINDS[n % 4] for n in range(size)),
            familiar=tuple(1 if n // questions % 3 else 0 for n in range(size)),
        )

    def _said(self, pool: Pool) -> SharedPool:
        letters: dict[str, list[str]] = {name: [] for name in PANEL}
        for gold in pool.gold:
            tier = self._random.integers(3)
            wrong = _other(gold, self._random)
            said = [gold] * 3 if tier == 0 else [wrong] * 3
            if tier == 1:
                said[self._random.integers(3)] = gold
            elif tier == 2 and self._random.random() < 0.3:
                said[0] = _other(gold, self._random)
            for name, letter in zip(PANEL, said, strict=True):
                letters[name].append(letter)
        role = tuple(
            None if self._random.random() < 0.02 else name
            if self._random.random() < 0.85 else "Surgeon"
            for name in pool.specialty
        )  # fmt: skip
        return SharedPool(role=role, opinions={n: "".join(v) for n, v in letters.items()})

    def _letters(
        self,
        pool: Pool,
        said: SharedPool,
        rates: tuple[float, float, float],
        follows: float,
        shift: float,
    ) -> str:
        letters = []
        for number, gold in enumerate(pool.gold):
            opinions = [said.opinions[name][number] for name in PANEL]
            right = opinions.count(gold)
            rate = rates[{3: 0, 0: 2}.get(right, 1)]
            if self._random.random() < rate + shift:
                letters.append(gold)
            elif right == 0 and len(set(opinions)) == 1 and self._random.random() < follows:
                letters.append(opinions[0])
            else:
                letters.append(_other(gold, self._random))
        return "".join(letters)

    def _curve(self, row: Row) -> list[CurvePoint]:
        level = {"zero": 0.1, "constant": 0.5}.get(str(row.spec.get("gamma", "")), 0.8)
        return [
            CurvePoint(
                stage=stage, step=5 * number + 5, reward=0.8, accuracy=0.6,
                entropy=float(level * np.exp(-number / 20) + self._random.normal(0, 0.02)),
                kl=0.02, zero_variance_share=float(np.clip(0.3 + number / 100, 0, 1)),
            )
            for number, stage in enumerate(np.repeat(["easy", "medium", "hard"], 14))
        ]  # fmt: skip


def _other(gold: str, random: np.random.Generator) -> str:
    return str(random.choice([letter for letter in "ABCD" if letter != gold]))
