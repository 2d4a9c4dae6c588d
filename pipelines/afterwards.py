"""After the DAG: the desired version is served, and answers one real question."""

from pathlib import Path

from rich.console import Console

from mmedagent.recipes.schema import Recipe

_ANSWER_SECONDS = 120.0


def serve_and_ask(root: Path, home: Path, recipe: Recipe, data: str, console: Console) -> None:
    """Start the model server or reuse the one that runs, and show a consultation with it.

    The question is the first of the pool that is measured, of the run's data revision `data`: no
    doctor was trained on it.

    Raises:
        ServingError: the server does not come up, or does not answer.
    """
    from mmedagent.cases.sets.revisions import open_version
    from mmedagent.cases.store import read_multiple_choice
    from mmedagent.cli.consult import show
    from mmedagent.serving.client import ask
    from mmedagent.serving.ensure import ensure_server

    server = ensure_server(home, recipe.serving)
    console.print(f"served  {server.url}", highlight=False)
    case = read_multiple_choice(open_version(root, data), [recipe.evaluation.pool])[0]
    options = "  ".join(
        f"{letter}. {text}" for letter, text in zip(case.view().letters, case.options, strict=True)
    )
    console.print(f"\nOne question about {case.source}, {case.subject}:", highlight=False)
    console.print(f"  {case.question}  {options}", highlight=False, markup=False)
    show(
        console, ask(server.url, case.images[0], case.question, list(case.options), _ANSWER_SECONDS)
    )
