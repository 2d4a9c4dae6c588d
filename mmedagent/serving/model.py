"""The served pair as a KServe model: v1 and v2 requests in, consultations out."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput

from mmedagent.cases.case import Question
from mmedagent.consultation.consult import Consultation, consult
from mmedagent.consultation.doctor import Doctor, Panel
from mmedagent.errors import BadDataError
from mmedagent.recipes.serving import ServingRecipe
from mmedagent.registry.version import VersionRecord
from mmedagent.serving.protocol import Asked, answer, read_instances, read_tensors

NAME = "mmedagent"
"""The model's name in URLs: `/v1/models/mmedagent:predict`, `/v2/models/mmedagent/infer`."""


class ConsultationModel(Model):
    """Holds triage, panel and attending, and runs `consultation.consult` for each request.

    Whoever makes it has loaded all three, so it is ready from the start. Errors of the panel pass
    through: a consultation without opinions is never made up.
    """

    def __init__(
        self,
        version: VersionRecord,
        triage: Doctor,
        panel: Panel,
        attending: Doctor,
        limits: ServingRecipe,
    ) -> None:
        super().__init__(NAME)
        self._version = version
        self._triage = triage
        self._panel = panel
        self._attending = attending
        self._limits = limits
        self.ready = True

    async def preprocess(
        self, payload: dict[str, Any] | InferRequest, headers: dict[str, str] | None = None
    ) -> tuple[Asked, str | None]:
        """Read a v1 body or a v2 request; return what it asks and the v2 request's id.

        Raises KServe's `InvalidInput`, which clients get as status 400.
        """
        try:
            if isinstance(payload, InferRequest):
                tensors = _strings(payload)
                return read_tensors(tensors, self._limits, _parameters(payload)), payload.id or ""
            return await asyncio.to_thread(read_instances, payload, self._limits), None
        except BadDataError as error:
            raise InvalidInput(str(error)) from error

    async def predict(
        self, payload: tuple[Asked, str | None], headers: dict[str, str] | None = None
    ) -> dict[str, Any] | InferResponse:
        """Hold the consultations, in a thread: the server answers probes meanwhile."""
        (questions, votes), request_id = payload
        held = await asyncio.to_thread(self._consult, questions, votes)
        pairs = zip(questions, held, strict=True)
        answers = [answer(question, said, self._version.version) for question, said in pairs]
        if request_id is None:
            return {"predictions": answers}
        texts = [json.dumps(value) for value in answers]
        output = InferOutput("consultation", [len(texts)], "BYTES", data=texts)
        return InferResponse(request_id, NAME, [output])

    def get_input_types(self) -> list[dict[str, Any]]:
        """Return what v2 metadata says of the inputs."""
        names = ("image", "question", "options")
        return [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in names]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Return what v2 metadata says of the output."""
        return [{"name": "consultation", "datatype": "BYTES", "shape": [-1]}]

    def _consult(self, questions: Sequence[Question], votes: int) -> list[Consultation]:
        settings = self._version.settings
        return consult(
            questions,
            self._triage,
            self._panel,
            self._attending,
            settings.sampling,
            settings.style,
            votes,
        )


def _parameters(request: InferRequest) -> dict[str, Any]:
    """Return a v2 request's own parameters, without the one that says how KServe is to answer."""
    given: dict[str, Any] = dict(request.parameters or {})
    given.pop("binary_data_output", None)
    return given


def _strings(request: InferRequest) -> dict[str, list[str]]:
    tensors: dict[str, list[str]] = {}
    for tensor in request.inputs:
        if tensor.datatype != "BYTES" or len(tensor.shape) != 1:
            raise BadDataError(f"input {tensor.name}: datatype BYTES and shape [n] are wanted")
        # JSON gives texts, the binary extension bytes.
        try:
            values = list(tensor.as_numpy())
            texts = [value.decode() if isinstance(value, bytes) else value for value in values]
        except ValueError as error:  # not UTF-8, or another length than the shape says
            raise BadDataError(f"input {tensor.name}: {error}") from error
        if not all(isinstance(text, str) for text in texts):
            raise BadDataError(f"input {tensor.name}: texts are wanted")
        tensors[tensor.name] = texts
    return tensors
