"""The base that both doctors start from: the DVC stage `base`."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from mmedagent.cases.store import read_cases
from mmedagent.errors import MMedAgentError, UsageError
from mmedagent.models.corpus import CORPUS_POOLS, corpus
from mmedagent.models.save import save_model
from mmedagent.models.tiny import build_tiny
from mmedagent.recipes.model import ModelRecipe


def build_base(recipe: ModelRecipe, cases: Path, out: Path) -> dict[str, Any]:
    """Build the randomly initialised tiny base, with a tokenizer for the words of `cases`.

    The same recipe and cases give the same bytes. Raises `UsageError` for a recipe of kind
    `pretrained`: its base is not built but named by `path`.
    """
    if recipe.kind != "tiny":
        raise UsageError(f"model.kind is {recipe.kind!r}: there is nothing to build")
    texts = corpus(read_cases(cases, list(CORPUS_POOLS)), recipe.style)
    model, processor = build_tiny(recipe.tiny, texts, recipe.seed)
    digest = save_model(out, model, processor)
    return {
        "digest": digest,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": len(processor.tokenizer),
    }


def main() -> int:
    """Build the base that `params.yaml` describes: what `dvc repro base` calls."""
    parser = argparse.ArgumentParser(description="Build the tiny base model.")
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
