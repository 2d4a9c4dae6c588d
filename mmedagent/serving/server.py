"""The KServe server process: `python -m mmedagent.serving.server <launch.json>`.

It loads one version's pair, starts or connects its panel, then listens. KServe's own server listens
on all addresses; this one where the recipe says, which is loopback. Nothing is sent anywhere.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from kserve import ModelServer
from kserve.model_server import app as kserve_app
from kserve.protocol.rest.server import RESTServer

from mmedagent.errors import MMedAgentError, ServingError
from mmedagent.serving.body_limit import BodyLimit
from mmedagent.serving.launch import Launch
from mmedagent.serving.model import NAME, ConsultationModel
from mmedagent.serving.protocol import NOTICE, most_body_bytes


def main(path: Path) -> None:
    """Load and serve until told to stop; a failure is one line on standard error, exit not 0."""
    launch = Launch.model_validate_json(path.read_bytes())
    try:
        _serve(launch)
    except MMedAgentError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:  # Ctrl-C is how a server in the foreground is ended
        sys.exit(130)


def _serve(launch: Launch) -> None:
    from mmedagent import background
    from mmedagent.models.generate import LocalDoctor
    from mmedagent.panel.client import open_panel

    if not background.port_is_free(launch.port, launch.recipe.host):
        raise ServingError(f"port {launch.port} on {launch.recipe.host} is in use")
    with open_panel(launch.record.settings.panel, launch.panel) as panel:
        if panel.digest != launch.record.panel:
            raise ServingError(
                f"the panel is {panel.digest[:12]}, not {launch.record.panel[:12]} as registered"
            )
        with ThreadPoolExecutor(1) as aside:  # the panel's process loads while this one does
            started = aside.submit(panel.start)
            triage, attending = LocalDoctor(launch.triage), LocalDoctor(launch.attending)
            started.result()
        prepare(kserve_app, launch)
        model = ConsultationModel(launch.record, triage, panel, attending, launch.recipe)
        Server(launch.recipe.host, launch.port).start([model])


def prepare(app: FastAPI, launch: Launch) -> None:
    """Add to KServe's application: the version's address, limits, and errors as JSON."""

    async def version() -> dict[str, Any]:
        record = launch.record
        return {"model": NAME, "version": record.version, "kind": record.kind, "notice": NOTICE}

    async def failed(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=503)

    app.add_api_route("/version", version, methods=["GET"])
    app.add_exception_handler(MMedAgentError, failed)
    app.add_middleware(BodyLimit, most=most_body_bytes(launch.recipe))


class Server(ModelServer):
    """KServe's model server on one address, without gRPC."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(http_port=port, enable_grpc=False, enable_latency_logging=True)
        self._host = host

    def start(self, models: list[ConsultationModel]) -> None:
        """Serve `models` until a signal says to stop.

        KServe 0.21 has no setting for the address (its RESTServer says "0.0.0.0"), so the
        configuration is changed between making the server and running it.
        """
        import asyncio

        self._register_and_check_atleast_one_model_is_ready(models)
        rest = RESTServer(
            "kserve.model_server:app",
            self.dataplane,
            self.model_repository_extension,
            self.http_port,
            grace_period=self.grace_period,
        )
        rest.config.host = self._host
        self._rest_server = rest
        asyncio.run(rest.start())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
