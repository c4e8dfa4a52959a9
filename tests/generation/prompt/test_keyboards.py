"""What keyboards, word processors and web pages make of a prompt's marks is taken for what was meant."""

from __future__ import annotations

import sys
import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import PromptReading, format_prompt, parse_prompt, read_prompt
from generation.prompt.characters import remove_invisible

REGISTRY = ModelRegistry((Model(name="storybook", ref="m"),))
FOX, OWL = "https://example.org/fox.png", "https://example.org/owl.jpg"
EVERY = "".join(map(chr, range(sys.maxunicode + 1)))
UNKNOWN = ("Cs", "Cn", "Co")  # categories of what is no character, or none yet


def matching(pattern: str) -> list[str]:
    """Return the characters of a class of a regular expression."""
    return [char for char in regex.findall(pattern, EVERY) if unicodedata.category(char) not in UNKNOWN]


MARKS = matching(r"\p{P}")


def read(typed: str, **more: int) -> PromptReading:
    return read_prompt(typed, REGISTRY, **more)


def meaning(typed: str) -> tuple[list[tuple[str, float]], dict[str, object], list[str], list[str]]:
    reading = read(typed)
    parts = [(part.text, part.weight) for part in reading.parts if part.text]
    return parts, dict(reading.parameters), list(reading.links), list(reading.problems)


def named(*endings: str) -> list[str]:
    """Return the punctuation marks whose names end so."""
    return [char for char in MARKS if unicodedata.name(char, "").endswith(endings)]


DASHES = matching(r"\p{Pd}")
MINUS_SIGNS = [
    char for char in matching(r"\p{S}") if regex.fullmatch(r"(?:HEAVY )?MINUS SIGN", unicodedata.name(char, ""))
]
COLONS = [":", "：", "﹕", "︓", "∶", "꞉"]
COMMAS = [char for char in [*named(" COMMA"), ","] if unicodedata.category(char) == "Po"]
STOPS = [char for char in [".", *named("FULL STOP", "DECIMAL SEPARATOR")] if unicodedata.category(char) == "Po"]
QUOTES = [
    ('"', '"'),
    ("“", "”"),
    ("„", "“"),
    ("«", "»"),
    ("»", "«"),
    ("‘", "’"),
    ("'", "'"),
    ("`", "`"),
    ("```", "```"),
]
QUOTES += [("「", "」"), ("＂", "＂"), ("‹", "›"), ("『", "』"), ("´", "´")]
BLANK = ["\u2800", "\u3164", "\uffa0", "\u00a0", "\u3000", "\u2003"]
INVISIBLE = [
    char
    for char in matching(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]")
    if not regex.fullmatch(r"\p{Prepended_Concatenation_Mark}", char) and char not in BLANK
]


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


@given(st.sampled_from(DASHES + MINUS_SIGNS), st.integers(2, 4), st.sampled_from(["ar 3:2", "AR 3:2", "aspect 3:2"]))
def test_two_dashes_of_any_kind_start_a_parameter(dash, number, parameter):
    assert meaning(f"a fox {dash * number}{parameter}") == ([("a fox", 1)], {"aspect": (3, 2)}, [], [])


@given(st.sampled_from([char for char in DASHES + MINUS_SIGNS if char not in "-〜〰"]))
def test_one_dash_of_a_word_processor_starts_a_parameter(dash):
    assert meaning(f"a fox {dash}ar 3:2 {dash}seed 5")[1] == {"aspect": (3, 2), "seed": 5}


@given(st.sampled_from(DASHES + MINUS_SIGNS))
def test_a_number_takes_any_minus_sign(minus):
    assert meaning(f"fox::{minus}0.5 moon::2") == ([("fox", -0.5), ("moon", 2)], {}, [], [])
    assert meaning(f"a fox --seed {minus}5")[3] == ["`--seed` must be between 0 and 4294967295"]


@given(st.sampled_from(STOPS + COMMAS))
def test_a_number_takes_any_decimal_mark(mark):
    assert meaning(f"fox::1{mark}5 moon::2")[0] == [("fox", 1.5), ("moon", 2)]
    assert meaning(f"a fox --cfg 4{mark}5")[1] == {"cfg": 4.5}


@given(st.sampled_from(COLONS), st.sampled_from(COLONS))
def test_any_colons_separate_parts_and_sides(first, second):
    assert meaning(f"fox{first}{second}2 moon")[0] == [("fox", 2), ("moon", 1)]
    assert meaning(f"a fox --ar 3{first}2")[1] == {"aspect": (3, 2)}


@given(st.sampled_from(COMMAS))
def test_any_commas_separate_items(comma):
    assert meaning(f"a fox --no text{comma} people")[1] == {"no": ("text", "people")}


@given(st.sampled_from(["ar 3:2", "seed 123", "cfg 7.5", "tile", "s 50", "no", "style raw"]))
def test_full_width_parameters_are_read(parameter):
    assert meaning(f"狐 {full_width('--' + parameter)}") == meaning(f"狐 --{parameter}")


@given(
    st.sampled_from([*QUOTES, ("*", "*"), ("**", "**"), ("***", "***")]),
    st.sampled_from(["a fox --ar 16:9", "/imagine prompt: a fox --ar 16:9"]),
)
def test_marks_around_the_whole_prompt_are_left_out(quotes, prompt):
    expected = ([("a fox", 1)], {"aspect": (16, 9)}, [], [])
    assert meaning(f"{quotes[0]}{prompt}{quotes[1]}") == expected
    assert meaning(f"/imagine prompt: {quotes[0]}{prompt}{quotes[1]}") == expected


@given(st.sampled_from(QUOTES))
def test_quotation_marks_around_a_value_are_left_out(quotes):
    before, after = quotes
    assert meaning(f"a fox --no {before}text, watermark{after}")[1] == {"no": ("text", "watermark")}
    assert meaning(f"a fox --negative {before}ugly, dark{after}")[1] == {"negative": "ugly, dark"}
    assert meaning(f"a fox --ar {before}3:2{after} --style {before}raw{after}")[1] == {"aspect": (3, 2), "style": "raw"}


@pytest.mark.parametrize("typed", ['"hot" and "cold"', "the '90s", "rock 'n' roll", 'a sign that says "OPEN 24/7"'])
def test_quotation_marks_inside_a_prompt_stay(typed):
    assert meaning(typed)[0] == [(typed, 1)]


@settings(max_examples=300)
@given(st.sampled_from(INVISIBLE), st.integers(0, 20))
def test_an_invisible_character_anywhere_changes_nothing(char, place):
    typed = "a fox --ar 3:2 --tile"
    assert meaning(typed[:place] + char + typed[place:]) == meaning(typed)


@given(st.sampled_from(INVISIBLE), st.sampled_from(["--", "——", "－－", "::", "：：", "3：2", "０.５"]))
def test_an_invisible_character_inside_a_mark_changes_nothing(char, mark):
    for typed in (f"狐 --no {mark[:1]}{char}{mark[1:]}", f"狐 {mark[:1]}{char}{mark[1:]}ar 3:2"):
        assert meaning(typed) == meaning(typed.replace(char, ""))


@given(st.sampled_from(BLANK))
def test_what_looks_like_a_blank_is_one(blank):
    assert meaning(f"a{blank}fox{blank}--ar{blank}3:2{blank}")[:2] == ([("a fox", 1)], {"aspect": (3, 2)})


@pytest.mark.parametrize(
    "shown",
    ["👩‍🚀", "👩‍❤️‍👨", "🙂‍↔️", "🏳️‍🌈", "1️⃣", "#️⃣", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👍🏽", "〰️", "‼️", "©️", "نیم‌فاصله", "क्‍ष", "葛󠄀", "ᠠ᠋", "؀١"],
)
def test_joined_characters_stay_whole(shown):
    assert remove_invisible(f"a {shown} b") == f"a {shown} b"


@pytest.mark.parametrize(
    "typed",
    [
        "a sign —no entry— on the wall",
        "a man –tile worker– in blue",
        "a sign --no entry-- on the wall",
        "a shop —fast food— at night",
        "a sign ——no entry—— on the wall",
        "a road —stop here—, at dusk",
        "a cat —sleeping in the sun",
        "a cat —sleeping— in the sun",
        "a cat — sleeping — in the sun",
        "a cat—sleeping—in the sun",
        "1990–2000 fashion",
        "the years 1990 − 2000",
        "a map — no roads",
        "狐狸 ——走了",
        "ラーメン ーおいしいー",
        "well-known, red-and-white",
        "a hall —no one is here",
        "a street, —no one in sight, only rain",
        "—no matter what comes",
        "He came —no, he ran",
        "a hall —no-one is here",
        "a knight —no bigger than a thumb",
        "a man —no longer young",
        "a room —no people are in it",
        "a cat —fast asleep on the sofa",
        "a kitchen —tile floor",
        "a cat —raw and cold",
        "a bus —stop sign",
        "a man —model for a day",
        "a fox —quality of light",
        "a man —style icon of the age",
    ],
)
def test_prose_with_dashes_stays_prose(typed):
    assert meaning(typed) == ([(typed, 1)], {}, [], [])


@pytest.mark.parametrize(
    ("typed", "parameters"),
    [
        ("a fox —no snow —steps 9", {"no": ("snow",), "steps": 9}),
        ("a fox —no snow— —ar 3:2", {"aspect": (3, 2)}),
        ("a fox —tile", {"seamless": True}),
        ("a room —no people", {"no": ("people",)}),
        ("a fox —no text, one owl", {"no": ("text", "one owl")}),
        ("a fox —style raw —stop 80 —fast", {"style": "raw", "stop": 80, "fast": True}),
        ("a fox —model story", {"model": "storybook"}),
        ("a fox — ar 3：2", {"aspect": (3, 2)}),
        ("a fox ーーar 3:2", {"aspect": (3, 2)}),
        ("a fox ㅡㅡar 3:2", {"aspect": (3, 2)}),
        ("a fox ──ar 3:2", {"aspect": (3, 2)}),
    ],
)
def test_a_dash_before_a_parameter_is_not_prose(typed, parameters):
    assert {name.replace("tile", "seamless"): value for name, value in meaning(typed)[1].items()} == parameters


@pytest.mark.parametrize("between", [" ", ", ", " , ", " ,", ",", ";", " ; ", "，", " 、 ", "\n", "\u3000"])
def test_links_in_front_are_separated_by_anything(between):
    assert meaning(f"{FOX}{between}{OWL}{between}a fox") == ([("a fox", 1)], {}, [FOX, OWL], [])


@pytest.mark.parametrize("between", [" | ", " - ", " – ", " + ", " & "])
def test_links_in_front_are_separated_by_signs(between):
    assert meaning(f"{FOX}{between}{OWL}{between}a fox") == ([("a fox", 1)], {}, [FOX, OWL], [])


def test_code_marks_around_parameters_are_left_out():
    assert meaning("a fox `--ar 3:2 --tile`") == ([("a fox", 1)], {"aspect": (3, 2), "tile": True}, [], [])
    assert meaning("```\na fox --ar 3:2\n```") == ([("a fox", 1)], {"aspect": (3, 2)}, [], [])
    assert meaning("```text\na fox\n--ar 3:2\n```") == ([("a fox", 1)], {"aspect": (3, 2)}, [], [])


_marks = st.sampled_from([*DASHES, *MINUS_SIGNS, *COLONS, *COMMAS, *STOPS, *(each for pair in QUOTES for each in pair)])
_texts = st.lists(
    _marks | st.sampled_from(["ar 3:2", "no ", "fox", " ", "2", ".5", "Steps: 3, Seed: 4", "Negative prompt: ", "\\"]),
    max_size=12,
).map("".join)


@settings(max_examples=400)
@given(_texts)
def test_what_was_read_is_read_again(typed):
    reading = read(typed)
    if reading.request is not None:
        params = reading.request.params
        again = parse_prompt(format_prompt(params, REGISTRY, seed=True), REGISTRY, attached=len(reading.links))
        assert again.params == params
