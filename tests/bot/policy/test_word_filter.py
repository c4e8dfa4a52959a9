"""Blocked words: found when disguised, but not inside other words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.word_filter import MAX_WORDS, WordFilter, WordMatch, WordRule, check_phrase, check_prompt
from generation.errors import UserError
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Upload
from generation.prompt import PromptError, parse_params
from tests.support.growth import ENOUGH_S, assert_grows_linearly, seconds

REGISTRY = ModelRegistry((Model(name="painter", ref="painter"),))
BLOCKED = WordFilter(
    {
        "gore": "refuse",
        "cunt": "refuse",
        "naked man": "refuse",
        "blood": "warn",
        "clown": "except_no",
        "zomb*": "refuse",
    }
)


def find_matches(text: str) -> set[str]:
    return {match.phrase for match in BLOCKED.find(text)}


@pytest.mark.parametrize(
    "text",
    [
        "gore",
        "a scene of GORE, at night",
        "ｇｏｒｅ",
        "g o r e",
        "a g o r e",
        "g.o.r.e",
        "g-o-r-e",
        "g  o  r  e",
        "go-re",
        "go.re",
        "g\u200bo\u200bre",
        "go\u00adre",
        "gоre",  # Cyrillic о
        "gοre",  # Greek ο
        "gøre",
        "góre",
        "g0re",
        "gor3",
        "g0r3",
        "goooore",
        "go/re",
        "g(o)re",
        "go🔥re",
        "gore123",
        "ɢᴏʀᴇ",
        "🅶🅾🆁🅴",
        "🇬🇴🇷🇪",
        "gօre",  # Armenian օ
        "go\u3164re",  # a filler
        "𝓰𝓸𝓻𝓮",
        "ⓖⓞⓡⓔ",
        "gore!!!",
        "(gore:1.3)",
        "*gore*",
        "_gore_",
        "gore's",
        "go re",
        "g*re",
        "g**e",
        "g#re",
        "ggoorree",
        "g    o    r    e",
        "&#103;ore",
        "g&shy;ore",
        "\u13c0o\u13d2\u13ac",  # Cherokee
        "g\u2c9f\u2c85e",  # Coptic
        "ꓖꓳꓣꓰ",  # Lisu
        "goɾe",
        "goɍe",
        "goɽe",
        "goـre",  # the stretcher of Arabic letters
    ],
)
def test_a_blocked_word_is_found_however_it_is_written(text):
    assert "gore" in find_matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe",
        "gorecki, the composer",
        "categoreal",
        "a gorge",
        "al gored",
        "bloodhound",
        "clownfish",
        "the naked mannequin",
        "naked and a man",
        "g o l d",
        "1 2 3 4",
        "2*3 = 6",
        "go read, re go",
        "",
    ],
)
def test_an_innocent_word_is_allowed(text):
    assert find_matches(text) == set()


SHORT = WordFilter(dict.fromkeys(["anal", "anus", "nude", "hell", "rape", "shit", "porn", "ass", "noon"], "refuse"))


@pytest.mark.parametrize(
    "text",
    [
        "an Al Pacino poster",
        "an US flag",
        "une femme nu de dos, la vie en rose",
        "grapes, a drapery, a trapeze",
        "a shiitake, a shell, he'd, hello",
        "no on-off switch, so on and so on",
        "classic bass, passing grass, assets",
        "analogue canals, banal",
        "s*t and 2*3 = 6, **bold** words",
        "aa bb, oo, ee, mm",
        "R&amp;B, Q&A",
        "аня и нос, ρόδα, ջուր",
        "ist das an us?",
    ],
)
def test_short_words_do_not_make_a_blocked_one(text):
    assert SHORT.find(text) == []


IN_UNSPACED = [("血", "红色的血液"), ("血", "血 液"), ("暴力", "一个暴力的场面")]
IN_UNSPACED += [("เลือด", "ภาพเลือดสีแดง"), ("โป๊", "รูปโป๊เปลือย")]


@pytest.mark.parametrize(("phrase", "text"), IN_UNSPACED)
def test_a_word_is_found_in_a_script_without_blanks(phrase, text):
    assert [match.phrase for match in WordFilter({phrase: "refuse"}).find(text)] == [phrase]


@pytest.mark.parametrize(("phrase", "text"), [("エロ", "ピエロの絵"), ("ばか", "花ばかり"), ("血", "皿の上")])
def test_a_word_is_not_found_inside_another_script_s_words(phrase, text):
    assert WordFilter({phrase: "refuse"}).find(text) == []


@pytest.mark.parametrize("text", ["naked man", "naked   man", "NAKED\nMan", "a naked, man", "nak3d m4n"])
def test_a_phrase_is_found_across_its_separators(text):
    assert find_matches(text) == {"naked man"}


@pytest.mark.parametrize("text", ["zombie", "zombies", "a ZOMBified face", "z0mbie", "z o m b i e"])
def test_a_star_matches_every_word_with_that_prefix(text):
    assert find_matches(text) == {"zomb*"}


def test_a_match_has_its_rule():
    assert BLOCKED.find("blood") == [WordMatch("blood", WordRule.WARN)]


def test_an_empty_filter_finds_nothing():
    assert WordFilter({}).find("gore, anything") == []


@given(st.text())
def test_any_text_can_be_searched(text):
    BLOCKED.find(text)


def test_ten_thousand_words_and_the_longest_prompt_are_checked_quickly():
    words = WordFilter({f"word{number}x": "refuse" for number in range(MAX_WORDS)} | {"gore": "refuse"})
    assert words.find("a b c d e f g " * 420 + "gore") == [WordMatch("gore", WordRule.REFUSE)]
    assert_grows_linearly(words.find, "a b c d e f g ")


def test_a_refusal_names_every_word_as_the_owners_wrote_it():
    with pytest.raises(PromptError, match=r"do not allow `zomb\*`, `gore` in prompts"):
        check_prompt(BLOCKED, parse_params("g0re with zombies", REGISTRY))


@pytest.mark.parametrize("prompt", ["a (naked:1.2) man", "(naked:0.9) (man:1.1)", "(na:1.0)(ked:1.0) man"])
def test_weights_between_words_hide_nothing(prompt):
    with pytest.raises(PromptError, match="naked man"):
        check_prompt(BLOCKED, parse_params(prompt, REGISTRY))


def test_a_warning_does_not_refuse_the_prompt():
    assert "`blood`" in (check_prompt(BLOCKED, parse_params("a blood moon", REGISTRY)) or "")
    assert check_prompt(BLOCKED, parse_params("a moon", REGISTRY)) is None


def test_a_word_can_be_allowed_after_no_only():
    assert check_prompt(BLOCKED, parse_params("a circus --no clown", REGISTRY)) is None
    with pytest.raises(PromptError, match="`clown`"):
        check_prompt(BLOCKED, parse_params("a clown", REGISTRY))
    for prompt in ("a circus --no gore", "a circus --negative gore"):
        with pytest.raises(PromptError, match="`gore`"):
            check_prompt(BLOCKED, parse_params(prompt, REGISTRY))


@pytest.mark.parametrize("part", ["gore::2 moon", "moon:: gore::-1", "moon::2 gore"])
def test_every_part_of_a_multi_prompt_is_checked(part):
    with pytest.raises(PromptError, match="`gore`"):
        check_prompt(BLOCKED, parse_params(f"{part} sky::3", REGISTRY))


@pytest.mark.parametrize(("typed", "kept"), [("  Naked   MAN ", "naked man"), ("zomb*", "zomb*"), ("日本", "日本")])
def test_a_phrase_is_stored_normalized(typed, kept):
    assert check_phrase(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", "   ", "g.*e|x", "(gore)", "[a-z]", "a\\b", "*", "ab*", "go*re", "!!!", "x" * 101, "a`b"]
)
def test_anything_but_a_plain_word_is_refused(typed):
    with pytest.raises(UserError):
        check_phrase(typed)


def test_a_spelled_out_phrase_is_found_and_a_trailing_sign_is_a_letter():
    assert find_matches("n a k e d m a n") == {"naked man"}
    words = WordFilter({"ass": "refuse"})
    assert [match.phrase for match in words.find("a$$")] == ["ass"]
    assert words.find("as s, a classic bass, pass the assets") == []


def test_a_refusal_names_ten_words_and_counts_the_rest():
    phrases = [f"{'word' * 20}{chr(97 + number)}" for number in range(25)]
    with pytest.raises(PromptError, match="and 15 more") as refused:
        check_prompt(WordFilter(dict.fromkeys(phrases, "refuse")), parse_params(" ".join(phrases), REGISTRY))
    assert len(str(refused.value)) < 1900


@pytest.mark.parametrize("unit", ["g", "a ", "a-", "$a", "ab "])
def test_no_prompt_takes_long_to_check(unit):
    words = WordFilter({" ".join("ab" * 25): "refuse", "zomb*": "refuse"})
    assert_grows_linearly(words.find, unit)


@pytest.mark.parametrize("text", ["a " * 3000, "a_" * 3000, "ab " * 2000, "xq " * 2000, "字" * 6000, "字 " * 3000])
def test_no_prompt_takes_long_to_check_for_words_that_nest(text):
    few, many = nested_words(range(2, 6)), nested_words(range(2, 50))
    assert many.find(text)
    # Trying each length on its own made it twelve times as long.
    assert seconds(many.find, text) < 4 * seconds(few.find, text) + ENOUGH_S


def nested_words(lengths: range) -> WordFilter:
    units = ("a", "ab", "xq", "字", "a ")
    nested = [unit * number + end for unit in units for number in lengths for end in ("", "x", "*")]
    return WordFilter(dict.fromkeys(nested, "refuse"))


@pytest.mark.parametrize(
    "prompt", ["[go:xx:.5]re", "[xx:go:.9]re", "a [:go:3]re [x:y:.5]", "[a:[b:gore:150]:.99]", "g[o:a:.5][a:re:10]"]
)
def test_words_that_change_are_checked_with_each_other(prompt):
    with pytest.raises(PromptError):
        check_prompt(BLOCKED, parse_params(prompt, REGISTRY))


def many_changes(filling: str) -> str:
    """Return a long prompt that has 81 texts."""
    edits = [f"[a:b:.{at}]" if at % 2 else f"[a:b:{at}]" for at in range(11, 27)]
    return f" {filling} ".join(edits)


def test_a_long_text_that_changes_often_is_checked_in_little_time():
    params = parse_params(many_changes("such words " * 30), REGISTRY)
    assert len(params.parts[0].texts) == 81
    text = "\n".join(params.parts[0].texts)
    assert seconds(lambda _: check_prompt(BLOCKED, params), "") < seconds(BLOCKED.find, text) / 3


@pytest.mark.parametrize("far", [" x" * 300, " longword" * 60])
@pytest.mark.parametrize(
    "prompt",
    ["{far} go[xx:re:.5] {far}", "[x:y:.2] {far} [xx:naked:.5] man {far} [a:b:9]", "({far} [x:na:.5]:1.0)ked man"],
)
def test_words_that_change_far_from_the_ends_are_checked(far, prompt):
    with pytest.raises(PromptError, match=r"gore|naked man"):
        check_prompt(BLOCKED, parse_params(prompt.format(far=far), REGISTRY))


@pytest.mark.parametrize("word", ["gorelike", "likegore"])
def test_a_word_that_is_cut_is_not_taken_for_another(word):
    for length in range(290, 312):
        check_prompt(BLOCKED, parse_params(f"{word} {'x' * length}[a:b:.5]{'x' * length} {word}", REGISTRY))


def test_what_is_mixed_in_is_checked():
    with pytest.raises(PromptError):
        check_prompt(BLOCKED, parse_params("a fox --mix gore", REGISTRY, source=Upload("cafe")))
