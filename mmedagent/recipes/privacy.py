"""The privacy section of a data set's declaration: what is looked for, what is done with it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class PrivacyRecipe(BaseModel):
    """How a data set is de-identified before anything of it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    burned_in_text: Literal["mask", "refuse", "keep"] = "mask"
    """`mask` paints over text that OCR finds in an image, `refuse` leaves the case out and counts
    it, `keep` does not look: for public sets whose images were reviewed by their authors."""
    least_text_confidence: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Text regions that the detector is less sure of are left alone."""
    question_text: Literal["mask", "refuse", "keep"] = "mask"
    """The same for names, dates, record numbers and contact data in questions and answers."""
