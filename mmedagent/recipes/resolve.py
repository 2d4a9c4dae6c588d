"""From a recipe's name and the command line's overrides to one validated recipe.

`resolve("laptop", ["training.triage.steps=20"])` names, for a wrong path or value, the field's
path, what was allowed, and the nearest match.
"""

import difflib
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mmedagent.errors import UsageError
from mmedagent.recipes.named import RECIPES
from mmedagent.recipes.schema import Recipe


def resolve(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe called `name` with `overrides` (`path.to.field=value`) applied.

    A value is read as YAML: `20`, `3e-4`, `true`, `[easy, hard]`, `null`, `{rank: 8}`.

    Raises:
        UsageError: an unknown recipe or field, or a value that the field does not allow.
    """
    if name not in RECIPES:
        raise UsageError(
            f"unknown recipe {name!r}: the recipes are {', '.join(RECIPES)}."
            f"{_nearest(name, RECIPES)}"
        )
    recipe = RECIPES[name]()
    values = recipe.model_dump(mode="json")
    apply_overrides(values, overrides)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> None:
    """Set fields of the nested `values` as `path.to.field=value` says, in place.

    Raises:
        UsageError: a field that `values` does not have, or a value that is no YAML.
    """
    for override in overrides:
        _apply(values, override)


def spell_out(recipe: Recipe) -> str:
    """Return `recipe` as YAML, every field with its value, in the order of the schema."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, width=100)


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {override!r}: write it as path.to.field=value")
    keys = path.strip().split(".")
    section: Any = values
    for depth, key in enumerate(keys):
        trail = ".".join(keys[: depth + 1])
        if isinstance(section, list):
            section, key = _step_into_list(section, key, trail)
        elif not isinstance(section, dict):
            raise UsageError(f"--set {path}: {'.'.join(keys[:depth])} is a value, not a section")
        elif key not in section:
            raise UsageError(_unknown_field(trail, key, section))
        if depth == len(keys) - 1:
            value = _read(text, path)
            # A section as a whole may be set to null (where that is allowed) or to a mapping.
            if isinstance(section[key], dict) and not isinstance(value, dict | None):
                raise UsageError(
                    f"--set {path}: this is a section; set one of its fields: "
                    + ", ".join(f"{path}.{name}" for name in section[key])
                )
            section[key] = value
        else:
            section = section[key]


def _step_into_list(section: list[Any], key: str, trail: str) -> tuple[Any, Any]:
    if not key.isdigit() or int(key) >= len(section):
        raise UsageError(f"--set {trail}: a list of {len(section)}; write an index from 0")
    return section, int(key)


def _read(text: str, path: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {path}={text}: not a YAML value: {error}") from None
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 3e-4, without a point, as text
        except ValueError:
            return value
    return value


def _unknown_field(trail: str, key: str, section: dict[str, Any]) -> str:
    parent = trail.rpartition(".")[0] or "the recipe"
    return f"unknown field {trail}: {parent} has {', '.join(section)}.{_nearest(key, section)}"


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        path = ".".join(str(part) for part in problem["loc"]) or "the recipe"
        got = problem.get("input")
        line = f"{path}: {problem['msg'].removeprefix('Value error, ')}"
        if not isinstance(got, dict):
            line += f"; got {got!r}"
        choices = _choices(problem["loc"])
        if choices:
            line += f". Allowed: {', '.join(map(repr, choices))}."
            line += _nearest(str(got), [str(choice) for choice in choices])
        lines.append(line)
    return "\n".join(lines)


def _choices(loc: tuple[int | str, ...]) -> tuple[Any, ...]:
    """Return the literal values that the field at `loc` allows, if it is of that kind."""
    annotation: Any = Recipe
    for part in loc:
        if isinstance(part, int):
            continue  # an entry of a list: `_literals` looks at what entries may be
        fields = _fields(annotation)
        if fields is None or part not in fields:
            return ()
        annotation = fields[part].annotation
    return _literals(annotation)


def _fields(annotation: Any) -> dict[Any, Any] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return dict(annotation.model_fields)
    return None


def _literals(annotation: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType, typing.Annotated, tuple, list):
        return tuple(v for part in typing.get_args(annotation) for v in _literals(part))
    return ()
