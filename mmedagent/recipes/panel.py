"""The panel of specialists: whom to ask and how, how the laptop's own are trained, the tiers."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmedagent.consultation.doctor import Sampling
from mmedagent.consultation.prompts import Style
from mmedagent.recipes.model import TinyModel


class SpecialistRecipe(BaseModel):
    """One specialist: a model behind an OpenAI chat-completions endpoint that reads images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Stable over the panel's life: opinions and figures are kept under it."""
    endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """The API's base, such as `http://vllm:8000/v1`. None: the specialist of this name in the
    panel folder, served on loopback while a step runs."""
    model: str | None = None
    """The model's name at the endpoint; None is `name`."""
    api_key_env: str | None = None
    """The environment variable that holds the key: a secret is never a recipe's value."""
    fingerprint: str | None = None
    """The `system_fingerprint` that the endpoint must report. None accepts what it reports, which
    then is part of each opinion's key."""


class PanelRecipe(BaseModel):
    """Whom the consultation asks, and how. METHOD, section 'The consultation'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specialists: Annotated[tuple[SpecialistRecipe, ...], Field(min_length=1)] = (
        SpecialistRecipe(name="alder"),
        SpecialistRecipe(name="birch"),
        SpecialistRecipe(name="cedar"),
    )
    """In the order in which the attending physician hears them."""
    style: Style = "compact"
    sampling: Sampling = Sampling()
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 192
    """Requests under way at once, over all specialists."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """For one attempt, from sending to the last byte of the reply."""
    retries: Annotated[int, Field(ge=0)] = 2
    """Attempts after the first, when the endpoint is unreachable, too slow or overloaded."""
    most_without_opinion: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Labelling stops when a larger share of one specialist's replies cannot be read."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [specialist.name for specialist in self.specialists]
        if len(set(names)) != len(names):
            raise ValueError(f"specialists: repeated name in {names}")
        return self


class SpecialistTrainingRecipe(BaseModel):
    """How one of the laptop's specialists becomes good at some kinds of question.

    Its strengths come from how often it sees each kind, and from nothing else: errors are real.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    strong: Annotated[tuple[str, ...], Field(min_length=1)]
    """The question types that it is taught mostly."""
    weak_share: Annotated[float, Field(ge=0, le=1)] = 0.04
    """Share of its examples that are of the other types."""
    seed: Annotated[int, Field(ge=0)]
    """Of its first weights and of its examples."""


class PanelTrainingRecipe(BaseModel):
    """How the laptop's frozen panel is made: supervised, by default on the `panel` pool alone.

    A stand-in. Large models answer better in the role that a case needs; tiny ones know nothing
    of roles, so this teaches them: asked in the right role they see the right answer, in a wrong
    role they see, with probability `wrong_role_noise`, one drawn from all options.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    specialists: Annotated[tuple[SpecialistTrainingRecipe, ...], Field(min_length=1)] = (
        SpecialistTrainingRecipe(
            name="alder",
            strong=("plane", "window", "level", "view", "side", "stain", "landmark", "pair"),
            weak_share=0.1,
            seed=11,
        ),
        SpecialistTrainingRecipe(name="birch", strong=("region",), seed=12),
        SpecialistTrainingRecipe(name="cedar", strong=("modality",), seed=13),
    )
    model: TinyModel = TinyModel()
    steps: Annotated[int, Field(ge=1)] = 145
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    wrong_role_share: Annotated[float, Field(ge=0, lt=1)] = 0.35
    """Share of examples that are asked in a wrong role."""
    wrong_role_noise: Annotated[float, Field(ge=0, le=1)] = 1.0
    processes: Annotated[int, Field(ge=1)] = 2
    """Specialists trained side by side, each in one thread."""
    cross_fit_folds: Annotated[int, Field(ge=2)] | None = None
    """None: the `panel` pool's subjects are the panel's alone, so its labels are out of sample.
    K, where no subjects can be spared for that: the subjects of `train` and `warm_start` are split
    into K folds, and each fold is labelled by a panel trained on everything but its subjects. K
    panels more are trained; evaluation and serving ask one that is trained on all three pools."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [specialist.name for specialist in self.specialists]
        if len(set(names)) != len(names):
            raise ValueError(f"specialists: repeated name in {names}")
        return self


class LabelRecipe(BaseModel):
    """In which specialty the panel is asked about the cases that the doctors learn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    off_role_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the `train` cases that the panel is asked about in another specialty than the gold
    one; the warm start always hears the gold one. The paper's is 0. Above 0 the attending learns
    how far opinions can be trusted when triage erred, as it does once it is deployed."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of which cases these are, and which specialty each is asked in."""


class CurriculumRecipe(BaseModel):
    """How training cases are sorted into tiers: METHOD, section 'Curriculum (C-MARL)'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_per_tier: Annotated[int, Field(ge=0)] = 1
    """A tier with fewer training cases than this stops the run; 0 lets a tier be empty."""
