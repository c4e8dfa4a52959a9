"""Words that a small model knows, and what it says about the others."""

import pytest

from generation.models.model import EMBEDDED, Model, describe_model
from generation.models.registry import ModelRegistry
from generation.models.words.unknown_words import unknown_words_note
from generation.models.words.vocabulary import Vocabulary, closest_examples
from generation.params import LoraWeight, Params, PromptPart
from generation.prompt import parse_params
from tests.support.growth import assert_grows_linearly

STORYBOOK = describe_model(EMBEDDED)
KNOWN = {
    "things": ["boat", "castle", "cat", "pine"],
    "colours": ["red", "blue"],
    "places": ["sea", "forest"],
    "times": ["night", "golden hour"],
}
SYNONYMS = {
    "boat": ["sailing boat", "Boot", "船", "bateau"],
    "castle": ["fairy tale castle", "château", "城", "Schloss"],
    "cat": ["kitty", "Katze", "猫", "кот"],
    "red": ["scarlet", "rot", "rotes", "赤い", "rouge"],
    "sea": ["on the sea", "Meer", "海"],
    "forest": ["in the woods", "лес"],
    "night": ["under a starry sky", "Nacht", "夜"],
    "pine": ["Tanne", "bonhomme de neige"],
}
VOCABULARY = Vocabulary.from_json(KNOWN, SYNONYMS)


@pytest.mark.parametrize("prompt", [
    "a red boat on the sea",
    "Castle",
    "a kitty in the woods, golden hour",
    "boats, cats and castles",
    "a beautiful scarlet boat, 8k, masterpiece, highly detailed, in the style of a picture book",
    "a cute little cat, 4K HDR, trending on artstation",
    "ein rotes Boot auf dem Meer bei Nacht",
    "Katzen",
    "un château rouge",
    "chateau",
    "CHÂTEAU",
    "赤い城",
    "夜の海の赤い船",
    "кот в лес",
    "the sky at night",
    "bonhomme de neige",
    "https://example.org/a.png a boat",
    "a boat <charturn>",
    "a (red:1.25) boat on the (sea：1,3)",
    "",
    "1 cat",
])  # fmt: skip
def test_known_words_and_filler_give_no_alarm(prompt):
    assert VOCABULARY.unknown_words(prompt) == ()


@pytest.mark.parametrize(("prompt", "unknown"), [
    ("a red fox", ("fox",)),
    ("Albert Einstein", ("Albert Einstein",)),
    ("a cat riding a bicycle", ("riding", "bicycle")),
    ("two boats", ("two",)),
    ("in the style of Van Gogh", ("Van Gogh",)),
    ("a fairy", ("fairy",)),
    ("ein Drache auf dem Meer", ("Drache",)),
    ("狐", ("狐",)),
    ("赤い狐", ("狐",)),
    ("🐱 in the forest", ("🐱",)),
    ("Fox, FOX and fox", ("Fox",)),
    ("doge", ("doge",)),
    ("skibidi toilet, boat", ("skibidi toilet",)),
])  # fmt: skip
def test_other_words_are_told_as_typed(prompt, unknown):
    assert VOCABULARY.unknown_words(prompt) == unknown


def test_things_come_first_among_the_known_words():
    assert Vocabulary.from_json({"colours": ["red"], "things": ["boat"]}, {}).words() == ("boat", "red")


def test_the_closest_examples_share_words_with_the_prompt():
    examples = ("a red heart", "a house in the snow", "a boat on the sea")
    assert closest_examples(examples, "a fox in the snow") == ("a house in the snow", "a red heart")
    assert closest_examples(examples, "zblort") == examples[:2]


def note(prompt, model=STORYBOOK):
    return unknown_words_note(model, parse_params(prompt, ModelRegistry((model,)))) or ""


def test_the_note_names_the_unknown_words_and_two_examples():
    said = note("a red dinosaur in the snow")
    assert said.startswith("Storybook does not know “dinosaur”. What it draws well: ")
    examples = said.partition("well: ")[2].split(" · ")
    assert len(examples) == 2
    assert set(examples) <= set(STORYBOOK.examples)
    assert all("snow" in example or "red" in example for example in examples)


def test_the_note_ignores_what_is_kept_out():
    assert note("a red boat --no dinosaurs, people") == ""
    assert note("a red boat:: dinosaur::-0.5") == ""
    assert "dinosaur" in note("a red boat:: dinosaur::2")


def test_the_note_is_short_for_long_prompts():
    assert len(note(" and ".join(f"qwzrtx{i}" * 9 for i in range(40)))) < 320


def test_a_model_without_a_vocabulary_or_with_a_lora_says_nothing():
    assert note("a red dinosaur", Model(name="sd", ref="sd")) == ""
    params = Params(
        parts=(PromptPart("a dinosaur"),), width=256, height=256, seed=1, num_inference_steps=4, guidance_scale=1.0,
        loras=(LoraWeight("dinosaurs"),),
    )  # fmt: skip
    assert unknown_words_note(STORYBOOK, params) is None


def test_the_embedded_model_knows_every_word_of_its_examples():
    assert STORYBOOK.vocabulary is not None
    assert {prompt: STORYBOOK.vocabulary.unknown_words(prompt) for prompt in STORYBOOK.examples} == dict.fromkeys(
        STORYBOOK.examples, ()
    )


def test_the_embedded_model_knows_all_its_words_and_synonyms():
    assert STORYBOOK.vocabulary is not None
    for word in STORYBOOK.vocabulary.words():
        assert STORYBOOK.vocabulary.unknown_words(f"a {word}, masterpiece") == ()


@pytest.mark.parametrize("repeated", ["fox ", "狐 ", "a fox, ", "🐱", "赤い城", "aé", "’", "1k "])
def test_a_long_prompt_takes_no_noticeable_time(repeated):
    assert_grows_linearly(VOCABULARY.unknown_words, repeated)
