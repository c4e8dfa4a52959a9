"""The marks by which infotext, the settings that programs write beside a prompt, is recognised."""

from __future__ import annotations

import re

from generation.prompt.characters import COMMAS
from generation.prompt.syntax import COLON

AS_COLON = rf"\s?(?:{COLON}|=)\s?"
_BRACKETS = "([{（［｛【"
_FIRST = rf"(?<![^\s>)\]}}.;|。；）］】｝{re.escape(COMMAS)}])"  # nothing of a word or of a quotation is in front
# In English and in the languages of the web pages that people copy from.
_NEGATIVE_LABEL = (
    r"(?:Neg(?:ative)?[ _-]?prompts?|Undesired[ _]content|Negativer Prompt|Prompt n[ée]gatif|Prompt negativo"
    r"|Негативный промпт|[负反]\w{1,2}提示词|ネガティブ\s?プロンプト)"
)
_NEGATIVE = rf"{_NEGATIVE_LABEL}\s?{COLON}(?!{COLON})\s?"
NEGATIVE = _FIRST + _NEGATIVE
# Only beside a label or settings; alone it may stand in a sentence.
_SHORT_NEGATIVE = rf"(?:Neg(?:atives?)?{AS_COLON}|Negative prompt\s)"
SHORT_NEGATIVE = _FIRST + _SHORT_NEGATIVE
STEPS_SETTING = rf"(?:(?:(?:Sampling[ _])?Steps|(?:采样|迭代)?步数){AS_COLON}\d{{1,4}})"
# A setting with a value of its kind; a word such as `Size:` alone may stand in a sentence.
_NUMBER_SETTING = (
    rf"(?:{STEPS_SETTING}|(?:(?:Random[ _])?Seed|(?:随机)?种子){AS_COLON}-?\d{{1,20}}"
    rf"|(?:CFG|(?:Prompt[ _])?Guidance)(?:[ _]scale)?{AS_COLON}\d{{1,3}}(?:[.,]\d{{1,4}})?"
    rf"|(?:Size|Resolution){AS_COLON}(?:\d{{3,5}}\s?[x×*]\s?\d{{3,5}}|\(\d{{3,5}},\s?\d{{3,5}}\))"
    rf"|(?:Aspect[ _]ratio|AR){AS_COLON}\d{{1,3}}{COLON}\d{{1,3}}"
    rf"|(?:Width|Height){AS_COLON}\d{{3,5}}|Clip[ _]skip{AS_COLON}\d{{1,2}})"
    r"(?!\w|\.\w)"
)
NUMBER_SETTING = _FIRST + _NUMBER_SETTING
_SAMPLER = rf"(?:Sampler|Scheduler)(?:[ _]name)?{AS_COLON}\w[\w+]{{0,40}}(?!\w|\.\w)"
SETTING = f"{_FIRST}(?:{_NUMBER_SETTING}|{_SAMPLER})"
# Other settings that stand before the first certain one; their values may be anything.
LEADING_KEY = (
    r"(?:Model(?: hash)?|VAE(?: hash)?|Version|Schedule type|Created date|(?:Denoising|Prompt|Image) strength|Strength"
    r"|App|Backend|Engine|Parser|Style preset|Batch (?:size|count)|Number of images)"
)
# Fooocus writes these in front of its other settings, one a line.
FOOOCUS_SETTING = (
    rf"(?<!\S)(?:Fooocus V2 Expansion{AS_COLON}|Styles{AS_COLON}(?=[\[(])"
    rf"|Performance{AS_COLON}(?=(?:Extreme )?Speed|Quality|Lightning|Hyper))"
)
# The options of InvokeAI's command line.
DREAM_OPTION = r"(?<!\S)-[sSWHCA]\s?(?=[\w.])"
# A person puts infotext in brackets behind the prompt.
BRACKETED = rf"[{re.escape(_BRACKETS)}]\s?(?:{_NEGATIVE}|{_NUMBER_SETTING}|{_SAMPLER})"
# What begins none of these is passed over at once: the beginning is looked for once, not for each.
MARKERS = rf"{_FIRST}(?:{_NEGATIVE}|{_NUMBER_SETTING}|{_SAMPLER})|{DREAM_OPTION}|{BRACKETED}"
LOOSE_MARKERS = (
    rf"{_FIRST}(?:{_NEGATIVE}|{_SHORT_NEGATIVE}|{_NUMBER_SETTING}|{_SAMPLER})|{DREAM_OPTION}|{BRACKETED}|prompt\s?=|{{"
)
