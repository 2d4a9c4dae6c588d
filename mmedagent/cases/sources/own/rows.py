"""From a row of a hospital's table to a `SourceCase`, or to what is wrong with the row."""

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any

from mmedagent.cases.case import LETTERS
from mmedagent.cases.privacy.pseudonym import Pseudonyms
from mmedagent.cases.sources.contract import SourceCase, SourceImage, Split, View
from mmedagent.cases.sources.own.cells import list_problem, parts_of
from mmedagent.cases.sources.own.mapping import Frame, Mapping, Window
from mmedagent.cases.sources.own.paths import path_problem, resolved, unlike
from mmedagent.cases.sources.own.reading import SHORT, BadCell, CellReader
from mmedagent.cases.sources.own.tables import Row
from mmedagent.consultation.normalise import normalise
from mmedagent.digests import canonical_json
from mmedagent.errors import BadDataError

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_normal = lru_cache(4096)(normalise)
"""Options repeat from row to row."""


@dataclass
class RowReader(CellReader):
    """Reads row after row; what is wrong goes to `problems`."""

    mapping: Mapping
    pseudonyms: Pseudonyms
    _last_header: tuple[str, str] = ("", "")

    def case(self, row: Row) -> SourceCase | None:
        """Return the row as a case, None when it has problems: every bad cell of it is noted."""
        self.row = row
        mapping, before = self.mapping, len(self.problems)
        files = self.attempt(self._files)
        question = self.attempt(self.text, mapping.question, needed=True)
        options = self.attempt(self._options)
        answer = self.attempt(self._answer, options)
        kind = self.attempt(self.term, mapping.answer_type, "answer_type")
        asked = self.attempt(self.term, mapping.question_type, "question_type")
        modality = self.attempt(self._modality, files)
        language = self.attempt(self.term, mapping.language, "language")
        who = self.attempt(self.text, mapping.subject, needed=True, most=SHORT)
        key = self.attempt(self.text, mapping.id, needed=True, most=SHORT) if mapping.id else ""
        views = self.attempt(self._views, len(files)) if files else ()
        attributes = {
            name: self.attempt(self.text, column, most=SHORT)
            for name, column in mapping.attributes.items()
        }
        subject = self.pseudonyms.of("subject", who) if who else ""
        split = self.attempt(self._split, subject)
        if kind == "open" and options:
            self.note(mapping.answer_type.column, "an open question with options", "mend one")
        if len(self.problems) > before or self.problems.full:
            return None
        names = [name for name, _ in files]
        content = [names, question, options, answer, kind, asked, modality, who, str(views)]
        return SourceCase(
            row=self.problems.place(row.number),
            key=self.pseudonyms.of("case", key or canonical_json(content).decode()),
            images=tuple(map(self._image, files, views)),
            question=question,
            answer=answer,
            answer_type=kind,
            question_type=asked.lower(),
            modality=modality,
            subject=subject,
            split=split,
            options=options,
            attributes={"language": language}
            | {name: value for name, value in attributes.items() if value},
        )

    def _files(self) -> tuple[tuple[str, str], ...]:
        """Return the names of the row's images in the release, each with its column."""
        images = self.mapping.images
        parts = self.several(images)
        if not parts:
            raise self.note(images.columns[0], "names no image", "name one, or take the row out")
        names = []
        for column, cell in parts:
            self.judge(column, path_problem(cell))
            name = resolved(images.folder, cell)
            if name not in self.release:
                raise self.note(column, *unlike(name, self.release.names()))
            names.append((name, column))
        return tuple(names)

    def _options(self) -> tuple[str, ...]:
        cells = self.mapping.options
        if cells is None:
            return ()
        options = self.several(cells)
        column = cells.columns[0]
        if len(options) == 1:
            raise self.note(
                column, "one option", "give two or more; if the cell holds several, map a `list`"
            )
        if len(options) > len(LETTERS):
            raise self.note(column, f"{len(options)} options", f"{len(LETTERS)} are the most")
        first: dict[str, int] = {}
        for number, (name, text) in enumerate(options, 1):
            other = first.setdefault(_normal(text), number)
            if other != number:
                raise self.note(name, f"options {other} and {number} are the same", "mend one")
        return tuple(text for _, text in options)

    def _answer(self, options: tuple[str, ...] | None) -> str:
        how = self.mapping.answer
        text = self.text(how.column, needed=True)
        self.judge(how.column, list_problem(text))
        if options is None or (not options and how.given_as == "text"):
            return text
        place = self._place(text, options)
        if place is None or not 0 <= place < len(options):
            raise self.note(
                how.column,
                f"matches none of the {len(options)} options",
                f"write it as one of them, or mend `given_as: {how.given_as}`",
            )
        return options[place]

    def _place(self, text: str, options: tuple[str, ...]) -> int | None:
        """Return which option an answer means; two that match are met before, as the same."""
        how = self.mapping.answer.given_as
        if how == "text":
            if text in options:
                return options.index(text)
            normal, said = [_normal(option) for option in options], _normal(text)
            return normal.index(said) if said in normal else None
        if how == "letter":
            letter = _LETTER.fullmatch(text)
            return LETTERS.index(letter[1].upper()) if letter else None
        return int(text) - int(how[-1]) if text.isascii() and text.isdigit() else None

    def _modality(self, files: tuple[tuple[str, str], ...] | None) -> str:
        if self.mapping.modality.dicom_header is None:
            return self.term(self.mapping.modality, "modality")
        if not files:
            raise BadCell  # Noted with the image.
        found = {self._header_modality(name, column) for name, column in files}
        if len(found) > 1:
            raise self.note(None, "images of several modalities", "map a column for the modality")
        return found.pop()

    def _header_modality(self, name: str, column: str) -> str:
        if self._last_header[0] == name:
            return self._last_header[1]
        from mmedagent.cases.imaging.decode import facts

        place = self.problems.place(self.row.number, column)
        try:
            header = facts(self.release.read(name, place), self.release.limits, place)
        except BadDataError as error:
            what, _, mend = str(error).removeprefix(f"{place}: ").rpartition("; ")
            raise self.note(column, what, mend) from None
        if "modality" not in header:
            raise self.note(
                column, "no Modality (0008,0060) in the DICOM header", "map a column instead"
            )
        self._last_header = (name, header["modality"])
        return header["modality"]

    def _split(self, subject: str) -> Split:
        split = self.mapping.split
        if split.column is None:
            shares = split.by_subject or {}
            # Its own hash: pools are cut by another, which must not agree with this one.
            share = int.from_bytes(sha256(f"split {subject}".encode()).digest()[:7], "big") / 2**56
            for name in _SPLITS:
                share -= shares.get(name, 0.0)
                if share < 0:
                    return name
            return max(shares, key=lambda name: shares[name])
        text = self.text(split.column, needed=True, most=SHORT)
        if text not in (split.values or {}):
            raise self.note(
                split.column, "a word that `split.values` does not have", "add it to the mapping"
            )
        return (split.values or {})[text]

    def _views(self, count: int) -> tuple[View, ...]:
        """Return what is meant of each of the row's `count` images."""
        terms, axis = self.mapping.view, None
        if terms.axis is not None and (
            terms.axis.column is None or self.text(terms.axis.column, most=SHORT)
        ):
            axis = self.term(terms.axis, "view.axis")
        window = None if terms.window is None else self._window(terms.window)
        axes: Any = axis
        return tuple(View(frame, axes, window) for frame in self._frames(count))

    def _frames(self, count: int) -> list[int | None]:
        term = self.mapping.view.frame
        if term is None:
            return [None] * count
        if term.list is None or term.column is None:
            return [self._frame(term, self.number(term))] * count
        parts = parts_of(self.row.cells[term.column], term.list)
        if isinstance(parts, tuple):
            raise self.note(term.column, *parts)
        if len(parts) != count:
            raise self.note(
                term.column, f"{len(parts)} frames for {count} images", "give one for each image"
            )
        return [self._frame(term, self.parsed(term.column, part)) for part in parts]

    def _frame(self, term: Frame, number: float | None) -> int | None:
        if number is None:
            return None
        if number != int(number) or number < term.first:
            raise self.note(term.column, f"no whole number from {term.first}", "mend it")
        return int(number) - term.first

    def _window(self, terms: Window) -> tuple[float, float] | None:
        centre, width = self.number(terms.centre), self.number(terms.width)
        if centre is None and width is None:
            return None
        if centre is None or width is None or width < 1:
            raise self.note(
                terms.width.column,
                "no window: centre and width go together, and the width is at least 1",
                "mend both, or leave both empty for the file's own",
            )
        return centre, width

    def _image(self, file: tuple[str, str], view: View) -> SourceImage:
        name, column = file
        place = self.problems.place(self.row.number, column)
        return SourceImage(place, partial(self.release.read, name, place), view)
