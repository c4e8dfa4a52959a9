"""The marks by which infotext, the settings that programs write beside a prompt, is recognised."""

from __future__ import annotations

from generation.prompt.syntax import COLON

_AS_COLON = rf"\s?{COLON}\s?"
# In English and in the languages of the web pages that people copy from.
_NEGATIVE_LABEL = (
    r"(?:Neg(?:ative)?[ _-]?prompts?|Undesired[ _]content|Negativer Prompt|Prompt n[ée]gatif|Prompt negativo"
    r"|Негативный промпт|[负反]\w{1,2}提示词|ネガティブ\s?プロンプト)"
)
NEGATIVE = rf"(?<!\S){_NEGATIVE_LABEL}\s?{COLON}(?!{COLON})\s?"
# Only beside a label or settings; alone it may stand in a sentence.
SHORT_NEGATIVE = rf"(?<!\S)(?:Neg(?:atives?)?{_AS_COLON}|Negative prompt\s)"
# A setting with a value of its kind; a word such as `Size:` alone may stand in a sentence.
NUMBER_SETTING = (
    rf"(?<![^\s,])(?:(?:Sampling[ _])?Steps{_AS_COLON}\d{{1,4}}|Seed{_AS_COLON}-?\d{{1,20}}"
    rf"|(?:CFG|Guidance)(?:[ _]scale)?{_AS_COLON}\d{{1,3}}(?:[.,]\d{{1,4}})?"
    rf"|(?:Size|Resolution){_AS_COLON}(?:\d{{3,5}}\s?[x×*]\s?\d{{3,5}}|\(\d{{3,5}},\s?\d{{3,5}}\))"
    rf"|(?:Aspect[ _]ratio|AR){_AS_COLON}\d{{1,3}}{COLON}\d{{1,3}}"
    rf"|(?:Width|Height){_AS_COLON}\d{{3,5}}|Clip[ _]skip{_AS_COLON}\d{{1,2}})"
    r"(?!\w|\.\w)"
)
_SAMPLER = rf"(?<![^\s,])(?:Sampler|Scheduler)(?:[ _]name)?{_AS_COLON}\w[\w+]{{0,40}}(?!\w|\.\w)"
SETTING = f"(?:{NUMBER_SETTING}|{_SAMPLER})"
# Fooocus writes these in front of its other settings, one a line.
FOOOCUS_SETTING = (
    rf"(?<!\S)(?:Fooocus V2 Expansion{_AS_COLON}|Styles{_AS_COLON}(?=[\[(])"
    rf"|Performance{_AS_COLON}(?=(?:Extreme )?Speed|Quality|Lightning|Hyper))"
)
# The options of InvokeAI's command line.
DREAM_OPTION = r"(?<!\S)-[sSWHCA]\s?(?=[\w.])"
MARKERS = rf"{NEGATIVE}|{SETTING}|{DREAM_OPTION}"
