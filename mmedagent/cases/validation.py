"""The gate before training: checks a data version, keeps the evidence, and stops what is bad."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmedagent import atomic
from mmedagent.cases.adding.progress import Tell, silent
from mmedagent.cases.checkpoint import run_checkpoint
from mmedagent.cases.docs_page import docs_page
from mmedagent.cases.facts import Facts, open_facts
from mmedagent.cases.findings import balance, pictures, questions
from mmedagent.cases.findings.drift import Distributions, distributions_of, drift, read_before
from mmedagent.cases.findings.finding import Finding, counts, keep_findings, kept_findings
from mmedagent.cases.findings.kinds import KINDS, policy_of
from mmedagent.cases.findings.page import findings_page
from mmedagent.cases.findings.reviews import Reviews, reviews_of
from mmedagent.cases.findings.thumbnails import read_images
from mmedagent.cases.gathering import gather
from mmedagent.cases.source_rules import RULES
from mmedagent.cases.store import read_manifest
from mmedagent.cases.telling import telling
from mmedagent.errors import BadDataError
from mmedagent.interrupt import StopRequest, stop_requests
from mmedagent.recipes.data import FindingKind, Policy, ValidationRecipe

Check = Callable[[], Iterator[Finding]]
LISTED = 1_000
"""Findings of a kind that are listed one by one; the counts are of all."""
_NAMED = 5
"""So many rows of a failed expectation are named in the message; the page has more."""


def validate(
    cases: Path,
    recipe: ValidationRecipe,
    out: Path,
    *,
    work: Path | None = None,
    before: Path | None = None,
    reviews: Path | None = None,
    tell: Tell = silent,
    workers: int | None = None,
) -> dict[str, Any]:
    """Check the data version in the folder `cases` and write the evidence to the folder `out`.

    Memory does not grow with the number of cases: facts about them are gathered in a SQLite file,
    and all checks are queries. `out` gets `index.html` (Great Expectations' Data Docs of all
    suites, one self-contained page), `findings.html` and `findings.json` (what the whole set
    shows), `distributions.json` (for the next version's drift) and `validation.json`, whose content
    is returned. All are written when checks fail, too: then `BadDataError` names each failed
    expectation with its column and its first rows.

    Args:
        cases: a data version.
        recipe: what a data set must be like.
        out: replaced as a whole.
        work: keeps the facts of a run that was stopped or failed; beside `out` when None.
        before: the version before, its folder or the `distributions.json` of its validation;
            without it drift is not judged.
        reviews: the file with what people have reviewed; by default the version's own.
        tell: hears how far it is.
        workers: processes that decode images.

    Raises:
        BadDataError: a check fails, or `cases` is no whole data version (then without evidence).
        InterruptedWithCheckpoint: stopped by a signal; the same call goes on.
    """
    manifest = read_manifest(cases)
    reviewed = reviews_of(cases, str(manifest["name"]), reviews)
    earlier = None if before is None else read_before(before)
    place = work or out.with_name(f".{out.name}.work")
    key = {"data": manifest["digest"], "recipe": _deciding_facts(recipe)}
    with open_facts(place, key) as facts:
        with stop_requests() as stop:
            run = _Run(cases, manifest, recipe, facts, telling(tell), stop)
            gather(facts, cases, manifest, recipe, run.tell, stop, workers)
            now = distributions_of(cases)
            pages, results = _judge(run, reviewed, earlier, now)
        summary = _summary(run, results, reviewed) | {"drift_judged": earlier is not None}
        listed = _publish(out, run, summary, pages, now)
    if not summary["success"]:
        # The facts stay: once people have reviewed what was found, judging again takes seconds.
        raise BadDataError(_message(cases, out, summary, listed))
    shutil.rmtree(place, ignore_errors=True)
    return summary


@dataclass(frozen=True)
class _Run:
    """One validation at work."""

    cases: Path
    manifest: dict[str, Any]
    recipe: ValidationRecipe
    facts: Facts
    tell: Tell
    stop: StopRequest

    @property
    def sources(self) -> list[str]:
        """The suites that occur, in the order of the rules."""
        there = {suite for (suite,) in self.facts.rows("SELECT DISTINCT suite FROM cases")}
        return [name for name in RULES if name in there]

    def obey(self) -> None:
        """Stop here when that was asked for; the facts stay."""
        if self.stop.asked:
            raise self.stop.stopped(str(self.facts.path.parent))


def _publish(
    out: Path, run: _Run, summary: dict[str, Any], pages: dict[str, str], now: Distributions
) -> list[dict[str, Any]]:
    """Write the evidence as a whole; return the findings that are listed one by one."""
    listed = list(kept_findings(run.facts, LISTED))
    read = partial(read_images, run.cases, run.manifest, run.facts)
    content = {name: summary[name] for name in ("schema", "data_set", "data_digest")}
    found = {"findings": listed, "stale": summary["stale_reviews"]}
    with atomic.new_folder(out) as aside:
        atomic.write_text(aside / "index.html", docs_page(summary, pages))
        atomic.write_text(aside / "findings.html", findings_page(summary, listed, read))
        atomic.write_json(aside / "findings.json", content | found)
        atomic.write_json(aside / "distributions.json", content | {"distributions": now})
        atomic.write_json(aside / "validation.json", summary)
    return listed


def _judge(
    run: _Run, reviewed: Reviews, before: Distributions | None, now: Distributions
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Find what the whole set shows, then run the suites; return their pages and results."""
    policies = _policies(run.recipe, run.sources)
    checks = _checks(run, policies, before, now)
    keep_findings(run.facts, _found(checks, run), policies, reviewed)
    run.tell("expectations", 0, None)
    results, pages = run_checkpoint(run.facts.path, run.recipe, run.sources)
    run.obey()
    return pages, results


def _summary(run: _Run, results: list[dict[str, Any]], reviewed: Reviews) -> dict[str, Any]:
    found = counts(run.facts)
    stale = [each for each in reviewed.stale() if each.kind != "label_noise"]
    holds = all(one["success"] for one in results if one["severity"] == "stop")
    return {
        "schema": 2,
        "success": holds and not any(kind["stop"] for kind in found.values()),
        "cases": run.facts.one("SELECT COUNT(*) FROM cases"),
        "images": run.facts.one("SELECT COUNT(*) FROM pictures"),
        "sources": run.sources,
        "expectations": len(results),
        "data_set": run.manifest["name"],
        "data_digest": run.manifest["digest"],
        "findings": found,
        "stale_reviews": [each.model_dump(mode="json") for each in stale],
        "results": results,
    }


def _deciding_facts(recipe: ValidationRecipe) -> dict[str, Any]:
    """Return the part of the recipe that decides the facts of a row."""
    return recipe.model_dump(include={"max_pixels", "max_bytes"})


def _policies(recipe: ValidationRecipe, sources: list[str]) -> dict[FindingKind, Policy]:
    """Return what each kind does: imbalance of a benchmark is told and does not stop."""
    policies = {kind: policy_of(kind, recipe) for kind in KINDS}
    if not any(RULES[name].balanced for name in sources):
        for kind in ("specialty_imbalance", "answer_share"):
            if kind not in recipe.policy:
                policies[kind] = "warn"
    return policies


def _checks(
    run: _Run,
    policies: Mapping[FindingKind, Policy],
    before: Distributions | None,
    now: Distributions,
) -> dict[FindingKind, Check]:
    """Return the checks to run, in order: `hidden_case` needs what the picture checks found."""
    facts, recipe = run.facts, run.recipe
    checks: dict[FindingKind, Check] = {
        "constant_image": lambda: pictures.flat_images(facts, recipe, constant=True),
        "blank_image": lambda: pictures.flat_images(facts, recipe, constant=False),
        "same_image": lambda: pictures.same_images(facts),
        "same_pixels": lambda: pictures.same_pixels(facts),
        "near_duplicate": lambda: pictures.near_duplicates(facts, recipe),
        "hidden_case": lambda: questions.hidden_cases(facts),
        "subject_in_pools": lambda: questions.subjects_in_pools(facts),
        "contradiction": lambda: questions.contradictions(facts),
        "answer_in_question": lambda: questions.answers_in_questions(facts),
        "specialty_imbalance": lambda: balance.rare_specialties(facts, recipe),
        "answer_share": lambda: balance.frequent_answers(facts, recipe),
        "option_order": lambda: balance.option_order(facts, recipe),
    }
    if before is not None:
        checks["drift"] = lambda: drift(before, now, recipe)
    pictures.forget_alike(facts)
    return {kind: check for kind, check in checks.items() if policies[kind] != "off"}


def _found(checks: Mapping[FindingKind, Check], run: _Run) -> Iterator[Finding]:
    for number, check in enumerate(checks.values()):
        run.tell("checking the whole set", number, len(checks))
        yield from check()
        run.obey()
    run.tell("checking the whole set", len(checks), len(checks))


def _message(
    cases: Path, out: Path, summary: Mapping[str, Any], findings: list[dict[str, Any]]
) -> str:
    results = summary["results"]
    failed = [r for r in results if not r["success"] and r["severity"] == "stop"]
    lines = [f"{cases} must not be trained on: {len(failed)} of {len(results)} expectations fail"]
    for result in failed:
        lines.append(f"  column {result['column']}: {result['expectation']} {_arguments(result)}")
        if result["error"]:
            lines.append(f"    {result['error']}")
        if result["missing"]:
            lines.append(f"    lacks {', '.join(result['missing'])}")
        lines += [f"    case {case}: {value}" for case, value in result["rows"][:_NAMED]]
        if result["unexpected"] > _NAMED:
            lines.append(f"    and {result['unexpected'] - _NAMED} more")
    stopping = [one for one in findings if one["policy"] == "stop" and one["review"] is None]
    for one in stopping[:_NAMED]:
        lines.append(f"  finding {one['id']}, {one['kind']}: {one['says']}")
    if len(stopping) > _NAMED:
        total = sum(kind["stop"] for kind in summary["findings"].values())
        lines.append(f"  and {total - _NAMED} more findings")
    if stopping:
        lines.append(
            f"  look at {out / 'findings.html'}; what is meant to be so is marked by"
            f" `mmedagent data review FINDING --reason WHY --validation {out}`"
        )
    lines.append(f"  all rows: {out / 'index.html'}")
    return "\n".join(lines)


def _arguments(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in result["arguments"].items())
