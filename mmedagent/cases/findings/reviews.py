"""What people said of findings: a small YAML file that travels with the data version.

    schema: 1
    data_set: vqa-rad
    reviews:
    - finding: 0f8b6a3e1c2d4b5a
      kind: same_image
      who: M. Example
      when: 2026-05-04
      why: The release's official split has this image on both sides.

A review names its finding by id or, without one, by kind and `cases`: it then holds for every
finding of that kind whose cases are all among these. `data/reviews/NAME.yaml` is where it is
written, `reviewed.yaml` where it lies in the data version.
"""

import datetime
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mmedagent import atomic
from mmedagent.errors import BadDataError
from mmedagent.recipes.data import FindingKind

IN_VERSION = "reviewed.yaml"


class Review(BaseModel):
    """One finding, or one kind of finding about given cases, that a person looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    finding: Annotated[str | None, Field(pattern=r"^[0-9a-f]{16}$")] = None
    kind: FindingKind
    cases: tuple[str, ...] = ()
    who: Annotated[str, Field(min_length=1)]
    when: datetime.date
    why: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.finding is None and not self.cases:
            raise ValueError("a review names a `finding` or `cases`")
        return self

    @property
    def names(self) -> str:
        """What it is about, in few words."""
        return self.finding or f"{self.kind} of {', '.join(self.cases[:5])}"


class ReviewFile(BaseModel):
    """The content of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    version: Annotated[Literal[1], Field(alias="schema")] = 1
    data_set: str
    reviews: tuple[Review, ...] = ()


class Reviews:
    """The reviews of one data version, and which of them were of use."""

    def __init__(self, reviews: tuple[Review, ...] = ()) -> None:
        """Hold `reviews`; none has been of use yet."""
        self._by_id = {each.finding: each for each in reviews if each.finding}
        self._by_cases = [each for each in reviews if not each.finding]
        self._used: set[int] = set()
        self.all = reviews

    def of(self, id_: str, kind: FindingKind, case_ids: Callable[[], list[str]]) -> Review | None:
        """Return the review of a finding, or None; `case_ids` is asked only where it matters."""
        found = self._by_id.get(id_)
        if found is not None and found.kind != kind:
            found = None
        candidates = [each for each in self._by_cases if each.kind == kind]
        if found is None and candidates:
            named = set(case_ids())
            fitting = (each for each in candidates if named and named <= set(each.cases))
            found = next(fitting, None)
        if found is not None:
            self._used.add(id(found))
        return found

    def stale(self) -> list[Review]:
        """Return the reviews that no finding has asked for."""
        return [review for review in self.all if id(review) not in self._used]


def read_reviews(path: Path) -> ReviewFile:
    """Read a review file. Raises `BadDataError` that names the file and the field."""
    try:
        return ReviewFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadDataError(f"{path} is no review file: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadDataError(f"{path} is no review file: {place}: {first['msg']}") from None


def write_reviews(path: Path, content: ReviewFile) -> None:
    """Replace the file `path`; reviews are sorted, so that a diff shows what was added."""
    order = sorted(content.reviews, key=lambda each: (each.kind, each.finding or "", each.cases))
    value: dict[str, Any] = {"schema": 1, "data_set": content.data_set}
    value["reviews"] = [
        {name: field for name, field in each.model_dump().items() if field not in (None, ())}
        | ({"cases": list(each.cases)} if each.cases else {})
        for each in order
    ]
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    atomic.write_text(path, text)


def reviews_of(folder: Path, name: str, given: Path | None = None) -> Reviews:
    """Return the reviews of the data version in `folder`, whose set is called `name`.

    Those of the file `given`, else those in the version, else those that ship with this package
    (the starter set's). Raises `BadDataError` when the file is of another set.
    """
    path = given or folder / IN_VERSION
    if given is None and not path.is_file():
        path = Path(str(resources.files(__package__).joinpath(f"{name}.yaml")))
        if not path.is_file():
            return Reviews()
    content = read_reviews(path)
    if content.data_set != name:
        raise BadDataError(f"{path} has the reviews of {content.data_set!r}, not of {name!r}")
    return Reviews(content.reviews)


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds."""
    return get_args(FindingKind)
