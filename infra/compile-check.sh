#!/usr/bin/env bash
# The DAG compiles for every recipe, deterministically, and params.yaml is what the recipe says.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for recipe in $(python -c 'from mmedagent.recipes.named import RECIPES; print(*RECIPES)'); do
  mmedagent compile --recipe "$recipe" --output "$scratch/$recipe-1.yaml"
  mmedagent compile --recipe "$recipe" --output "$scratch/$recipe-2.yaml"
  cmp "$scratch/$recipe-1.yaml" "$scratch/$recipe-2.yaml"
done
python -m mmedagent.recipes.params --check
