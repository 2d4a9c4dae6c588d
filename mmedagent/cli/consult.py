"""`mmedagent consult`: ask the deployed server about one image."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from mmedagent.errors import ServingError, UsageError
from mmedagent.home import home_folder


def consult(
    image: Annotated[Path, typer.Argument(help="A PNG or JPEG file.")],
    question: Annotated[str, typer.Argument(help="What is asked about it.")],
    option: Annotated[
        list[str] | None, typer.Option(help="One possible answer; give two or more.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Another server than this folder's own.", envvar="MMEDAGENT_URL"),
    ] = None,
    votes: Annotated[
        int, typer.Option(help="Draw as many decisions and let the majority decide.", min=1)
    ] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.", min=1)] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Hold one consultation: triage, three opinions, the attending physician's decision.

    With --votes the attending physician decides several times on the same opinions, and the share
    that agrees with the majority is shown as confidence.

    The answer comes from the server that `mmedagent serve --ensure` started. It is decision support
    under study, not a medical device.

    Examples:

        mmedagent consult scan.png "Which modality is this?" --option CT --option MR

        mmedagent consult scan.png "Which organ?" --option liver --option kidney --json

        mmedagent consult scan.png "Which organ?" --option liver --option kidney --votes 16

        mmedagent consult scan.png "Which organ?" --option liver --option kidney \\
            --url http://127.0.0.1:8080
    """
    from mmedagent.serving.client import ask, read_image

    if not option or len(option) < 2:
        raise UsageError("give two or more possible answers: --option CT --option MR")
    answer = ask(url or _own_url(), read_image(image), question, option, timeout, votes)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        show(Console(), answer)


def show(console: Console, answer: dict[str, Any]) -> None:
    """Print a consultation for people."""
    seconds, decision = answer["seconds"], answer["decision"]
    specialty = answer["specialty"] or f"none named; the panel answered as {answer['role']}"
    console.print(f"[bold]Specialty[/]  {escape(specialty)}")
    table = Table(
        "Specialist", "As", "Opinion", "Reasoning", title="Opinions", title_justify="left"
    )
    for said in answer["opinions"]:
        opinion = f"{said['letter']}. {said['answer']}" if said["letter"] else "no opinion"
        table.add_row(*map(escape, (said["specialist"], said["role"], opinion, said["reasoning"])))
    console.print(table)
    decided = "none: the reply named no option"
    if decision["letter"]:
        decided = f"{decision['letter']}. {decision['answer']}"
    reasoning = answer["reasoning"] or "(none given)"
    console.print(
        Panel(f"[bold]{escape(decided)}[/]\n{escape(reasoning)}", title="Decision", expand=False)
    )
    if answer["agreement"] is not None:
        drawn, share = len(answer["votes"]), answer["agreement"]
        console.print(f"Agreement  {share:.2f} of {drawn} drawn decisions", highlight=False)
    stages = ", ".join(
        f"{stage} {seconds[stage]:.2f} s" for stage in ("triage", "panel", "attending")
    )
    console.print(f"Latency    {seconds['total']:.2f} s ({stages})", highlight=False)
    console.print(f"Version    {answer['version'][:12]}", highlight=False)
    console.print(f"[yellow]{escape(answer['notice'])}[/]")


def _own_url() -> str:
    from mmedagent.serving.ensure import running_server

    server = running_server(home_folder())
    if server is None:
        raise ServingError(
            "no server is running here: `mmedagent serve --ensure` starts it, --url names another"
        )
    return server.url
