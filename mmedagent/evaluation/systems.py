"""What can be measured: doctors in model folders or in memory, known by a digest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmedagent.consultation.doctor import Doctor
from mmedagent.digests import digest_folder, digest_value


@dataclass(frozen=True)
class Model:
    """One doctor: what decides its replies, and how to get it."""

    digest: str
    load: Callable[[], Doctor]


@dataclass(frozen=True)
class Doctors:
    """A pair that can be asked."""

    triage: Doctor
    attending: Doctor


@dataclass(frozen=True)
class System:
    """A pair that can be measured."""

    triage: Model
    attending: Model

    @cached_property
    def digest(self) -> str:
        """The digest of both doctors."""
        return digest_value([self.triage.digest, self.attending.digest])

    def load(self) -> Doctors:
        """Return both doctors, ready to be asked."""
        return Doctors(self.triage.load(), self.attending.load())


@dataclass(frozen=True)
class Pair:
    """The two model folders of one system."""

    triage: Path
    attending: Path


def model_in(folder: Path, batch_size: int) -> Model:
    """Return the doctor in a model folder: a Qwen2.5-VL, or a triage classifier."""

    def load() -> Doctor:
        from mmedagent.models.classifier import TriageClassifier, is_classifier

        if is_classifier(folder):
            return TriageClassifier.load(folder, batch_size=batch_size)
        from mmedagent.models.generate import LocalDoctor

        return LocalDoctor(folder, batch_size=batch_size)

    return Model(digest_folder(folder), load)


def system_in(pair: Pair, batch_size: int) -> System:
    """Return the system in two model folders."""
    return System(model_in(pair.triage, batch_size), model_in(pair.attending, batch_size))
