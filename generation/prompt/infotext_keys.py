"""The marks by which infotext, the settings that programs write beside a prompt, is recognised."""

from __future__ import annotations

from generation.prompt.syntax import COLON

_AS_COLON = rf"\s?{COLON}\s?"
NEGATIVE = rf"(?<!\S)Negative[ _]prompts?{_AS_COLON}"
# A setting with a value of its kind; a word such as `Size:` alone may stand in a sentence.
NUMBER_SETTING = (
    rf"(?<![^\s,])(?:(?:Sampling[ _])?Steps{_AS_COLON}\d{{1,4}}|Seed{_AS_COLON}-?\d{{1,20}}"
    rf"|(?:CFG|Guidance)(?:[ _]scale)?{_AS_COLON}\d{{1,3}}(?:[.,]\d{{1,4}})?"
    rf"|(?:Size|Resolution){_AS_COLON}\d{{1,5}}\s?[x×*]\s?\d{{1,5}}|(?:Width|Height|Clip[ _]skip){_AS_COLON}\d{{1,5}})"
    r"(?![\w.])"
)
_SAMPLER = rf"(?<![^\s,])(?:Sampler|Scheduler)(?:[ _]name)?{_AS_COLON}\w[\w+]{{0,40}}(?![\w.])"
SETTING = f"(?:{NUMBER_SETTING}|{_SAMPLER})"
# The options of InvokeAI's command line.
DREAM_OPTION = r"(?<!\S)-[sSWHCA]\s?(?=[\w.])"
MARKERS = rf"{NEGATIVE}|{SETTING}|{DREAM_OPTION}"
