"""Numbers that name a person or lead to one: record numbers, contact data, dates, ages, addresses.

One table of rules, written for text in its plain form (`spans.plain`). What a rule's pattern finds
is taken when its check agrees. A number after a word such as `MRN` is taken on that word alone; one
without is taken for its length and form.
"""

# ruff: noqa: E501 - a pattern that is broken over lines is harder to check.

from collections.abc import Callable, Iterator
from typing import Any

import regex

from mmedagent.cases.privacy.dates import DATE_RULES
from mmedagent.cases.privacy.rule import Rule, digits, rule
from mmedagent.cases.privacy.spans import Span
from mmedagent.cases.privacy.vocabulary import is_known

_UNIT = (
    r"(?!\s?(?:mm|cm|nm|µm|um|m\b|ml|mL|dl|dL|l\b|mg|µg|ug|g\b|kg|kcal|cal|Hz|kHz|MHz|T\b|Gy|mGy|cGy|mSv|kV|kVp|"
    r"mA|mAs|ms\b|s\b|sec|min|hours?|days?|weeks?|months?|years?|bpm|mmHg|HU|IU|U\b|mmol|µmol|mol|mEq|Bq|MBq|"
    r"cells?|copies|platelets|leukocytes|leucocytes|per\b|/\s?[µu]?[lL]|/mm|x\b|×|%|‰|°|pixels?|px|fold|times))"
)
_VALUE = r"(?P<v>(?=[A-Za-zА-Я\d]*[\-./_A-Za-zА-Я]*\d)[A-Za-zА-Я\d](?:[A-Za-zА-Я\d\-./_]*[A-Za-zА-Я\d])?(?:\s(?:(?-i:[A-Z])\s)?(?=\d)[\d\-./]*\d){0,4})"
_STRONG_LABELS = (
    r"m\.?r\.?n\.?|medical\s+record|med(?:ical)?\.?\s+rec(?:ord)?\.?|health\s+record|urn|uhid|emr|ehr|epic\s+id|accession|acc(?=\s?(?:no|num|nr|id|#|:))|"
    r"acsn|hospital\s+(?:no|number|id|nr)|chart\s+(?:no|number|id)|unit\s+(?:no|number)|"
    r"patient[\s_-]*(?:id|no|number|nr|code|identifier)|patientid|pat\.?[\s_-]?(?:id|nr)|pid|case\s+(?:no|number|nr|id)|"
    r"file\s+(?:no|number)|record\s+(?:no|number|id)|study\s+(?:id|no|number|uid)|exam(?:ination)?\s+(?:id|no|number)|"
    r"visit\s+(?:id|no|number)|encounter\s+(?:id|no|number)?|admission\s+(?:id|no|number)|order\s+(?:id|no|number)|"
    r"specimen\s+(?:id|no|number)|sample\s+(?:id|no|number)|(?:lab|pathology|path|biopsy|slide|block|requisition)\s+(?:id|no|number|#)|"
    r"\p{L}{3,}nummer|\p{L}{3,}-nr|account\s+(?:no|number|id)|acct|csn|har|"
    r"insurance\s*(?:id|no|number|policy)?|policy\s*(?:id|no|number)?|member\s*(?:id|no|number)|subscriber\s*(?:id|no|number)|"
    r"medicare|medicaid|mbi|hicn|beneficiary\s*(?:id|no|number)|h&c|ihi|"
    r"dossier|n°\s*de\s*dossier|numéro\s+de\s+(?:dossier|patient)|ipp|nip|ins|nda|"
    r"historia(?:\s+clínica)?|nhc|n\.?º?\s*(?:de\s+)?historia|expediente|cip|nuhsa|tarjeta\s+sanitaria|"
    r"prontuário|cns|cartão\s+sus|cartella(?:\s+clinica)?|tessera\s+sanitaria|fallnummer|fall-?nr|"
    r"patienten-?(?:nr|nummer|id)|versicherten(?:nummer|nr)?|versicherungs(?:nummer|nr)|krankenakte|aktenzeichen|kvnr|auftragsnummer|"
    r"dossiernummer|patiëntnummer|journalnummer|"
    r"nr\s+(?:historii|kartoteki|pacjenta)|protokol(?:\s+no)?|dosya\s+no|"
    r"số\s+(?:hồ\s+sơ|bệnh\s+án)|mã\s+bệnh\s+nhân|"
    r"(?:история\s+болезни|истории\s+болезни|карта|карты|медкарта|амбулаторная\s+карта|полис|омс|и/б)|"
    r"αριθμός\s+(?:φακέλου|μητρώου|ιστορικού|ασθενούς)|α\.?μ\.?|"
    r"病历号|病案号|住院号|门诊号|登记号|检查号|影像号|就诊号|病人号|患者编号|患者ID|病人ID|医保卡?号?|社保号|编号|號碼|病歷號|"
    r"患者番号|カルテ(?:番号|No)?|診察券番号?|検査番号|受付番号|保険証番号|"
    r"환자\s?번호|등록\s?번호|병록\s?번호|차트\s?번호|접수\s?번호|검사\s?번호|보험\s?번호|"
    r"رقم\s+(?:الملف|المريض|الهوية|السجل|الحالة|الطلب|القومي|التأمين)|الرقم\s+(?:القومي|الطبي)|"
    r"מספר\s+(?:תיק|זהות|מטופל|מקרה)|תיק\s+מספר|"
    r"(?:रिकॉर्ड|पंजीकरण|मरीज|रोगी|फाइल|केस|ओपीडी|आधार)\s*(?:संख्या|नंबर|क्रमांक|सं\.?)|lanr|bsnr"
)
_NATIONAL_LABELS = (
    r"ssn|s\.s\.n\.|social\s+security|sin|tax\s*(?:id|no|number)|tin|itin|national\s+(?:id|insurance|identity)(?:\s+(?:no|number))?|"
    r"nino?|ni\s+(?:no|number)|identity\s+(?:no|number|card)|id\s+card|aadhaa?r|uidai|abha|pan(?=\s?(?:no|card|:|[A-Z]{5}\d))|cpf|rg(?=\s?(?:n|:))|curp|dni|nie|nif|"
    r"nhs(?:\s*(?:no|number))?|chi\s+(?:no|number)|rut|c[ée]dula|passport|passeport|pasaporte|passaporte|reisepass|паспорт\p{L}*|visa\s+(?:no|number)|"
    r"driver'?s?\s+licen[cs]e|driving\s+licen[cs]e|licen[cs]e(?:\s*(?:no|number|plate))?|dea|npi|gmc(?=\s?(?:no|num|ref|:))|crm(?=[\s\-/:])|"
    r"codice\s+fiscale|bsn|personnummer|cpr(?:-nr)?|fødselsnummer|henkilötunnus|hetu|pesel|rodné\s+číslo|t\.?\s?c\.?\s+kimlik(?:\s+no)?|tckn|αμκα|снилс|инн|"
    r"nir|numéro\s+de\s+sécurité\s+sociale|sécu|身份证号?码?|身分證|マイナンバー|주민\s?등록\s?번호|주민번호|ת\.?\"?ז\.?|תעודת\s+זהות|मतदाता\s+पहचान|आधार|आभा"
)
_DEVICE_LABELS = (
    r"serial|s/n|device\s+(?:id|no|number|serial)|implant\s+(?:id|no|number)|udi|lot\s+(?:no|number)|batch\s+(?:no|number)|imei|vin|plate|registration\s+(?:no|number)|"
    r"seriennummer|numéro\s+de\s+série|número\s+de\s+serie|серийный\s+номер|序列号|シリアル(?:番号)?|일련번호"
)
_NUMBER_WORD = r"(?:\s*(?:no|nr|num|number|numbers|nummer|numéro|número|nº|n°|№|№\.|#|id|code|ref|is|was|es|est|ist|is:|は|为|是|号|番号))*"
_WEAK_LABELS = (
    r"patient|case|study|record|chart|file|visit|exam|specimen|sample|slide|subject|participant|folder|dossier|"
    r"number|numéro|número|nummer|numero|fall|paciente|caso|cas|пациент|случай|номер|№|病人|患者|病例|환자|المريض|מטופל|मरीज|id|ref|reference|order|encounter|account|barcode|bed|room|ward"
)
_TEL = (
    r"tel|telephone|phone|ph|fax|mobile|mob|cell(?:phone)?|call(?:\s+(?:me|him|her|us|back))?(?:\s+(?:at|on))?|contact(?:\s+(?:no|number))?|pager|"
    r"bleep|beeper|whatsapp|sms|text|ext|hotline|tél|téléphone|télécopie|portable|mobil|telefon|telefonnummer|rückruf|teléfono|telefono|telefone|"
    r"móvil|celular|celulare|cel|handy|tfno|fono|telefoon|puhelin|numer|komórka|gsm|điện\s+thoại|sđt|тел|телефон|моб|факс|сот|τηλ|"
    r"τηλέφωνο|κινητό|φαξ|电话|電話|手机|手機|联系电话|传真|傳真|携帯|ファックス|ファクス|전화|전화번호|휴대폰|핸드폰|연락처|팩스|هاتف|الهاتف|جوال|الجوال|"
    r"فاكس|تلفون|موبايل|طلפון|טלפון|נייד|פקס|טל'?|फोन|फ़ोन|मोबाइल|दूरभाष|फैक्स|☎|📞|✆"
)
_PHONE = r"(?P<v>\+?\(?\d(?:[\d ().\-/·]*\d)?)"
_STREET = (
    r"street|str|st|road|rd|avenue|ave|av|lane|ln|drive|dr|boulevard|blvd|way|court|ct|place|pl|square|sq|"
    r"terrace|close|crescent|highway|hwy|parkway|pkwy|circle|cir|trail|row|mews|grove|gardens|walk|hill|quay"
)
_US_STATE = r"A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]"
_PROTECTED = regex.compile(
    r"(?:rs\d+|N[MPRC]_\d+|NCT\d+|ENS[A-Z]*\d+|ICD.*|[A-TV-Z]\d\d(?:\.[\dA-Z]{1,4})?|PMID\d*|CHEMBL\d+|IL-?\d+"
    r"|H\d+N\d+|COVID-?\d+|SARS-?CoV-?\d*|CD\d+[a-z]?|[A-Z]\d{1,4}[A-Z]|c\..*|p\..*|18F.*|99m?Tc.*|TI-?RADS.*)",
    regex.IGNORECASE,
)


def _least(count: int) -> Callable[[Any], bool]:
    return lambda match: digits(match["v"]) >= count


def _labelled(kind: str, labels: str) -> Rule:
    """Return the rule for a value of three characters or more behind one of these labels."""
    return rule(
        kind,
        rf"(?<![\p{{L}}\p{{M}}])(?:{labels}){_NUMBER_WORD}\s*[.:：#=,\-]*\s*(?:\(?(?:no|nr|id)\)?[.:]\s*)?{_VALUE}{_UNIT}",
        ignore_case=True,
        check=_least(3),
    )


def _code(match: Any) -> bool:
    """Say whether a bare token of letters and digits is long enough for a record number."""
    value = match["v"]
    return digits(value) >= 5 and not _PROTECTED.fullmatch(value)


def _grouped(match: Any) -> bool:
    """Say whether groups of digits are a telephone or record number, not a row of values."""
    value = match["v"]
    groups = regex.split(r"[ ./\-]", value)
    separators = set(regex.sub(r"\d", "", value))
    total = digits(value)
    if value.count(".") and len(groups) < 3:
        return False
    if separators == {"-"}:
        return total >= 7
    if separators == {"."}:
        return total >= 9 and min(map(len, groups)) >= 2
    if separators == {"/"}:
        return total >= 10
    shapes = tuple(map(len, groups))
    known = {(3, 3, 4), (4, 4, 4), (3, 3, 3), (3, 4, 4), (4, 3, 3), (4, 4, 4, 4)}
    return total >= 9 and (shapes in known or value[0] == "0" or total >= 13)


def _octets(match: Any) -> bool:
    return all(int(part) < 256 for part in match["v"].split("."))


RULES: tuple[Rule, ...] = (
    *DATE_RULES,
    # Contact data.
    rule(
        "email",
        r"(?P<v>[\p{L}\p{M}\p{N}._%+'\-]+\s?(?:@|\(at\)|\[at\]|＠)\s?[\p{L}\p{M}\p{N}\-]+(?:\s?(?:\.|\(dot\)|\[dot\])\s?[\p{L}\p{M}\p{N}\-]+)+)",
        needs="@ ( [",
    ),
    rule(
        "email",
        r"(?P<v>[\p{L}\p{N}._%+\-]+\s(?:at|AT)\s[\p{L}\p{N}\-]+(?:\s(?:dot|DOT)\s[\p{L}\p{N}\-]+)+)",
        needs="dot DOT",
    ),
    rule("email", r"(?P<v>[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}\-]{2,})", needs="@"),
    rule(
        "url",
        r"(?P<v>(?:https?|ftps?|sftp|dicom|file|smb|wado|ldap|hxxps?)://[^\s<>\"'，。]+[^\s<>\"'.,;:!?)\]，。])",
        ignore_case=True,
        needs="//",
    ),
    rule("url", r"(?<![\p{L}\d@])(?P<v>www\d?\.[^\s<>\"']+[^\s<>\"'.,;:!?)\]])", ignore_case=True),
    rule(
        "url",
        r"(?<![\p{L}\d@.\-])(?P<v>(?:[a-z0-9\-]+\.)+(?:com|org|net|edu|gov|mil|info|health|hospital|clinic|care|doctor|online|cloud|app|dev|local|intern|lan|co\.uk|nhs\.uk|ac\.uk|de|fr|es|it|nl|be|ch|at|pl|ru|cn|jp|kr|br|in|eu|us|uk|ca|au|io|me|ly)(?:[:/][^\s<>\"']*[^\s<>\"'.,;:!?)\]])?)(?![\p{L}\d@])",
        ignore_case=True,
        needs=".",
        check=lambda m: len(m["v"]) > 6 and not regex.fullmatch(r"[\d.\-]+\w*", m["v"]),
    ),
    rule("ip address", r"(?<![\d.])(?P<v>\d{1,3}(?:\.\d{1,3}){3})(?![\d.]*\d)", check=_octets),
    rule(
        "ip address",
        r"(?<![\p{L}\d:])(?P<v>(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4}){1,4}|(?:[0-9a-f]{1,4}:)+:(?:[0-9a-f]{1,4}:?)*[0-9a-f]{1,4}|::1)(?![\p{L}\d:])",
        ignore_case=True,
        needs=":",
        check=lambda m: bool(regex.search(r"::|(?:[0-9a-f]+:){5}", m["v"], regex.IGNORECASE)),
    ),
    rule(
        "device id",
        r"(?<![0-9a-f])(?P<v>[0-9a-f]{2}(?:[:\-][0-9a-f]{2}){5})(?![0-9a-f])",
        ignore_case=True,
    ),
    rule(
        "device id",
        r"(?<![0-9a-f])(?P<v>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
        ignore_case=True,
        needs="-",
    ),
    rule("device id", r"(?P<v>\(01\)\s?\d{14}(?:\s?\(\d\d\)\s?[\w\-]+)*)", needs="("),
    rule("uid", r"(?<![\d.])(?P<v>[0-2](?:\.\d+){5,})(?!\d)", check=_least(10)),
    rule(
        "phone",
        rf"(?<![\p{{L}}\p{{M}}])(?:{_TEL})\b?\.?\s*(?:no|nr|number|num|is|n°|№|#|号码?|番号|번호|:|：|\.)*[\s:：.=]*{_PHONE}",
        ignore_case=True,
        check=_least(4),
    ),
    # Numbers with a label.
    _labelled("national id", _NATIONAL_LABELS),
    _labelled("device id", _DEVICE_LABELS),
    _labelled("record number", _STRONG_LABELS),
    rule(
        "record number",
        rf"(?<![\p{{L}}\p{{M}}])(?:{_WEAK_LABELS})(?:\s*(?:no|nr|num|number|nº|n°|№|#|id|号|番号|번호|رقم|संख्या|номер))+\s*[.:：#=]*\s*{_VALUE}{_UNIT}",
        ignore_case=True,
        check=_least(2),
    ),
    rule(
        "record number",
        rf"(?<![\p{{L}}\p{{M}}])(?:{_WEAK_LABELS})\s*[:：#=]?\s*{_VALUE}{_UNIT}",
        ignore_case=True,
        check=_least(4),
    ),
    rule(
        "record number",
        r"(?<![\p{L}\d])[#№]\s?(?P<v>[\p{L}\d\-]*\d[\p{L}\d\-]*)",
        check=_least(4),
        needs="# №",
    ),
    rule("postcode", r"(?P<v>〒\s?\d{3}-\d{4})", needs="〒"),
    rule("device id", r"(?<![\p{L}\d])(?P<v>[A-Z]{2}\d{2}\s[A-Z]{3})(?![\p{L}\d])"),
    # National numbers by their form.
    rule("national id", r"(?<![\d\-])(?P<v>\d{3}[\-. ]\d{2}[\-. ]\d{4})(?![\d\-])"),
    rule("national id", r"(?<!\d)(?P<v>\d{3}\.\d{3}\.\d{3}[\-.]\d{2})(?!\d)"),
    rule(
        "national id",
        r"(?<![\p{L}\d])(?P<v>\d{6}[\-+A]\d{3}[\dA-Z]|\d{6}-[1-8]\d{6}|\d{6,8}-\d{4})(?![\p{L}\d])",
    ),
    rule(
        "national id",
        r"(?<![\p{L}\d])(?P<v>[12]\s?\d\d\s?(?:0[1-9]|1[0-2]|[2-9]\d)\s?(?:\d\d|2[AB])\s?\d{3}\s?\d{3}(?:\s?\d\d)?)(?!\d)",
    ),
    rule(
        "national id",
        r"(?<![\p{L}\d])(?P<v>[A-Z]{6}\d\d[A-EHLMPR-T]\d\d[A-Z]\d{3}[A-Z]|[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z\d]\d|[A-CEGHJ-PR-TW-Z]{2}\s?\d\d\s?\d\d\s?\d\d\s?[A-D]|[A-Z]{5}\d{4}[A-Z]|[XYZ]-?\d{7}-?[A-Z]|\d{8}-?[A-HJ-NP-TV-Z]|[A-Z]\d{9}|[STFGM]\d{7}[A-Z]|\d[A-HJKMNP-Z][A-HJKMNP-Z\d]\d-?[A-HJKMNP-Z][A-HJKMNP-Z\d]\d-?[A-HJKMNP-Z]{2}\d\d|\d{17}[\dXx]|\d{1,2}\.\d{3}\.\d{3}-[\dkK])(?![\p{L}\d])",
    ),
    rule(
        "record number",
        r"(?<![\p{L}\d])(?P<v>[A-Z]{2}\d{2}(?:\s?[A-Z\d]{4}){3,7}(?:\s?[A-Z\d]{1,3})?)(?![\p{L}\d])",
        check=_least(10),
    ),
    # Telephone numbers by their form.
    rule(
        "phone",
        r"(?<![\p{L}\d])(?P<v>(?:\+|00)\s?\d{1,3}[ .\-/(]*\d(?:[\d ().\-/·]*\d)+)",
        check=_least(8),
    ),
    rule(
        "phone",
        r"(?<!\d)(?P<v>(?:1[ .\-])?\(\d{2,5}\)\s?\d{2,5}(?:[ .\-]\d{2,5}){0,3})(?!\d)",
        check=_least(8),
        needs="(",
    ),
    rule(
        "phone",
        r"(?<![\d.,\p{L}])(?P<v>(?:1[ .\-])?[2-9]\d\d[.\-][2-9]\d\d[.\-]\d{4}(?:\s?(?:x|ext\.?)\s?\d+)?)(?!\d)",
    ),
    rule(
        "phone",
        r"(?<![\d.,\p{L}])(?P<v>0\d{1,5}(?:(?:\s?[/.\-]\s?|\s)\d{2,8}){1,5})(?!\d)",
        check=_least(9),
    ),
    rule("phone", r"(?<!\d)(?P<v>\d{3}-\d{4})(?![\d\-])"),
    # Numbers by their length alone.
    rule("record number", rf"(?<![\p{{L}}\d.,/\-])(?P<v>\d{{7,}})(?![\p{{L}}\d]|[.,]\d){_UNIT}"),
    rule(
        "record number",
        rf"(?<![\p{{L}}\d.,/\-])(?P<v>\d{{2,6}}(?:[\-./ ]\d{{2,6}}){{1,5}})(?![\p{{L}}\d]|[.,\-]\d){_UNIT}",
        check=_grouped,
    ),
    rule(
        "record number",
        r"(?<![\p{L}\d.])(?P<v>(?:[A-Z]{1,6}[\-/_]?)+\d[\dA-Z\-/_]*[\dA-Z]|\d+[\-/]?[A-Z]{1,4}[\-/]?\d[\dA-Z\-/]*)(?![\p{L}\d])",
        check=_code,
    ),
    # Addresses.
    rule(
        "address",
        rf"(?P<v>\d{{1,5}}[A-Za-z]?,?\s(?:(?:[NSEW]|North|South|East|West)\.?\s)?(?:\p{{Lu}}[\p{{L}}\p{{M}}'\-]*\s){{1,4}}(?:{_STREET})\b\.?(?:,?\s(?:apt|apartment|unit|suite|ste|flat|floor|#)\.?\s?[\w\-]+)?)",
        ignore_case=False,
        check=None,
    ),
    rule(
        "address",
        rf"(?P<v>\d{{1,5}}[A-Za-z]?,?\s(?:(?:[NSEW]|North|South|East|West)\.?\s)?(?:\p{{Lu}}[\p{{L}}\p{{M}}'\-]*\s){{1,4}}(?:{'|'.join(w.capitalize() for w in _STREET.split('|'))})\b\.?(?:,?\s(?i:apt|apartment|unit|suite|ste|flat|floor|\#)\.?\s?[\w\-]+)?)",
    ),
    rule(
        "address",
        r"(?P<v>(?:P\.?\s?O\.?\s?Box|Postfach|Apartado|BP|Casella\s+postale|Skrytka\s+pocztowa)\s\d+)",
        ignore_case=True,
    ),
    rule(
        "address",
        r"(?P<v>\d{1,4}(?:\s?(?:bis|ter|[a-c]))?,?\s(?:rue|avenue|av\.|boulevard|bd|bd\.|chemin|allée|place|impasse|quai|cours|route)\s(?:(?:de|du|des|la|le|les|l'|d')\s?)*[\p{Lu}][\p{L}\p{M}'\-]+(?:\s(?:(?:de|du|des|la|le)\s)*\p{Lu}[\p{L}'\-]+)*)",
        ignore_case=False,
    ),
    rule(
        "address",
        r"(?<!\p{L})(?P<v>(?:[Cc]alle|C/|[Aa]venida|[Aa]vda\.?|[Pp]aseo|[Pp]laza|[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Rr]ua|[Aa]v\.|[Tt]ravessa|[Cc]arrera|[Uu]l\.|[Uu]lica|[Aa]l\.|[Oo]s\.|[Rr]ue|[Uu]lici|[Ss]tr\.|[Ss]trada|[Đđ]ường|[Οο]δός|[Οο]δού|[Λλ]εωφόρος)\s(?:(?:de|del|la|las|los|da|do|dos|das|di|della|degli|los|san)\s)*\p{Lu}?[\p{L}\p{M}.'\-]+(?:\s(?:de\s|del\s|la\s|da\s|do\s)*\p{Lu}[\p{L}\p{M}.'\-]+)*,?\s(?:n\.?º?\s?|nº\s?|nr\.?\s?|č\.\s?|αρ\.\s?)?\d+[\p{L}]?(?:/\d+)?)",
    ),
    rule(
        "address",
        r"(?<!\p{L})(?P<v>\p{Lu}[\p{L}\p{M}\-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|ring|straat|laan|plein|gracht|gatan|vägen|gata|veien|vej|gade|katu|tie|utca)\s\d+\s?[a-z]?(?![\p{L}\d]))",
    ),
    rule(
        "address",
        r"(?<!\p{L})(?P<v>\p{Lu}[\p{L}\p{M}\-]*\s(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Damm|Ufer|Caddesi|Cad\.|Sokak|Sok\.|Mahallesi|Mah\.|utca|út)(?:\s?No)?[:.]?\s\d+[a-z]?)",
    ),
    rule(
        "address",
        r"(?<!\p{L})(?P<v>(?:ул\.?|улица|улице|улицы|пр\.|просп\.?|пр-т|проспект|проспекте|пер\.|переулок|бульвар|бул\.|шоссе|наб\.|пл\.|площадь|вул\.|вулиця)\s\p{Lu}?[\p{L}\-.]+(?:\s\p{L}[\p{L}\-.]+)?,?\s(?:д\.?\s?|дом\s)?\d+[\p{L}]?(?:,?\s(?:корп\.?|к\.|стр\.)\s?\d+)?(?:,?\s(?:кв\.?|квартира)\s?\d+)?)",
    ),
    rule(
        "address",
        r"(?P<v>(?:[\p{Han}]{2,6}(?:省|自治区|市|县|區|区|州))*[\p{Han}\d]{1,10}(?:路|街|大道|胡同|巷|弄|街道|镇|村|小区)[\p{Han}]{0,4}\d+\s?(?:号|號|弄|室|栋|幢|楼)(?:[\p{Han}\d]{0,12}(?:室|号楼|单元|层|楼|栋))*)",
        needs="号 號 室 栋 幢 楼 弄",
    ),
    rule(
        "address",
        r"(?P<v>(?:[\p{Han}]{2,3}[都道府県])?(?:[\p{Han}\p{Hiragana}\p{Katakana}ヶ]{1,8}[市区町村郡])+[\p{Han}\p{Hiragana}\p{Katakana}ー]{0,10}\d+(?:丁目|番地?|号|-|の|ー|\d)*)",
        needs="市 区 町 村",
    ),
    rule(
        "address",
        r"(?P<v>(?:\p{Hangul}+(?:특별시|광역시|특별자치시|도|시)\s)?(?:\p{Hangul}+[시군구]\s)*\p{Hangul}+(?:로|길|대로|동)(?:\d+번?길?)?\s?\d+(?:-\d+)?(?:번지|호)?)(?!\p{Hangul}{3})",
        needs="로 길 동",
    ),
    rule(
        "address",
        r"(?P<v>(?:شارع|طريق|حي|عمارة|ص\.ب\.?)\s[\u0621-\u0652]+(?:\s[\u0621-\u0652]+){0,2}[،,]?\s(?:رقم\s)?\d+|\d+[،,]?\s(?:شارع|طريق)\s[\u0621-\u0652]+(?:\s[\u0621-\u0652]+){0,2})",
        needs="شارع طريق حي عمارة ص.ب",
    ),
    rule(
        "address",
        r"(?P<v>(?:רחוב|רח'|שדרות|שד'|דרך|סמטת)\s[א-ת\"'\-]+(?:\s[א-ת\"'\-]+){0,2}\s\d+)",
        needs="רח שד דרך סמטת",
    ),
    rule(
        "address",
        r"(?P<v>(?:मकान|फ्लैट|प्लॉट|घर)\s(?:नं\.?|नंबर|संख्या|सं\.?)\s?\d+(?:[,\s]+[\u0900-\u097F]+){0,4}|\d+[,\s]+[\u0900-\u097F]+(?:\s[\u0900-\u097F]+)?\s(?:मार्ग|रोड|नगर|गली|कॉलोनी))",
        needs="मकान फ्लैट प्लॉट घर मार्ग रोड नगर गली कॉलोनी",
    ),
    rule(
        "postcode",
        r"(?<![\p{L}\d])(?P<v>(?:GIR\s?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKPS-UW]|[A-HK-Y]\d[ABEHMNPRV-Y])\s\d[ABD-HJLNP-UW-Z]{2}))(?![\p{L}\d])",
    ),
    rule("postcode", r"(?<![\p{L}\d])(?P<v>[ABCEGHJ-NPRSTVXY]\d[A-Z]\s\d[A-Z]\d)(?![\p{L}\d])"),
    rule(
        "postcode",
        rf"(?<![\p{{L}}\d])(?P<v>(?:{_US_STATE}),?\s\d{{5}}(?:-\d{{4}})?)(?![\p{{L}}\d])",
    ),
    rule("postcode", r"(?<![\d\-.])(?P<v>\d{5}-\d{4}|\d{5}-\d{3})(?![\d\-])"),
    rule(
        "postcode",
        r"(?<![\p{L}\d])(?:zip(?:\s?code)?|post\s?code|postal\s+code|plz|postleitzahl|code\s+postal|cp|c\.p\.|código\s+postal|cap|cep|postcode|kod\s+pocztowy|индекс|почтовый\s+индекс|ταχ\.?\s*κώδικας|τ\.?κ\.?|邮编|邮政编码|郵便番号|〒|우편\s?번호|الرمز\s+البريدي|מיקוד|पिन(?:\s?कोड)?|pin\s?code)\s*(?:is\s*)?[:：.#]?\s*(?P<v>[A-Z]{0,2}-?\d[\d\s\-]{2,8}\d)(?!\d)",
        ignore_case=True,
    ),
    rule(
        "postcode",
        r"(?<![\p{L}\d.\-])(?P<v>(?:(?:[DAF]-|CH-)?\d{5}|\d{2}-\d{3}|\d{3}\s\d{2})\s\p{Lu}[\p{L}\-]{2,})(?!\p{L})",
        check=lambda m: not is_known(m["v"].split()[-1].lower()),
    ),
    rule("postcode", r"(?P<v>〒?\s?\d{3}-\d{4})(?=\s?[\p{Han}]{2,}[都道府県市])"),
)


def find_identifiers(text: str) -> Iterator[Span]:
    """Yield spans of `text` (plain form) that the table's rules find; they may overlap."""
    for one in RULES:
        if one.needs is not None and not any(word in text for word in one.needs):
            continue
        for match in one.pattern.finditer(text):
            if one.check is None or one.check(match):
                start, end = match.span("v")
                yield Span(start, end, one.kind)
