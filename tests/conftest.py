"""What tests of several rooms share: one real object store for the whole session.

Property tests draw the same examples every time, so that a red run is the commit's doing;
`HYPOTHESIS_PROFILE=explore` draws new ones.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mmedagent.recipes.storage import StorageConfig
from mmedagent.storage.local import ensure_local_store, stop_local_store
from mmedagent.storage.store import ObjectStore

# No deadline: other work on the machine would decide about the outcome.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, **_CALM)
settings.register_profile("explore", **_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def store_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageConfig]:
    """A running SeaweedFS server, stopped when the session ends."""
    home = tmp_path_factory.mktemp("store")
    yield ensure_local_store(home)
    stop_local_store(home)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def object_store(store_config: StorageConfig) -> ObjectStore:
    """A bucket of the real server that no other test writes to."""
    config = store_config.model_copy(update={"bucket": f"test-{uuid.uuid4().hex[:12]}"})
    store = ObjectStore(config)
    store.ensure_bucket()
    return store


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """A folder with a nested and an empty file."""
    folder = tmp_path / "small"
    (folder / "inner").mkdir(parents=True)
    (folder / "one.txt").write_text("one\n")
    (folder / "inner" / "two.bin").write_bytes(bytes(range(256)))
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with MLflow's tables and nothing in them: making those takes seconds."""
    from mmedagent.registry.tracking import tracking

    home = tmp_path_factory.mktemp("registry")
    with tracking(home):
        pass
    return home


@pytest.fixture
def home(empty_registry: Path, tmp_path: Path) -> Path:
    """A home of its own with an empty registry."""
    home = tmp_path / "home"
    shutil.copytree(empty_registry / "runs", home / "runs")
    return home
