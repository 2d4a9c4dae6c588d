"""A small home with everything that is registered and served: real tiny models, a real panel."""

import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from mmedagent.atomic import write_json
from mmedagent.consultation.doctor import Sampling
from mmedagent.digests import digest_folder
from mmedagent.panel.folder import MANIFEST, panel_manifest
from mmedagent.recipes.panel import PanelRecipe
from mmedagent.registry.register import RunFacts, Trained
from mmedagent.registry.version import NONE, Settings

NAMES = ("alder", "birch", "cedar")
CORPUS = [
    "triage: attending: opinions: <think> of </think> <answer> </answer> Radiologist Pathologist",
    "Which modality is this? A CT B MR 1 2 3",
]


def picture(side: int = 28) -> bytes:
    """Return a PNG."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def settings() -> Settings:
    """Return how the tiny pair is asked."""
    return Settings(style="compact", sampling=Sampling(max_new_tokens=6), panel=PanelRecipe())


def paper_models(folder: Path, seed: int = 0) -> Trained:
    """Write folders that can be registered and not loaded: enough for the registry, and quick."""
    for name in ("triage", "attending", "start-triage", "start-attending"):
        (folder / name).mkdir(parents=True)
        (folder / name / "model.safetensors").write_text(f"{name} {seed}")
        (folder / name / "curves.jsonl").write_text(_curve(seed))
    digests = {}
    for name in NAMES:
        (folder / "panel" / name).mkdir(parents=True)
        (folder / "panel" / name / "model.safetensors").write_text(name)
        digests[name] = digest_folder(folder / "panel" / name)
    write_json(folder / "panel" / MANIFEST, panel_manifest(digests))
    return _trained(folder)


def tiny_models(folder: Path, seed: int = 0) -> Trained:
    """Write real tiny models with random weights: a pair, its Start, a panel of three."""
    from mmedagent.models.save import save_model
    from mmedagent.models.tiny import build_tiny
    from mmedagent.recipes.model import TinyModel

    shape = TinyModel(
        hidden_size=32, layers=1, heads=2, intermediate_size=32, vision_hidden_size=32
    )
    digests = {}
    names = ("triage", "attending", "start-triage", "start-attending")
    for offset, name in enumerate(names):
        model, processor = build_tiny(shape, CORPUS, 10 * seed + offset)
        save_model(folder / name, model, processor, {"curves.jsonl": _curve(seed).encode()})
    for offset, name in enumerate(NAMES):
        model, processor = build_tiny(shape, CORPUS, 100 + offset)
        digests[name] = save_model(folder / "panel" / name, model, processor)
    write_json(folder / "panel" / MANIFEST, panel_manifest(digests))
    return _trained(folder)


def judged(trained: Trained, verdict: str, remark: str = "") -> Trained:
    """Return `trained` with another verdict."""
    path = trained.verdict.with_name(f"verdict-{verdict}{remark}.json")
    write_json(path, {"schema": 1, "verdict": verdict, "reasons": [remark]})
    return replace(trained, verdict=path)


@dataclass
class Facts:
    """Facts of a run, with what tests vary."""

    planned: str = "planned-1"
    against: str = NONE
    params: dict[str, Any] = field(default_factory=lambda: {"training": {"triage": {"steps": 2}}})

    def make(self) -> RunFacts:
        """Return them."""
        return RunFacts(
            planned_inputs=self.planned,
            judged_against=self.against,
            run="20240101T000000Z-abcdef01",
            params=self.params,
            datasets={"data": "0" * 32 + ".dir"},
            tags={"code_digest": "c" * 64},
        )


def _trained(folder: Path) -> Trained:
    write_json(folder / "metrics.json", {"challenger": {"accuracy": 0.75, "note": "text"}})
    write_json(folder / "verdict.json", {"schema": 1, "verdict": "pass", "reasons": []})
    return Trained(
        triage=folder / "triage",
        attending=folder / "attending",
        start_triage=folder / "start-triage",
        start_attending=folder / "start-attending",
        panel=folder / "panel",
        metrics=folder / "metrics.json",
        verdict=folder / "verdict.json",
        curves={"triage-rl": folder / "triage" / "curves.jsonl"},
    )


def _curve(seed: int) -> str:
    rows = [
        {"stage": "triage", "step": n, "reward": 0.1 * n + seed, "kl": None} for n in range(1, 4)
    ]
    return "\n".join(json.dumps(row) for row in rows) + "\n"
