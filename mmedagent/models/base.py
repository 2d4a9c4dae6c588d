"""The base that both doctors start from: the DVC stage `base`."""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

from mmedagent.cases.store import read_cases
from mmedagent.errors import BrokenEvidenceError, MMedAgentError
from mmedagent.models.corpus import CORPUS_POOLS, corpus
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.processor import ImageOnlyProcessor
from mmedagent.models.save import save_model
from mmedagent.models.tiny import build_tiny
from mmedagent.recipes.model import ModelRecipe


def build_base(recipe: ModelRecipe, cases: Path, out: Path) -> dict[str, Any]:
    """Put the base that `recipe` describes into the folder `out`.

    `tiny`: randomly initialised, with a tokenizer for the words of `cases`; the same recipe and
    cases give the same bytes. `pretrained`: a copy of `recipe.path` at `recipe.revision`, stored
    in `recipe.dtype`; a Hugging Face id is looked for on this machine only, unless
    `recipe.local_files_only` is off. Raises `BrokenEvidenceError` when it is not to be had.
    """
    if recipe.kind == "tiny":
        texts = corpus(read_cases(cases, list(CORPUS_POOLS)), recipe.style)
        model, processor = build_tiny(recipe.tiny, texts, recipe.seed)
        model = model.to(getattr(torch, recipe.dtype))
    else:
        model, processor = _pretrained(recipe)
    digest = save_model(out, model, processor)
    return {
        "digest": digest,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": len(processor.tokenizer),
    }


def _pretrained(recipe: ModelRecipe) -> tuple[Any, ImageOnlyProcessor]:
    where = Path(recipe.path) if Path(recipe.path).is_dir() else recipe.path
    local, revision = recipe.local_files_only, recipe.revision
    try:
        processor = load_processor(where, local_files_only=local, revision=revision)
        model = load_model(where, local_files_only=local, revision=revision, dtype=recipe.dtype)
        return model, processor
    except BrokenEvidenceError as error:
        if not local or isinstance(where, Path):
            raise
        raise BrokenEvidenceError(
            f"{recipe.path} is not on this machine: set model.local_files_only=false to fetch it"
            f" once (HF_HUB_OFFLINE must not be 1), or model.path to a folder that has it ({error})"
        ) from None


def main() -> int:
    """Build the base that `params.yaml` describes: what `dvc repro base` calls."""
    parser = argparse.ArgumentParser(description="Build or copy the base model.")
    parser.add_argument("--cases", type=Path, default=Path("data/starter"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--out", type=Path, default=Path("models/base"))
    arguments = parser.parse_args()
    recipe = ModelRecipe.model_validate(yaml.safe_load(arguments.params.read_text())["model"])
    try:
        facts = build_base(recipe, arguments.cases, arguments.out)
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    print(
        f"base {facts['digest'][:12]}: {facts['parameters']} parameters,"
        f" {facts['tokens']} tokens: {arguments.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
