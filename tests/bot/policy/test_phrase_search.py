"""The search finds what a naive one finds, however phrases nest and overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.policy.phrase_search import PhraseSearch

phrases = st.lists(st.text("ab", min_size=1, max_size=6), max_size=8)


@given(phrases, st.text("abc", max_size=40))
def test_every_phrase_in_a_text_is_found_once(known, text):
    search = PhraseSearch({phrase: phrase for phrase in known})
    assert sorted(search.find(text)) == sorted({phrase for phrase in known if phrase in text})


@given(phrases, st.lists(st.sampled_from(["a", "b", "c"]), max_size=20))
def test_words_are_searched_as_letters_are(known, words):
    search = PhraseSearch({tuple(phrase): phrase for phrase in known})
    assert set(search.find(words)) == {phrase for phrase in known if phrase in "".join(words)}


def test_no_phrases_are_found_nowhere():
    assert [*PhraseSearch({}).find("abc")] == []
    assert [*PhraseSearch({"": 1}).find("abc")] == []
