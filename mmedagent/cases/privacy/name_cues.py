"""The words beside which a name stands: titles, labels and honorifics in many languages."""

# ruff: noqa: E501 - a pattern that is broken over lines is harder to check.

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import regex

from mmedagent.cases.privacy.vocabulary import also_a_name, eponyms, is_known, words_of

PARTICLES = words_of("particles")
_CAP = r"\p{Lu}(?:[\p{L}\p{M}]|['\-](?=\p{L}))*"
_PARTICLE = r"(?:(?:" + "|".join(sorted(PARTICLES)) + r")\s+|(?:al|el|d|l|O)['\-])"
_CAPS = rf"(?:(?:{_PARTICLE})*{_CAP}|\p{{Lu}}\.)(?:[ ](?:{_PARTICLE})*(?:{_CAP}|\p{{Lu}}\.)){{0,4}}"
_ANY = r"\p{L}(?:[\p{L}\p{M}]|['\-](?=\p{L})|\.(?=\s?\p{Lu}))*"
_ANYS = rf"{_ANY}(?:,?[ ]{_ANY}){{0,3}}"
_HAN = r"\p{Han}"
_SURNAMES = (
    "王李张劉刘陈陳杨楊黄黃赵趙吴吳周徐孙孫马馬朱胡郭何高林罗羅郑鄭梁谢謝宋唐许許韩韓冯馮邓鄧曹彭曾肖萧蕭田董袁潘于余"
    "叶葉蒋蔣杜苏蘇魏程吕呂丁任沈姚卢盧姜崔钟鍾谭譚陆陸汪范石廖贾賈夏韦韋付傅方白邹鄒孟熊秦邱江尹薛闫閻阎段雷侯龙龍史陶黎贺賀"
    "顾顧毛郝龚龔邵万萬钱錢严嚴覃武戴莫孔向汤湯温溫康施文牛樊葛邢安齐齊易乔喬伍庞龐颜顏倪庄莊聂聶章鲁魯岳翟殷詹申欧歐"
    "耿关關兰蘭焦俞左柳甘祝包宁寧尚符舒阮柯纪紀梅童凌毕畢单單季裴霍涂成苗谷盛曲翁冉骆駱蓝藍路游辛靳管柴蒙鲍鮑华華喻祁"
)
_NOT_CHINESE = (
    "高血压|高热|高烧|高血脂|高龄|白血病|白内障|黄疸|石膏|方面|左侧|左肺|左眼|左肾|左上|左下|左心|左乳|左|安全|安静|"
    "成人|成年|关节|向|于|任何|曾|曾经|文化|包括|章|成像|何|何种|何处|游离|单侧|单个|单纯|温度|路径|关于|管|管腔|"
    "毛|毛发|康复|武汉|史|毕竟|易|包块|季|平片|纪录|江|施行|水平|符合|盛|曲|万|申|严重|章节|程度|白细胞|白质|陈旧|"
    "林|甘油|单发|于右|尚|尚未|尚可|田|唐氏|付|申请|蓝|武|文献|石|苗|谷|宁|梅毒|龙|雷诺|贾|史料|计算|关"
)
_KOREAN = "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용예경봉사부"
_NOT_KOREAN = (
    "이미지|이상|이전|이후|이력|정상|전체|전이|조직|신장|심장|장기|장애|한국|주요|유방|안구|안과|고혈압|배경|현재|최대|최근|"
    "신경|구조|진단|진료|성인|성별|상태|소견|남성|여성|남자|여자|병변|사진|영상|오른쪽|우측|좌측|하지|상지|지방|간호|방사선|"
    "나이|연령|정보|주소|도착|도움|전신|고령|위치|기록|번호|원인|노인|소아|임신|임상|명단|본인|선생|담당|주치|이름|성명|"
    "모두|모든|문제|하나|두명|여러|다른|어떤|어느|심한|심각|신체|증상|치료|수술|검사|반응|보호|방문|오늘|입원|퇴원|전문"
)
_ARABIC_STOP = "يعاني|يشكو|تعاني|لديه|لديها|كان|كانت|في|من|على|عن|إلى|الذي|التي|هو|هي|مصاب|مصابة|مع|هل|ما|هذا|هذه|عمره|عمرها"
_AR = r"[\u0621-\u064A\u064B-\u0652]+"
_ARS = rf"(?!(?:{_ARABIC_STOP})\b){_AR}(?:\s(?!(?:{_ARABIC_STOP})\b){_AR}){{0,3}}"
_HE = r"[א-ת][א-ת'\"]*(?:-[א-ת]+)?"
_HE_STOP = "סובל|סובלת|עם|של|בן|בת|הוא|היא|את|על|לא|יש|האם|מה"
_HES = rf"(?!(?:{_HE_STOP})\b){_HE}(?:\s(?!(?:{_HE_STOP})\b){_HE}){{0,2}}"
_HI = r"[\u0900-\u0963\u0970-\u097F]+"
_HI_STOP = "को|का|की|के|ने|में|से|है|हैं|और|पर|यह|वह|की|जी|एक|क्या|कौन|उम्र|आयु"
_HIS = rf"(?!(?:{_HI_STOP})(?!\p{{M}}|\p{{L}})){_HI}(?:\s(?!(?:{_HI_STOP})(?![\p{{M}}\p{{L}}])){_HI}){{0,2}}"
_KANA = r"[\p{Han}々ヶ\p{Hiragana}\p{Katakana}ー]"


@dataclass(frozen=True)
class Cue:
    """One way that a name is announced; the pattern's group `name` is what is masked."""

    pattern: Any
    keeps: Callable[[Any], int]
    """Returns how many characters of the group are a name; 0 when it is none."""
    needs: tuple[str, ...] | None = None
    """A text with none of these is not searched."""


def _keep(match: Any, firmly: bool) -> int:
    """Return how many characters of the group `name` are a name: up to the first other word.

    After a title (`firmly`) the first word is a name whatever it is, and `Wilson` is a person.
    """
    name = match["name"]
    end = 0
    for word in _WORD.finditer(name):
        bare = word.group().strip("'.-")
        lower = bare.lower()
        named = not is_known(lower) or also_a_name(lower)
        inner = end > 0 and (lower in PARTICLES or len(bare) == 1)
        person = firmly and bare[:1].isupper() and (end == 0 or lower in _people())
        if not (named or inner or person):
            break
        end = word.end()
    while " " in name[:end] and name[:end].rsplit(" ", 1)[1].lower() in PARTICLES:
        end = name[:end].rindex(" ")
    return end


def _people() -> frozenset[str]:
    return eponyms() - words_of("brands") - words_of("places")


def _firm(match: Any) -> int:
    return _keep(match, firmly=True)


def _loose(match: Any) -> int:
    return _keep(match, firmly=False)


def _whole(match: Any) -> int:
    return len(match["name"])


_WORD = regex.compile(r"[^\s,]+")


def _cue(
    pattern: str,
    keeps: Callable[[Any], int] = _whole,
    needs: str | None = None,
    ignore_case: bool = False,
) -> Cue:
    flags = regex.IGNORECASE if ignore_case else 0
    return Cue(regex.compile(pattern, flags), keeps, tuple(needs.split()) if needs else None)


_WEAK_TITLES = (
    r"Miss|Sir|Madam|Nurse|Sister|Capt|Sgt|Rev|Hon|Hr|Fr|Sr|Don|Doña|Sig|Dona|Pan|Pani|Panu|Panią|"
    r"Bay|Bayan|Ông|Bà|Anh|Chị|Tech|Technologist|Radiographer|κ"
)
_TITLES = (
    r"Mr|Mrs|Ms|Mx|Dr|Drs|Prof|Professor|Doctor|Herr|Herrn|Frau|Mme|Mlle|Monsieur|Madame|"
    r"Mademoiselle|Docteur|Sra|Srta|Señor|Señora|Señorita|Dra|Sigra|Signor|Signora|Dott|Dottssa|"
    r"Senhor|Senhora|lek\. med|Sayın|Г-н|Г-жа|г-н|г-жа|[Гг]осподин|[Гг]оспожа|[Дд]-р|[Дд]октор|[Вв]рач|"
    r"[Пп]роф|[Пп]рофессор|Гр|гр|[Гг]ражданин|[Гг]ражданка|Κος|Κα|κος|κα|κυρία|κύριος|Κυρία|Κύριος|Δρ|Dhr|Mevr|Mw|meneer|mevrouw"
)
_LABELS = (
    r"(?:patient(?:'s|en)?|pt|full|first|last|family|given|maiden|middle|sur|fore|user|doctor|physician|"
    r"radiologist|mother'?s?|father'?s?|guardian|contact|referring|reporting)?[ -]?names?|patient|"
    r"pt|pat|nom(?:\s+(?:du|de la)\s+patiente?)?|prénom|nombre(?:\s+del?\s+(?:la\s+)?paciente)?|apellidos?|"
    r"paciente|paziente|cognome|nome(?:\s+(?:do|da|del|della)\s+\p{L}+)?|(?:patienten?|vor|nach|familien)?name|naam|"
    r"nazwisko|imię(?:\s+i\s+nazwisko)?|pacjent(?:ka)?|ad[ıi](?:\s+soyad[ıi])?|hasta|họ\s+(?:và\s+)?tên|tên|"
    r"фио|ф\.и\.о\.|имя|фамилия|пациент(?:ка)?|больной|больная|όνομα|ονοματεπώνυμο|επώνυμο|ασθενής|"
    r"signed|signature|reported by|dictated by|verified by|attending|radiologist|physician|surgeon|"
    r"consultant|referrer|referred by|operator|performed by|next of kin|patient/name|name/dob"
)
_WEAK = (
    r"patient|pt|patiente|paciente|paziente|pacjent(?:ka|a|ki)?|named|called|is|by|from|to|for|of|"
    r"about|with|seen|asked|told|mother|father|husband|wife|son|daughter|brother|sister|"
    r"radiologist|physician|surgeon|clinician|colleague|consultant|resident|nurse|mr|mrs|[Пп]ациент(?:ка|а|ки|у)?|[Бб]ольн(?:ой|ая|ого)"
)

CUES: tuple[Cue, ...] = (
    # Titles. `MR` and `DR` in capitals are modalities as well: what follows must be no word.
    _cue(rf"(?<![\p{{L}}\p{{M}}])(?:(?:{_TITLES})\b\.?:?\s{{1,2}})+(?P<name>{_CAPS})", _firm),
    _cue(rf"(?<![\p{{L}}\p{{M}}])(?:{_WEAK_TITLES})\b\.?\s(?P<name>{_CAPS})", _loose),
    _cue(rf"(?<!\p{{L}})(?:DR|MR|MRS|MS|PROF)\.?\s(?P<name>{_CAPS})", _loose),
    _cue(rf"(?<!\p{{L}})(?:dr|mr|mrs|prof|doctor)\.?\s(?P<name>{_ANY})", _loose),
    # Labels with a colon or the like: what follows is a name in any case of letters.
    _cue(
        rf"(?<![\p{{L}}\p{{M}}])(?:{_LABELS})\s*(?:is\s*)?[:=#]\s*(?P<name>{_ANYS})",
        _loose,
        needs=": = #",
        ignore_case=True,
    ),
    _cue(
        r"(?<!\p{L})(?i:names?|named|called|nom|nombre|nome|имя|фамилия|зовут)"
        rf"\s(?:is\s|was\s|est\s|es\s|è\s|é\s)?(?P<name>{_CAPS})",
        _loose,
    ),
    _cue(rf"(?<!\p{{L}})(?:{_WEAK})\s(?P<name>{_CAP}(?:\s(?:{_PARTICLE})*{_CAP})+)", _loose),
    # DICOM's form, and the order of indexes.
    _cue(r"(?P<name>\p{L}[\p{L}\p{M}'\- ]*\^[\p{L}\p{M}'\-^. =]*[\p{L}\p{M}.])", needs="^"),
    # Russian and Ukrainian: initials, patronymics.
    _cue(
        r"(?P<name>\p{Lu}[\p{Ll}-]{2,}(?:\s\p{Lu}\.\s?\p{Lu}\.|\s\p{Lu}[\p{Ll}-]+\s\p{Lu}\p{Ll}+(?:вич|вна|вичу|вича|вной|вне|вны|ична|инична|ич)))"
    ),
    _cue(
        r"(?P<name>(?:\p{Lu}[\p{Ll}-]+\s)?\p{Lu}\p{Ll}+(?:ович|евич|овна|евна|ична|овича|евича|овны|евны)(?:\s\p{Lu}\p{Ll}+)?)"
    ),
    # Chinese: labels, the patient, and titles after the name.
    _cue(
        rf"(?:姓名|名字|病人名|患者名|患者姓名|医师|医生|签名|报告者|审核者|联系人)\s*[:：]\s*(?P<name>{_HAN}{{2,4}}(?:·{_HAN}+)*)",
        needs="姓 名 医 签 报 审 联",
    ),
    _cue(
        rf"(?:患者|病人|病患|名叫|叫做|叫|我是|我叫|家属|女儿|儿子|丈夫|妻子|病号)(?!(?:{_NOT_CHINESE}))(?P<name>[{_SURNAMES}]{_HAN}{{1,2}}|(?:欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙){_HAN}{{1,2}})(?=[,，。、:：;；（(\s？?!！]|男|女|的|因|于|有|在|现|自|左|右|入院|今|是|$)",
        needs="患 病 叫 是 家 女 儿 丈 妻",
    ),
    _cue(
        rf"(?<!{_HAN})(?P<name>[{_SURNAMES}]{_HAN}{{1,2}})(?:先生|女士|小姐|医生|医师|主任|教授|大夫|护士|太太|同志)",
        needs="先生 女士 小姐 医生 医师 主任 教授 大夫 护士 太太 同志",
    ),
    _cue(
        rf"(?:由|给|请|为|和|与|经|是|对)(?P<name>[{_SURNAMES}]{_HAN}{{0,2}}?)(?:先生|女士|小姐|医生|医师|主任|教授|大夫|护士|太太)",
        needs="先生 女士 小姐 医生 医师 主任 教授 大夫 护士 太太",
    ),
    # Japanese: labels, honorifics.
    _cue(
        rf"(?:氏名|患者名|お名前|名前|担当医|主治医|フリガナ|ふりがな|カナ)\s*[:：]\s*(?P<name>{_KANA}+(?:[ 　・]{_KANA}+)?)",
        needs="名 医 ナ な",
    ),
    _cue(
        rf"(?<!{_KANA})(?P<name>(?!お|患者|皆|同|多|医師|看護師|担当)[\p{{Han}}々]{{1,4}}[ 　]?[\p{{Han}}々\p{{Hiragana}}\p{{Katakana}}ー]{{0,5}}?)(?:さん|氏(?!名)|医師|先生|殿|ちゃん|くん)",
        needs="さん 氏 医師 先生 殿 ちゃん くん",
    ),
    _cue(
        rf"(?<!{_KANA})(?P<name>\p{{Han}}{{1,3}}[ 　][\p{{Han}}\p{{Hiragana}}\p{{Katakana}}ー]{{1,4}}|[\p{{Katakana}}ー]{{2,}}(?:[・ 　][\p{{Katakana}}ー]{{2,}})?)(?:様|さん|氏)",
        needs="様 さん 氏",
    ),
    _cue(
        r"患者(?:の|は|,|、|:|：)?\s?(?P<name>\p{Han}{1,3}[ 　]\p{Han}{1,3})(?=[のはがをにで、。,（(\s]|$)",
        needs="患者",
    ),
    # Korean: labels, the patient, titles after the name.
    _cue(
        r"(?:환자\s?(?:명|이름|성명)|성명|이름|담당의|보호자|판독의)\s*[:：은는]\s*(?P<name>\p{Hangul}{2,4})",
        needs="명 이름 의 자",
    ),
    _cue(
        rf"환자\s(?!(?:{_NOT_KOREAN}))(?P<name>[{_KOREAN}]\p{{Hangul}}{{1,2}})(?=[,，.\s(（]|의|은|는|이|가|을|를|님|씨|$)",
        needs="환자",
    ),
    _cue(
        rf"(?<!\p{{Hangul}})(?!(?:{_NOT_KOREAN})\s)(?P<name>[{_KOREAN}]\p{{Hangul}}{{1,2}})\s?(?:씨|님|환자(?!\p{{Hangul}}{{2}})|교수|선생님|의사|원장|과장|박사)(?!\p{{Hangul}}{{2,}})",
        needs="씨 님 환자 교수 선생 의사 원장 과장 박사",
    ),
    # Arabic, Hebrew, Hindi: no capitals, so titles and labels only.
    _cue(
        rf"(?:السيد|السيدة|الدكتور|الدكتورة|الأستاذ|د\.|الطبيب|الطبيبة|دكتور|دكتورة|الآنسة)\s*[:/]?\s*(?P<name>{_ARS})",
        needs="السيد الدكتور الأستاذ د. الطبيب دكتور الآنسة",
    ),
    _cue(
        rf"(?:اسم(?:\s(?:المريض|المريضة|الطبيب|الأب|الأم|الكامل))?|الاسم(?:\sالكامل)?|المريض|المريضة|المدعو|اسمه|اسمها)\s*[:：]\s*(?P<name>{_ARS})|(?:اسم\s(?:المريض|المريضة|الطبيب)|اسمه|اسمها|المدعو|المدعوة)\s(?P<name>{_ARS})",
        needs="اسم المريض المدعو",
    ),
    _cue(
        rf"(?<!\p{{L}})(?P<name>(?:{_AR}\s)?(?:(?:بن|بنت|ابن|أبو|آل)\s{_AR}|عبد\s?ال{_AR})(?:\s(?!(?:{_ARABIC_STOP})\b){_AR})?)",
        needs="بن ابن أبو آل عبد",
    ),
    _cue(
        rf"(?:ד\"ר|פרופ'|פרופסור|מר|גב'|גברת|דוקטור|האחות|הרופא|הרופאה)\s(?P<name>{_HES})",
        needs='ד"ר פרופ מר גב דוקטור האחות הרופא',
    ),
    _cue(
        rf"(?:שם(?:\s(?:המטופל|המטופלת|החולה|מלא|פרטי|משפחה))?|המטופל|המטופלת|החולה|מטופל|מטופלת)\s*:\s*(?P<name>{_HES})|(?:שם\s(?:המטופל|המטופלת|החולה)|ששמו|ששמה)\s(?P<name>{_HES})",
        needs="שם טופל חולה",
    ),
    _cue(
        rf"(?:श्री|श्रीमती|श्रीमान|सुश्री|कुमारी|डॉ\.?|डॉक्टर|प्रो\.?)\s(?P<name>{_HIS})",
        needs="श्री सुश्री कुमारी डॉ प्रो",
    ),
    _cue(
        rf"(?:नाम|मरीज|रोगी|मरीज़|चिकित्सक)\s*[:：]\s*(?P<name>{_HIS})|(?:रोगी|मरीज|मरीज़)\sका\sनाम\s(?P<name>{_HIS})",
        needs="नाम मरीज रोगी चिकित्सक",
    ),
)
