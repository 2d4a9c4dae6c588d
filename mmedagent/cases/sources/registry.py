"""The adapters by name; a module is imported when its adapter is asked for."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from mmedagent.cases.sources.contract import Source
from mmedagent.errors import UsageError

_MODULES = {
    "vqa-rad": "mmedagent.cases.sources.vqa_rad",
    "slake": "mmedagent.cases.sources.slake",
    "path-vqa": "mmedagent.cases.sources.path_vqa",
    "omni-med-vqa": "mmedagent.cases.sources.omni_med_vqa",
    "mmmu": "mmedagent.cases.sources.mmmu",
    "own": "mmedagent.cases.sources.own.adapter",
}
"""Name -> a module with an adapter named `SOURCE`."""


class _Sources(Mapping[str, Source]):
    def __getitem__(self, name: str) -> Source:
        adapter: Source = import_module(_MODULES[name]).SOURCE
        return adapter

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


SOURCES: Mapping[str, Source] = _Sources()
"""Adapter name -> adapter, loaded on access."""


def source(name: str) -> Source:
    """Return the adapter `name`. Raises `UsageError` that names the known ones."""
    if name not in _MODULES:
        raise UsageError(f"no source {name!r}; there are {', '.join(_MODULES)}")
    return SOURCES[name]
