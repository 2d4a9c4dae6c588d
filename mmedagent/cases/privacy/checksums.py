"""National numbers that carry a check digit, found by the recognisers of `presidio-analyzer`.

Only matches whose checksum holds are taken (score 1.0): the patterns alone are any nine digits.
None of these recognisers needs a language model, and none opens a connection; presidio's e-mail
recogniser would fetch the list of public suffixes, and is not used.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from mmedagent.cases.privacy.spans import Span

_VALIDATED = 1.0
_RECOGNISERS = {
    "AuAbnRecognizer": "national id",
    "AuAcnRecognizer": "national id",
    "AuMedicareRecognizer": "national id",
    "AuTfnRecognizer": "national id",
    "CaSinRecognizer": "national id",
    "CreditCardRecognizer": "account number",
    "DeHealthInsuranceRecognizer": "national id",
    "DeLanrRecognizer": "national id",
    "DeSocialSecurityRecognizer": "national id",
    "DeTaxIdRecognizer": "national id",
    "EsNieRecognizer": "national id",
    "EsNifRecognizer": "national id",
    "FiPersonalIdentityCodeRecognizer": "national id",
    "IbanRecognizer": "account number",
    "InAadhaarRecognizer": "national id",
    "ItFiscalCodeRecognizer": "national id",
    "KrRrnRecognizer": "national id",
    "NhsRecognizer": "national id",
    "PlPeselRecognizer": "national id",
    "SePersonnummerRecognizer": "national id",
    "SgFinRecognizer": "national id",
    "ThTninRecognizer": "national id",
    "TrNationalIdRecognizer": "national id",
    "UsNpiRecognizer": "national id",
    "ZaIdNumberRecognizer": "national id",
}


@cache
def _recognisers() -> tuple[tuple[Any, str], ...]:
    import presidio_analyzer.predefined_recognizers as presidio

    return tuple((getattr(presidio, name)(), kind) for name, kind in _RECOGNISERS.items())


def find_checksummed(text: str) -> Iterator[Span]:
    """Yield spans of `text` (plain form) whose number passes the check of its country."""
    for recogniser, kind in _recognisers():
        for result in recogniser.analyze(text, recogniser.supported_entities) or ():
            if result.score >= _VALIDATED:
                yield Span(result.start, result.end, kind)
