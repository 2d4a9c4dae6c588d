"""Dates finer than a year, and ages over 89, in many languages.

A bare year and an age up to 89 stay, as in 45 CFR 164.514(b)(2)(i)(C): they are often what a
question is about.
"""

# ruff: noqa: E501 - a pattern that is broken over lines is harder to check.

from typing import Any

from mmedagent.cases.privacy.rule import Rule, rule

_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|"
    "janvier|février|fevrier|mars|avril|mai|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre|"
    "janv|févr|avr|juil|déc|"
    "januar|jänner|februar|märz|maerz|juni|juli|oktober|dezember|okt|dez|"
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre|ene|abr|ago|dic|"
    "janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro|fev|out|"
    "gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|gen|mag|giu|lug|set|ott|"
    "januari|februari|maart|mei|augustus|maj|augusti|"
    "stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|października|listopada|grudnia|"
    "ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık|"
    "ledna|února|března|dubna|května|června|července|srpna|září|října|listopadu|prosince|"
    "января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря|"
    "январь|февраль|март|апрель|май|июнь|июль|август|сентябрь|октябрь|ноябрь|декабрь|"
    "січня|лютого|березня|квітня|травня|червня|липня|серпня|вересня|жовтня|листопада|грудня|"
    "ιανουαρίου|φεβρουαρίου|μαρτίου|απριλίου|μαΐου|μαίου|ιουνίου|ιουλίου|αυγούστου|σεπτεμβρίου|οκτωβρίου|νοεμβρίου|δεκεμβρίου|"
    "ιανουάριος|φεβρουάριος|μάρτιος|απρίλιος|μάιος|ιούνιος|ιούλιος|αύγουστος|σεπτέμβριος|οκτώβριος|νοέμβριος|δεκέμβριος|"
    "يناير|فبراير|مارس|أبريل|ابريل|مايو|يونيو|يوليو|أغسطس|اغسطس|سبتمبر|أكتوبر|اكتوبر|نوفمبر|ديسمبر|"
    "كانون الثاني|شباط|آذار|نيسان|أيار|حزيران|تموز|آب|أيلول|تشرين الأول|تشرين الثاني|كانون الأول|"
    "محرم|صفر|ربيع الأول|ربيع الثاني|رجب|شعبان|رمضان|شوال|ذو القعدة|ذو الحجة|"
    "בינואר|בפברואר|במרץ|באפריל|במאי|ביוני|ביולי|באוגוסט|בספטמבר|באוקטובר|בנובמבר|בדצמבר|"
    "ינואר|פברואר|מרץ|אפריל|מאי|יוני|יולי|אוגוסט|ספטמבר|אוקטובר|נובמבר|דצמבר|"
    "जनवरी|फरवरी|फ़रवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|अक्तूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर"
)
_M = rf"(?:{_MONTHS})(?![\p{{L}}\p{{M}}])\.?"
_YEAR = r"(?:1[89]|20)\d\d"
_HIJRI = r"1[34]\d\d"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_TIME = r"(?:[T ,]{1,2}(?:at\s|um\s|à\s|в\s)?[0-2]?\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?\s?(?:[AaPp]\.?[Mm]\.?|Z|[+-]\d\d:?\d\d|UTC|GMT)?)?"
_OF = r"(?:\s?(?:of|de|del|den|da|d'|di|do)\s|\s|[.\-/,]\s?|\.\s)"
_OLD = (
    r"years?[\s\-]old|year[\s\-]olds?|yrs?[\s\-]old|yo\b|y/o|y\.o\.?|y\.?\s?old|years\s+of\s+age|yr\b|ans\b|anni\b|años|anos\b|jahre|jahren|jährige[rns]?|"
    r"-?jährig|jaar|lat\b|roků|let\b|år\b|yaş(?:ında|ındaki)?|tuổi|лет\b|года?\b|летн\p{L}+|-летн\p{L}+|років|ετών|χρονών|ετώ|岁|歲|歳|才|세|살|سنة|عامًا|عاماً|عاما|"
    r"שנים|वर्ष|साल|वर्षीय"
)
_OVER_89 = r"(?P<v>9\d|1[0-3]\d)"
_AGED = (
    r"aged?|age(?:\s?/\s?(?:sex|gender))?|alter|âge|âgée?|edad|idade|età|leeftijd|wiek|yaş|ålder|возраст|возрасте|ηλικία|ηλικίας|年龄|年齡|年齢|나이|연령|العمر|عمره|عمرها|"
    r"גיל|בן|בת|आयु|उम्र|h[öo]hes alter von|im alter von"
)


def _real_date(match: Any) -> bool:
    """Say whether eight digits in a row may be a day: a measurement hardly is."""
    value = match["v"]
    return 1 <= int(value[4:6]) <= 12 and 1 <= int(value[6:8]) <= 31


def _parts(match: Any) -> bool:
    """Say whether day and month, in either order, exist."""
    first, second = int(match["a"]), int(match["b"])
    return 1 <= min(first, second) <= 12 and 1 <= max(first, second) <= 31


DATE_RULES: tuple[Rule, ...] = (
    rule("date", rf"(?<![\d.])(?P<v>{_YEAR}\s?[-/.]\s?{_MONTH}\s?[-/.]\s?{_DAY}{_TIME})(?!\d)"),
    rule(
        "date",
        rf"(?<![\d.])(?P<v>(?P<a>\d{{1,2}})\s?(?P<s>[-/.])\s?(?P<b>\d{{1,2}})\s?(?P=s)\s?(?:{_YEAR}|{_HIJRI}|2[5-6]\d\d){_TIME})(?!\d)",
        check=_parts,
    ),
    rule(
        "date",
        rf"(?<![\d.])(?P<v>(?P<a>\d{{1,2}})(?P<s>[-/])(?P<b>\d{{1,2}})(?P=s)'?\d\d{_TIME})(?![\d/\-])",
        check=_parts,
    ),
    rule("date", rf"(?<![\d.])(?P<v>(?P<a>\d\d)\.(?P<b>\d\d)\.\d\d{_TIME})(?![\d.])", check=_parts),
    rule(
        "date",
        rf"(?<![\d.])(?P<v>{_DAY}[-/ ](?:{_MONTHS})[-/ ](?:{_YEAR}|\d\d){_TIME})(?!\d)",
        ignore_case=True,
    ),
    rule(
        "date",
        rf"(?<![\d.])(?P<v>{_YEAR}[-/ .](?:{_MONTHS})[-/ .]{_DAY}{_TIME})(?!\d)",
        ignore_case=True,
    ),
    rule(
        "date", rf"(?<!\d)(?P<v>{_YEAR}\d{{4}}(?:T?\d{{4,6}}(?:\.\d+)?)?)(?!\d)", check=_real_date
    ),
    rule(
        "date",
        rf"(?<![\d.])(?P<v>{_DAY}(?:st|nd|rd|th|er|º|ª|°|\.|-го|-е|η|ης)?{_OF}{{1,2}}{_M}(?:{_OF}?\s?'?(?:{_YEAR}|{_HIJRI}|\d\d(?!\d)))?{_TIME})(?!\d)",
        ignore_case=True,
    ),
    rule(
        "date",
        rf"(?<![\p{{L}}\p{{M}}])(?P<v>{_M}[\s\-]{{1,2}}{_DAY}(?:st|nd|rd|th)?(?!\d|\.\d|\s?(?:mm|cm|%|x|×))(?:,?\s?'?{_YEAR})?{_TIME})(?!\d)",
        check=lambda m: not m["v"].startswith(("may ", "mar ", "march ")) or m["v"][-4:].isdigit(),
        ignore_case=True,
    ),
    rule(
        "date",
        rf"(?<![\p{{L}}\p{{M}}])(?P<v>{_M},?{_OF}?\s?'?{_YEAR})(?!\d)",
        ignore_case=True,
    ),
    rule(
        "date",
        r"(?P<v>(?:\d{2,4}|[一二三四五六七八九〇零]{4}|(?:令和|平成|昭和|大正|明治)\s?(?:\d{1,2}|元)|民国\s?\d+)\s?年\s?(?:\d{1,2}|[一二三四五六七八九十]{1,3})\s?月(?:\s?(?:\d{1,2}|[一二三四五六七八九十]{1,3})\s?[日号])?)",
        needs="年",
    ),
    rule(
        "date", r"(?P<v>(?<!\d)(?:1[0-2]|[1-9])\s?月\s?(?:3[01]|[12]\d|[1-9])\s?[日号])", needs="月"
    ),
    rule("date", r"(?<![\p{L}\d])(?P<v>[RHSTM]\d{1,2}[./]\d{1,2}[./]\d{1,2})(?!\d)"),
    rule(
        "date",
        r"(?P<v>(?:\d{2,4}\s?년\s?)?\d{1,2}\s?월\s?\d{1,2}\s?일|\d{4}\s?년\s?\d{1,2}\s?월)",
        needs="월",
    ),
    rule(
        "date",
        r"(?<!\p{L})(?:on|dated?|dob|d\.o\.b\.?|born|since|until|from|birth(?:day|\s?date)?|du|le|am|vom|den|el|il|del|em|от|στις|в)[\s:]+(?:on\s)?(?P<v>(?P<a>\d{1,2})(?P<s>[-/.])(?P<b>\d{1,2})\.?)(?![\d/]|[.,]\d|\s?(?:mm|cm|%))",
        ignore_case=True,
        check=lambda m: (
            _parts(m)
            and "0" not in (m["a"], m["b"])
            and (m["s"] == "/" or len(m["b"]) == 2 or m["v"][-1] == ".")
        ),
    ),
    rule(
        "date",
        r"(?<!\p{L})(?:dob|d\.o\.b\.?|birth\s?date|date\s+of\s+birth|born)\s*[:=]?\s*(?:on\s)?(?P<v>\d[\d\s./\-]{4,9}\d)",
        ignore_case=True,
    ),
    # Ages over 89.
    rule("age", rf"(?<![\d.,]){_OVER_89}(?=\s?-?(?:{_OLD}))", ignore_case=True),
    rule(
        "age",
        rf"(?<![\d.,\-/]){_OVER_89}(?=-?\s?(?:[yY]|[yY]rs?|[yY]ears?)[\s,./;-]?(?:[mMfF]\b|male|female|man|woman|lady|gentleman|[oO]ld))",
    ),
    rule(
        "age",
        rf"(?<![\p{{L}}\p{{M}}])(?:{_AGED})\s*(?:is|was|of|de|von|:|：|=|-)*\s*{_OVER_89}(?![\d.,]*\d|\s?(?:mm|cm|%|months?|weeks?|days?|hours?))",
        ignore_case=True,
    ),
    rule(
        "age",
        r"(?P<v>ninety(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?|one hundred(?:\sand\s\w+)?)(?=[\s-]years?[\s-]old)",
        ignore_case=True,
        needs="ninety Ninety hundred NINETY",
    ),
    rule("age", r"(?<![\d./,])(?P<v>9\d|1[0-2]\d)(?=\s?[MF](?![\p{L}\d])\s?[,.;)]?)"),
    rule("age", r"(?<!\p{L})(?:0)(?P<v>9\d|1[0-2]\d)(?=Y(?!\p{L}))"),
)
