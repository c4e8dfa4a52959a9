"""The drawing code: the images and captions that training uses."""

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from training.canvas import Canvas
from training.captions import SYNONYMS, common_words, make_caption, plain_caption, training_caption
from training.evaluate import nearest_colour
from training.languages import LANGUAGES, translated_caption
from training.objects import OBJECTS
from training.palette import COLOURS
from training.pen import Pen
from training.scenes import PLACES
from training.settings import ASPECTS, KNOWN, NEW_OBJECTS, ROOT, TRAINED_OBJECTS, TRAINED_STYLES
from training.styles import FINISHES, STYLES
from training.subjects import Subject, draw, is_held_out, sample_size, sample_subject
from training.text import LABELS


def pixels(image):
    return np.asarray(image, dtype=np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_seed_draws_the_same_image(seed):
    subject = sample_subject(random.Random(seed))
    first, second = draw(subject, (256, 256), seed), draw(subject, (256, 256), seed)
    assert first.tobytes() == second.tobytes()


def test_another_seed_draws_the_same_place_differently():
    hills = Subject(place="hills", time="day", weather="clouds")
    assert draw(hills, (256, 256), 1).tobytes() != draw(hills, (256, 256), 2).tobytes()


@pytest.mark.parametrize("size", [size for size, _ in ASPECTS])
def test_a_drawing_has_the_requested_size_with_sides_the_unet_can_halve(size):
    assert draw(Subject(place="sea", time="sunset"), size, 0).size == size
    assert all(side % 32 == 0 for side in size)


@pytest.mark.parametrize("thing", OBJECTS)
def test_an_object_is_large_and_in_its_colour_on_a_plain_background(thing):
    colour, background = ("red", "blue") if thing != "tree" else ("pink", "blue")
    shown = pixels(draw(Subject(thing=thing, colour=colour, background=background), (256, 256), 3))
    backdrop = pixels(draw(Subject(background=background), (256, 256), 3))
    changed = np.abs(shown - backdrop).max(axis=-1) > 60
    near = np.abs(shown - np.array(COLOURS[colour])).max(axis=-1) < 70
    assert 0.06 < changed.mean() < 0.6
    assert near[changed].mean() > 0.15


@pytest.mark.parametrize("place", PLACES)
def test_a_place_fills_the_whole_image(place):
    drawn = pixels(draw(Subject(place=place, time="" if place == "space" else "day"), (352, 192), 5))
    assert (drawn.max(axis=-1) > 0).mean() > 0.999


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_the_image_but_not_its_size(style):
    castle = Subject(thing="castle", colour="pink", place="hills", time="day", weather="clouds")
    plain = draw(castle, (320, 224), 2)
    styled = draw(Subject(**castle.as_dict() | {"style": style}), (320, 224), 2)
    assert styled.size == plain.size
    assert np.abs(pixels(styled) - pixels(plain)).mean() > 8


@pytest.mark.parametrize("thing", ["castle", "car", "ghost", "windmill"])
def test_line_art_has_thick_dark_lines_on_white_paper(thing):
    drawn = pixels(draw(Subject(thing=thing, colour="red", background="blue", style="line art"), (256, 256), 2))
    dark, paper = drawn.max(axis=-1) < 120, drawn.min(axis=-1) > 230
    assert 0.02 < dark.mean() < 0.25
    assert dark.mean() + paper.mean() > 0.9
    inner = dark[2:-2, 2:-2] & dark[:-4, 2:-2] & dark[4:, 2:-2] | dark[2:-2, 2:-2] & dark[2:-2, :-4] & dark[2:-2, 4:]
    assert inner.sum() > 0.5 * dark.sum()


@pytest.mark.parametrize(("colour", "background", "channel"), [("blue", "red", 2), ("red", "blue", 0)])
def test_neon_outlines_an_object_in_its_own_colour(colour, background, channel):
    heart = Subject(thing="heart", colour=colour, background=background, style="neon")
    drawn = pixels(draw(heart, (256, 256), 2))
    lines = drawn[drawn.max(axis=-1) > 240]
    assert len(lines) > 1000
    assert (lines.argmax(axis=-1) == channel).mean() > 0.8


@pytest.mark.parametrize("place", ["meadow", "sea", "desert"])
def test_an_oil_painting_keeps_the_colours_of_the_landscape(place):
    land = Subject(place=place, time="day", weather="clear")
    plain, painted = (pixels(draw(s, (256, 256), 4))[180:] for s in (land, replace(land, style="oil painting")))
    assert np.abs(plain.mean(axis=(0, 1)) - painted.mean(axis=(0, 1))).max() < 40
    assert painted.std(axis=1).mean() > plain.std(axis=1).mean() + 3


@pytest.mark.parametrize("style", ["", "black and white", "neon", "watercolour"])
def test_the_house_finish_enriches_any_style_and_keeps_greys_grey(style):
    boat = Subject(thing="boat", colour="red", place="sea", time="day", weather="clear", style=style)
    plain = pixels(draw(boat, (256, 256), 2))
    finished = pixels(draw(replace(boat, finish="storybook"), (256, 256), 2))
    assert 6 < np.abs(finished - plain).mean() < 60
    assert (np.ptp(finished, axis=-1).max() < 8) == (style == "black and white")


def test_the_house_finish_is_the_same_everywhere_so_that_a_canvas_can_be_extended():
    flat = pixels(FINISHES["storybook"](Image.new("RGB", (256, 256), (90, 140, 200)), random.Random(0)))
    assert np.ptp(flat, axis=(0, 1)).max() == 0


def test_a_finished_background_keeps_its_colour():
    for colour in COLOURS:
        assert nearest_colour(draw(Subject(background=colour, finish="storybook"), (256, 256), 1)) == colour


@pytest.mark.parametrize("time", ["day", "sunset", "night"])
def test_a_grey_object_stays_grey_in_every_light(time):
    car = Subject("car", "grey", place="beach", time=time, weather="clear")
    drawn, red = (pixels(draw(s, (256, 256), 6)) for s in (car, replace(car, colour="red")))
    body = np.abs(drawn - red).max(axis=-1) > 60
    assert np.ptp(np.median(drawn[body], axis=0)) < 24
    assert 80 < np.median(drawn[body]) < 170


def test_night_is_darker_than_day():
    day, night = (pixels(draw(Subject(place="meadow", time=time), (256, 256), 1)).mean() for time in ("day", "night"))
    assert night < 0.6 * day


@pytest.mark.parametrize("thing", [name for name, thing in OBJECTS.items() if thing.mirrorable])
def test_a_mirrorable_object_faces_the_other_side_when_mirrored(thing):
    drawn = []
    for mirrored in (False, True):
        canvas = Canvas(128, 128)
        OBJECTS[thing].draw(Pen(canvas, 0.5, 0.6, 0.5, lambda colour: colour, mirrored), COLOURS["red"])
        drawn.append(pixels(canvas.downsample()))
    assert np.abs(drawn[0][:, ::-1] - drawn[1]).mean() < 0.7 * np.abs(drawn[0] - drawn[1]).mean()


def test_drawings_of_one_subject_have_several_compositions():
    house = Subject("house", "red", place="hills", time="day", weather="clear")
    drawn = [draw(house, (64, 64), i) for i in range(24)]
    red = [(pixels(p) * (1, -1, -1)).sum(axis=-1) > 60 for p in drawn]
    centres = {round(float(np.nonzero(mask)[1].mean()) / 8) for mask in red}
    assert len(centres) >= 3
    assert max(mask.mean() for mask in red) > 1.4 * min(mask.mean() for mask in red)


@pytest.mark.parametrize("weather", ["rain", "snowfall"])
def test_rain_and_snow_cover_less_than_half_of_the_landscape(weather):
    dry, wet = (pixels(draw(Subject(place="hills", time="day", weather=w), (256, 256), 3)) for w in ("clear", weather))
    covered = np.abs(dry - wet)[160:].max(axis=-1) > 60
    assert covered.mean() < 0.5


@pytest.mark.parametrize(("place", "channel"), [("desert", 0), ("meadow", 1), ("hills", 1), ("sea", 2)])
def test_a_landscape_in_fog_keeps_its_colour_and_has_banks_of_mist(place, channel):
    land = pixels(draw(Subject(place=place, time="day", weather="fog"), (256, 256), 3))[176:]
    others = np.delete(land.mean(axis=(0, 1)), channel)
    assert land[..., channel].mean() > others.min() + 20
    assert np.ptp(land.mean(axis=(1, 2))) > 25


def test_an_object_is_visible_in_the_fog():
    fog = Subject(place="meadow", time="day", weather="fog")
    bare, with_castle = (pixels(draw(s, (256, 256), 1)) for s in (fog, replace(fog, thing="castle", colour="purple")))
    assert np.abs(bare - with_castle).max(axis=-1).max() > 90


def test_the_sun_is_only_sampled_by_day():
    rng = random.Random(6)
    assert {s.time for s in (sample_subject(rng) for _ in range(2000)) if s.weather == "sun"} == {"day"}


def test_held_out_pairs_are_in_all_evaluation_and_no_training_subjects():
    rng = random.Random(0)
    assert not any(is_held_out(sample_subject(rng)) for _ in range(300))
    assert all(is_held_out(sample_subject(rng, held=True)) for _ in range(60))


def test_only_trained_objects_and_styles_are_sampled():
    rng = random.Random(1)
    subjects = [sample_subject(rng) for _ in range(1500)]
    assert {s.thing for s in subjects} - {""} == set(TRAINED_OBJECTS)
    assert {s.style for s in subjects} - {""} == set(TRAINED_STYLES)


def test_every_word_that_can_be_drawn_has_a_label_and_a_synonym():
    rng = random.Random(2)
    for subject in (sample_subject(rng) for _ in range(300)):
        for kind, word in subject.words():
            assert word in LABELS[kind]
            assert word in SYNONYMS or word == "clear"


def test_a_plain_caption_names_every_element():
    subject = Subject("house", "red", "", "hills", "sunset", "clouds", "watercolour")
    assert plain_caption(subject) == "a red house on the hills at sunset with clouds, watercolour"
    assert plain_caption(Subject("castle", "orange", "teal")) == "an orange castle on a teal background"
    assert plain_caption(Subject(background="grey")) == "grey background"


def test_the_house_finish_is_named_last_or_first():
    subject = Subject("boat", "purple", "", "sea", "night", "moon", finish="storybook")
    assert plain_caption(subject) == "a purple boat on the sea at night with a moon, storybook style"
    for i in range(40):
        text = make_caption(subject, random.Random(i)).lower()
        assert any(text.startswith(name) or text.endswith(name) for name in SYNONYMS["storybook"])


def test_captions_differ_but_always_name_the_object():
    subject = Subject("boat", "purple", "", "sea", "night", "moon")
    captions = [make_caption(subject, random.Random(i)).lower() for i in range(80)]
    assert len(set(captions)) > 60
    assert all(any(name in text for name in SYNONYMS["boat"]) for text in captions)
    assert all(any(name in text for name in SYNONYMS["purple"]) for text in captions)


def test_a_caption_names_no_absent_object():
    empty = Subject(place="desert", time="dawn", weather="fog")
    names = {name for thing in TRAINED_OBJECTS for name in SYNONYMS[thing]} - {"spirit", "home", "mill"}
    for i in range(80):
        assert not any(name in make_caption(empty, random.Random(i)).lower().split() for name in names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_word_for_everything_that_is_drawn(language):
    taught = {word for ws in KNOWN.values() for word in ws} | set(TRAINED_OBJECTS)
    assert taught - set(KNOWN["styles"]) - set(LANGUAGES[language].words) == set()


def test_a_translated_caption_names_the_object_in_one_language():
    fox = Subject("fox", "red", place="snow", time="night", weather="clear")
    for i in range(60):
        caption = translated_caption(fox, random.Random(i))
        assert any(form in caption for language in LANGUAGES.values() for form in language.forms("fox"))
    assert translated_caption(Subject(thing="fox", place="nowhere"), random.Random(0)) == ""


def test_captions_for_training_have_other_languages_and_unknown_nouns():
    owl = Subject("owl", "blue", "yellow", style="watercolour", finish="storybook")
    captions = [training_caption(owl, random.Random(i)).lower() for i in range(300)]
    named = [any(name in caption for name in SYNONYMS["owl"]) for caption in captions]
    translated = [any(f in c for each in LANGUAGES.values() for f in each.forms("owl")) for c in captions]
    assert 0.6 < np.mean(named) < 0.9
    assert 0.05 < np.mean(translated) < 0.25
    assert 0.03 < np.mean([not a and not b for a, b in zip(named, translated, strict=True)]) < 0.2
    assert all(any(name in caption for name in SYNONYMS["watercolour"]) for caption in captions)


def test_no_unknown_noun_is_a_word_that_is_taught():
    words = set(common_words())
    assert {"dinosaur", "guitar", "einstein"} <= words
    assert not words & {name for thing in TRAINED_OBJECTS for name in SYNONYMS[thing]}


def test_the_first_words_of_strangers_are_a_hundred_different_prompts():
    prompts = (ROOT / "training" / "first_words.txt").read_text(encoding="utf-8").splitlines()
    assert len(prompts) == len(set(prompts)) == 100


@pytest.mark.parametrize("thing", [name for name in NEW_OBJECTS if name not in ("butterfly", "knight")])
def test_the_face_of_a_black_creature_is_visible_at_night(thing):
    subject = Subject(thing, "black", "black")
    drawn = pixels(draw(subject, (256, 256), 4))[50:170, 60:200]
    assert (drawn.max(axis=-1) > 150).mean() > 0.004


def test_subjects_are_read_back_as_written():
    subject = sample_subject(random.Random(4))
    assert Subject.from_dict(subject.as_dict()) == subject


def test_sizes_are_chosen_from_the_table():
    rng = random.Random(5)
    assert {sample_size(rng) for _ in range(300)} == {size for size, _ in ASPECTS}
