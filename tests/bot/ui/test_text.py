"""User-provided text is shown and used in file names without side effects."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ui.text import (
    MAX_SLUG_BYTES,
    MAX_SLUG_LENGTH,
    escape_markdown,
    progress_bar,
    slugify,
    strip_markdown,
    truncate,
)

TEXT = st.text(max_size=60) | st.lists(
    st.sampled_from(
        ["**", "*", "_", "`", "\\", "@everyone", "<@1>", "https://a.org", "🇩🇪", "👩‍🚀", "e\u0301", "ا", " ", "x"]
    )
).map("".join)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a red fox", "a red fox"),
        ("a fox, 3:2 - it's 100% wool (new)!", "a fox, 3:2 - it's 100% wool (new)!"),
        ("**bold** *it* __under__ ~~no~~ ||spoiler||", r"\*\*bold\*\* \*it\* \_\_under\_\_ \~\~no\~\~ \|\|spoiler\|\|"),
        ("`code` ```block```", r"\`code\` \`\`\`block\`\`\`"),
        ("back\\slash", r"back\\slash"),
        ("@everyone and @HERE", "@\u200beveryone and @\u200bHERE"),
        ("<@123> <#4> <:fox:5> <t:6>", r"\<@123\> \<#4\> \<:fox:5\> \<t:6\>".replace("#", r"\#")),
        ("see https://a.org/x_y", r"see https\://a.org/x\_y"),
        ("[fox](https://a.org)", r"\[fox\](https\://a.org)"),
        ("discord.gg/abc discord.com/invite/abc", r"discord.gg\/abc discord.com\/invite/abc"),
        ("# title", r"\# title"),
        ("> quote", r"\> quote"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("two\nlines", "two lines"),
        ("left\u202eright", "leftright"),
        ("ثعلب and fox", "\u2068ثعلب and fox\u2069"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_prompt_is_shown_literally(typed, shown):
    assert escape_markdown(typed) == shown


@given(TEXT)
def test_nothing_in_an_escaped_text_is_markdown_a_mention_or_a_link(text):
    shown = re.sub(r"\\[\\*_~`|<>\[\]#:/.+-]", "", escape_markdown(text))  # without what a backslash makes plain
    assert not re.search(r"[*_~`|<>\[\]#\\]|://|@everyone|@here|[\n\r]", shown)


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("a red fox", 9, "a red fox"),
        ("a red fox", 8, "a red…"),
        ("a red fox", 6, "a red…"),
        ("a red fox", 5, "a re…"),
        ("foxfoxfox", 5, "foxf…"),
        ("赤い狐が月の下で", 4, "赤い狐…"),
        ("e\u0301e\u0301e\u0301e\u0301", 4, "e\u0301…"),
        ("🇩🇪🇫🇷🇮🇹", 4, "🇩🇪…"),
        ("🇩🇪🇫🇷🇮🇹", 5, "🇩🇪🇫🇷…"),
        ("x👍🏽y", 3, "x…"),
        ("ab👩‍👩‍👧cd", 5, "ab…"),
        ("a fox", 1, "…"),
        ("a fox", 0, ""),
        ("", 0, ""),
    ],
)
def test_a_long_text_is_cut_between_words_or_characters(text, limit, short):
    assert truncate(text, limit) == short


@given(TEXT, st.integers(0, 40))
def test_a_truncated_text_keeps_the_limit_and_its_beginning(text, limit):
    short = truncate(text, limit)
    assert len(short) <= limit or short == text
    assert text.startswith(short.removesuffix("…"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a red fox", "a_red_fox"),
        ("A Red FOX!!! --ar 3:2", "a_red_fox_ar_3_2"),
        ("Füchse & Bären: die Größe", "fuchse_baren_die_grosse"),
        ("Đường phố cổ", "duong_pho_co"),
        ("don't stop", "dont_stop"),
        ("赤い狐、月の下", "赤い狐_月の下"),
        ("ガラスの城", "ガラスの城"),
        ("여우", "여우"),
        ("Йод и ёж", "йод_и_ёж"),
        ("สวัสดีครับ", "สวัสดีครับ"),
        ("السلام عليكم", "السلام_عليكم"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full_width"),
        ("../../etc/passwd", "etc_passwd"),
        ("a\x00b\u202ec\ud800", "a_b_c"),
        ("🦊🦊", "picture"),
        ("", "picture"),
        ("one two " * 12, "one_two_one_two_one_two_one_two_one_two"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_file_is_named_after_the_prompt(text, name):
    assert slugify(text) == name


@given(TEXT)
def test_a_name_is_never_empty_nor_long_nor_a_path(text):
    name = slugify(text)
    assert 0 < len(name) <= MAX_SLUG_LENGTH
    assert len(name.encode()) <= MAX_SLUG_BYTES
    assert all(char.isalnum() or char == "_" or unicodedata.category(char).startswith("M") for char in name)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**The last day:** 3 jobs\n-# 2 × out of memory", "The last day: 3 jobs 2 × out of memory"),
        ("a _red_ ~~fox~~ in `snow` ||hidden||", "a red fox in snow hidden"),
        ("snake_case, 3*4 and a-b", "snake_case, 3*4 and a-b"),
        ("# big\n> quoted", "big quoted"),
        (r"a \:: b \**loud\** C:\dir", r"a :: b loud C:\dir"),
    ],
)
def test_marks_of_markdown_are_removed_where_they_would_be_read_aloud(text, plain):
    assert strip_markdown(text) == plain


def test_a_bar_is_filled_from_the_left_within_its_length():
    assert [progress_bar(part) for part in (-1, 0.5, 2)] == ["▱" * 10, "▰" * 5 + "▱" * 5, "▰" * 10]
