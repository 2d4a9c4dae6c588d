"""`mmedagent compile` in a process of its own."""

import sys

import typer

from pipelines.cli import register

app = typer.Typer()
register(app)
app(["compile", "--recipe", "laptop", "--output", sys.argv[1]])
