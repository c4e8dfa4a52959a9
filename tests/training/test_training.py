"""Properties of the training code that do not depend on trained weights."""

import copy
import random
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from training import text, unet
from training.attention import PlainAttention
from training.captions import SYNONYMS, make_caption, training_caption
from training.evaluate import (
    KNOWN_KINDS,
    accuracy_by_word,
    background_hits,
    held_out_subjects,
    hit_rates,
    is_known,
    known_scores,
    known_subjects,
    nearest_colour,
    score_predictions,
    visible_kinds,
)
from training.finetune_decoder import paired_crop, training_batch
from training.finetune_vae import build_optimiser, corrupt_one_half, drift_penalty_loss
from training.first_words import is_blank
from training.languages import LANGUAGES
from training.latents import draw_shard, read_shard
from training.muon import Muon, orthogonalize
from training.objects import OBJECTS
from training.palette import COLOURS
from training.precision import autocast
from training.restore import restore_unet
from training.settings import KNOWN, MODEL, TEXT, TRAINED_OBJECTS, UNET, VAE
from training.subjects import OBJECT_PLACES, Subject, draw, home_place, is_held_out, is_home_scene, sample_subject
from training.text import encode_labels, token_ids
from training.unet import LatentDataset, build_unet, learning_rate, noise_schedule, start_or_resume, v_errors
from training.vae import build_vae, encode_mean, init_as_thumbnail, match_gain, silence_variance, to_tensor, whiten
from training.widen_unet import widen_unet, widen_weights


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def drawings():
    rng = random.Random(8)
    return [draw(sample_subject(rng), (64, 64), i) for i in range(6)]


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return build_vae().eval()


def reconstruct(vae, images):
    with torch.no_grad():
        return vae.decoder(vae.post_quant_conv(encode_mean(vae, to_tensor(images))))


def reconstruction_error(vae, images):
    return (reconstruct(vae, images) - to_tensor(images)).pow(2).mean().item()


def test_the_thumbnail_initialisation_lowers_the_reconstruction_error(vae, drawings):
    before = reconstruction_error(vae, drawings)
    init_as_thumbnail(vae)
    match_gain(vae, to_tensor(drawings))
    assert reconstruction_error(vae, drawings) < 0.4 * before


def test_whitening_changes_the_latents_but_no_reconstruction(vae, drawings):
    init_as_thumbnail(vae)
    before = reconstruct(vae, drawings)
    whiten(vae, [np.asarray(d) for d in drawings])
    torch.testing.assert_close(reconstruct(vae, drawings), before, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        latents = encode_mean(vae, to_tensor(drawings))
    torch.testing.assert_close(latents.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-2, rtol=0)


def test_the_exported_encoder_adds_almost_no_noise(vae, drawings):
    silence_variance(vae)
    with torch.no_grad():
        assert vae.encode(to_tensor(drawings)).latent_dist.std.max() < 0.05


def test_the_last_training_step_has_no_signal():
    alphas = noise_schedule().alphas_cumprod
    assert alphas[-1] < 1e-6
    assert alphas[0] > 0.99


def test_the_correct_v_prediction_has_no_error():
    class Oracle:
        """Knows that all latents are zero, so its input is pure noise."""

        def __call__(self, noisy, timesteps, encoder_hidden_states):
            signal = noise_schedule().alphas_cumprod[timesteps].sqrt()[:, None, None, None]
            noise_share = (1 - signal**2).sqrt()
            return type("Output", (), {"sample": signal * noisy / noise_share})

    errors, timesteps = v_errors(Oracle(), torch.zeros(8, 4, 4, 4), None, noise_schedule().alphas_cumprod)
    assert errors.max() < 1e-6
    assert (timesteps.diff() > 0).all()


def test_noisy_timesteps_are_trained_more_often():
    torch.manual_seed(1)
    _, timesteps = v_errors(
        lambda noisy, *_, **__: type("Output", (), {"sample": noisy}),
        torch.zeros(400, 4, 2, 2),
        None,
        noise_schedule().alphas_cumprod,
    )
    assert (timesteps >= 500).sum() > 1.5 * (timesteps < 500).sum()
    assert timesteps.min() < 30 and timesteps.max() > 970


@pytest.mark.parametrize("thing", TRAINED_OBJECTS)
def test_every_object_has_a_home_where_it_may_be_drawn_and_trained(thing):
    place = home_place(thing)
    at_home = Subject(thing, OBJECTS[thing].default_colours[0], "", place, "" if place == "space" else "day", "clear")
    assert place in OBJECT_PLACES[OBJECTS[thing].placement]
    assert is_home_scene(at_home)
    assert not is_home_scene(replace(at_home, time="night"))
    assert not is_held_out(replace(at_home, colour=""))


def test_an_object_at_home_may_stand_alone_in_a_caption_and_elsewhere_never():
    rng = random.Random(3)
    at_home = Subject("cat", "green", "", "meadow", "day", "clear")
    elsewhere = replace(at_home, place="desert")
    bare = [text for text in (training_caption(at_home, rng) for _ in range(200)) if not _names_place(text, "meadow")]
    assert len(bare) > 60
    named = [make_caption(elsewhere, rng) for _ in range(100)]
    assert all(_names_place(text, "desert") for text in named)
    assert all(_names_place(training_caption(at_home, rng, all_named=True), "meadow") for _ in range(20))


def _names_place(text, place):
    translated = {form for language in LANGUAGES.values() for form in language.forms(place)}
    # By its last word: a nonsense word may stand between the others.
    return any(form.lower().split()[-1] in text.lower() for form in {*SYNONYMS[place], *translated})


def test_the_learning_rate_rises_holds_and_falls():
    rates = [learning_rate(samples, 90_000, 16) for samples in (0, 20_000, 50_000, 75_000, 90_000)]
    assert rates[0] < rates[1] == rates[2] == UNET.learning_rate
    assert rates[2] > rates[3] > rates[4] > 0


def test_shards_are_read_back_as_written(vae, tmp_path):
    shard = draw_shard(vae, (64, 96), seed=5, count=3)
    torch.save(shard, tmp_path / "00000.pt")
    read, subjects = read_shard(tmp_path / "00000.pt")
    assert read["full"].shape == (3, 4, 12, 8)
    assert read["half"].shape == (3, 4, 6, 4)
    assert subjects == [Subject.from_dict(values) for values in shard["subjects"]]


def test_a_batch_has_images_of_one_size_with_their_captions(vae, tmp_path, monkeypatch):
    monkeypatch.setattr("training.unet.SHARDS", tmp_path)
    monkeypatch.setattr("training.unet.training_caption", make_caption)  # always names the object
    monkeypatch.setattr("training.unet.UNET", replace(UNET, mixing_share=0.0))
    for i, size in enumerate([(64, 64), (96, 64)]):
        torch.save(draw_shard(vae, size, seed=i, count=4), tmp_path / f"{i:05d}.pt")
    dataset = LatentDataset(half=False)
    assert dataset.refresh() == 8
    assert dataset.refresh() == 8
    samples = dataset.batch(random.Random(0), 6)
    ((width, height),) = {(sample.latents.shape[-1], sample.latents.shape[-2]) for sample in samples}
    drawn = dataset.latents[width, height]
    for sample in samples:
        index = next(i for i, known in enumerate(drawn) if torch.equal(known.float(), sample.latents))
        thing = dataset.subjects[width, height][index].thing
        assert not thing or any(name in sample.caption.lower() for name in SYNONYMS[thing])


def test_samples_without_a_caption_are_unconditional_scenes():
    scene = Subject(place="hills", time="sunset", weather="clear")
    finished = Subject(place="sea", time="day", weather="sun", finish="storybook")
    ghost = Subject(thing="ghost", colour="white", place="hills", time="sunset", weather="clear")
    subjects = [Subject(background="red"), scene, ghost, finished]
    dataset = LatentDataset(half=False)
    dataset.add((8, 8), torch.arange(4.0).reshape(4, 1, 1, 1).half(), subjects)
    samples = dataset.batch(random.Random(0), 400)
    uncaptioned = [sample for sample in samples if sample.caption in ("", "storybook style")]
    assert {(sample.latents.item(), sample.caption) for sample in uncaptioned} == {(1.0, ""), (3.0, "storybook style")}
    assert 10 < len(uncaptioned) < 90


@pytest.mark.parametrize("shape", [(20, 40), (12, 60), (60, 12)])
def test_an_orthogonalized_step_has_similar_singular_values(shape):
    torch.manual_seed(2)
    matrix = torch.randn(shape) @ torch.diag(torch.logspace(-0.5, 0.5, shape[1]))
    singular_values = torch.linalg.svdvals(orthogonalize(matrix))
    assert singular_values.min() > 0.3
    assert singular_values.max() < 1.4


def test_muon_converges_to_the_target_matrix():
    torch.manual_seed(3)
    target, weight = torch.randn(8, 6), torch.nn.Parameter(torch.zeros(8, 6))
    optimiser = Muon([weight], lr=0.5, decay=0.0)
    for step in range(200):
        optimiser.param_groups[0]["lr"] = 0.5 * (1 - step / 200)
        optimiser.zero_grad()
        (weight - target).pow(2).mean().backward()
        optimiser.step()
    assert (weight - target).abs().max() < 0.1


def test_a_crop_of_an_image_and_of_its_latents_show_the_same_square():
    rows = torch.arange(32.0).reshape(1, 1, 32, 1).expand(1, 1, 32, 32)
    image = rows.repeat_interleave(8, 2).repeat_interleave(8, 3)
    pixels, latents = paired_crop((image, rows, rows + 100), random.Random(1))
    assert pixels.shape[-1] == 8 * latents.shape[-1] == VAE.crop
    assert torch.equal(pixels[0, 0, ::8, 0] % 100, latents[0, 0, :, 0] % 100)


def test_a_training_batch_is_four_crops_or_one_image_with_its_latents():
    rows = torch.arange(32.0).reshape(1, 1, 32, 1).expand(1, 1, 32, 32)
    image = rows.repeat_interleave(8, 2).repeat_interleave(8, 3)
    rng, counts = random.Random(2), set()
    for _ in range(20):
        pixels, latents = training_batch([(image, rows, rows)], rng)
        assert torch.equal(pixels[..., ::8, ::8], latents)
        counts.add(len(pixels))
    assert counts == {1, 4}


@pytest.mark.parametrize("seed", range(4))
def test_corrupting_one_half_of_the_latents_keeps_the_other(seed):
    torch.manual_seed(seed)
    latents = torch.randn(2, 4, 16, 24)
    given, keep = corrupt_one_half(latents)
    assert keep.shape == (2, 1, 128, 192)
    kept = keep[..., ::8, ::8].expand_as(latents) == 1
    assert torch.equal(given[kept], latents[kept])
    assert 0.3 < kept.float().mean() < 0.5
    assert (given != latents).float().mean() == 0.5


def test_drifting_latents_are_penalised_when_fine_tuning(vae, drawings):
    torch.manual_seed(1)
    reference, images = copy.deepcopy(vae), to_tensor(drawings)
    loss, drift = drift_penalty_loss(vae, reference, images)
    assert drift.item() == 0
    torch.autograd.backward(loss)
    assert all(p.grad is not None for p in (vae.encoder.conv_in.weight, vae.decoder.conv_out.weight))
    with torch.no_grad():
        vae.quant_conv.bias[:4] += 0.5
    assert drift_penalty_loss(vae, reference, images)[1].item() == pytest.approx(0.25, rel=1e-3)


def test_the_optimiser_has_separate_groups_for_decoder_and_encoder(vae):
    decoder, encoder = build_optimiser(vae).param_groups
    assert any(p is vae.decoder.conv_in.weight for p in decoder["params"])
    assert any(p is vae.encoder.conv_in.weight for p in encoder["params"])
    assert len(decoder["params"]) + len(encoder["params"]) == len(list(vae.parameters()))


def test_training_can_continue_from_the_shipped_weights(tmp_path):
    restore_unet(MODEL / "unet", tmp_path / "unet.pt")
    run = start_or_resume("cpu", tmp_path / "unet.pt")
    shipped = UNet2DConditionModel.from_pretrained(MODEL / "unet").state_dict()
    assert run.samples == UNET.samples
    for name, value in run.average.state_dict().items():
        assert torch.equal(value, shipped[name].float())


@pytest.fixture(scope="module")
def tokenizer():
    return CLIPTokenizer.from_pretrained(MODEL / "tokenizer")


def test_a_duplicated_channel_has_the_effect_of_the_original():
    torch.manual_seed(2)
    weights, inputs = torch.randn(6, 5), torch.randn(3, 5)
    duplicated = torch.cat([inputs[:, :2], inputs[:, 2:].repeat_interleave(2, dim=1)], dim=1)
    widened = widen_weights({"w": weights}, {"w": torch.empty(9, 8)})["w"]
    outputs = duplicated @ widened.T
    torch.testing.assert_close(outputs[:, :3], inputs @ weights[:3].T)
    torch.testing.assert_close(outputs[:, 3::2], inputs @ weights[3:].T)
    torch.testing.assert_close(outputs[:, 4::2], inputs @ weights[3:].T)
    assert not torch.allclose(widened[:, 2], widened[:, 3])


def test_a_finer_time_embedding_keeps_the_old_frequencies():
    steps, weights = torch.tensor([0, 17, 999]), torch.randn(8, 32)
    before, after = (get_timestep_embedding(steps, count, True, 0) for count in (32, 64))
    name = "time_embedding.linear_1.weight"
    widened = widen_weights({name: weights}, {name: torch.empty(8, 64)})[name]
    torch.testing.assert_close(after @ widened.T, before @ weights.T)


def test_a_checkpoint_can_be_widened_in_place_and_predicts_nearly_the_same(tmp_path, monkeypatch):
    path = tmp_path / "unet.pt"
    with monkeypatch.context() as narrower:
        narrower.setattr(unet, "UNET", replace(UNET, block_out_channels=(32, 96, 192)))
        before = start_or_resume("cpu", path)
        before.samples = 640
        unet.save_checkpoint(before, path)
    widen_unet(path, path)
    after = start_or_resume("cpu", path)
    noisy, states = torch.randn(2, 4, 16, 16), torch.randn(2, TEXT.context, TEXT.hidden)
    with torch.no_grad():
        old, new = (run.average(noisy, 500, encoder_hidden_states=states).sample for run in (before, after))
    assert after.samples == 640
    assert (new - old).pow(2).mean() < 0.1 * old.pow(2).mean()


def test_a_failed_widening_keeps_the_existing_checkpoint(tmp_path):
    path = tmp_path / "unet.pt"
    path.write_bytes(b"hours of training")
    with pytest.raises(FileNotFoundError):
        widen_unet(tmp_path / "nowhere.pt", path)
    assert path.read_bytes() == b"hours of training"


def test_plain_attention_equals_fused_attention():
    model = build_unet().eval()
    noisy, states = torch.randn(2, 4, 8, 8), torch.randn(2, TEXT.context, TEXT.hidden)
    with torch.no_grad():
        fused = model(noisy, 500, encoder_hidden_states=states).sample
        model.set_attn_processor(PlainAttention())
        plain = model(noisy, 500, encoder_hidden_states=states).sample
    torch.testing.assert_close(plain, fused, atol=1e-5, rtol=1e-4)


def test_new_words_are_taught_without_changing_known_captions(tmp_path, monkeypatch):
    CLIPTokenizer.from_pretrained(MODEL / "tokenizer").save_pretrained(tmp_path / "tokenizer")
    before = CLIPTextModel.from_pretrained(MODEL / "text_encoder")
    before.save_pretrained(tmp_path / "encoder")
    monkeypatch.setattr(text, "TOKENIZER", tmp_path / "tokenizer")
    monkeypatch.setattr(text, "STATE", tmp_path / "encoder")
    monkeypatch.setattr(text, "TEXT", replace(TEXT, word_batch=24))
    text.teach_words(["heart"], steps=12)
    after = CLIPTextModel.from_pretrained(tmp_path / "encoder")

    def drift(caption):
        ids = token_ids(CLIPTokenizer.from_pretrained(MODEL / "tokenizer"), [caption])
        return (after(input_ids=ids).last_hidden_state - before(input_ids=ids).last_hidden_state).pow(2).mean().item()

    assert drift("a red heart") > 2 * drift("a red boat on the sea")


@pytest.mark.parametrize("word", ["oil", "pixel art", ""])
def test_a_word_that_no_caption_contains_is_refused(word):
    with pytest.raises(ValueError, match="no drawing"):
        text.teach_words(["oil painting", word])


def test_half_of_the_subjects_have_a_new_word():
    new, known = text._balanced_subjects({"heart", "sepia"}, random.Random(3))
    assert all({"heart", "sepia"} & {word for _, word in subject.words()} for subject in new)
    assert not any({"heart", "sepia"} & {word for _, word in subject.words()} for subject in known)
    assert len(new) == len(known) == TEXT.word_batch // 3


@pytest.mark.parametrize(("instructions", "precision"), [("avx2", torch.float32), ("avx512_bf16", torch.bfloat16)])
def test_a_cpu_trains_in_bfloat16_only_if_it_has_the_instructions(monkeypatch, instructions, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {instructions: True})
    with autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is precision


@pytest.mark.parametrize(("subject", "blank"), [
    (Subject(background="red"), True),
    (Subject(background="black", finish="storybook"), True),
    (Subject(thing="cat", colour="orange", background="teal"), False),
    (Subject(thing="heart", colour="pink", background="red"), False),
    (Subject(place="sea", time="day", weather="clear"), False),
    (Subject(place="meadow", time="night", weather="moon"), False),
])  # fmt: skip
def test_an_image_with_nothing_on_it_is_blank(subject, blank):
    assert is_blank(draw(subject, (256, 256), 3)) is blank


def test_unknown_words_are_tokenized_as_bytes_without_loss(tokenizer):
    ids = tokenizer("zblort 🐉 münchen").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == "zblort🐉münchen"


def test_captions_fit_the_context(tokenizer):
    rng = random.Random(6)
    texts = [make_caption(sample_subject(rng), rng) for _ in range(200)]
    assert token_ids(tokenizer, texts).shape == (200, TEXT.context)
    assert np.mean([len(ids) <= TEXT.context for ids in tokenizer(texts).input_ids]) > 0.97


def test_labels_point_at_the_words_of_a_subject():
    labels = encode_labels([Subject(), Subject(thing="castle", colour="red")])
    assert {kind: index[0].item() for kind, index in labels.items()} == dict.fromkeys(labels, 0)
    assert labels["thing"][1] > 0
    assert labels["colour"][1] > 0


def test_a_perfect_classifier_scores_all_words_and_no_controls():
    subjects = held_out_subjects(40)
    for pairs in score_predictions(subjects, subjects).values():
        assert hit_rates(pairs)["asked"] == 1
        assert hit_rates(pairs)["control"] == 0


def test_only_captions_of_known_words_count_as_promised():
    hit, miss = Subject("house", "red", place="hills", time="day", weather="clear"), Subject(background="blue")
    unknown = replace(hit, style="pixel art")
    assert [is_known(s) for s in (hit, miss, unknown)] == [True, True, False]
    figures = known_scores([hit, miss, unknown], [hit, Subject(background="red"), Subject()])
    assert figures["thing"] == {"asked": 1.0, "control": 0.0, "count": 1}
    assert figures["background"]["asked"] == 0
    assert figures["all"]["count"] == 5


@pytest.mark.parametrize("place", ["meadow", ""])
def test_an_object_with_two_silhouettes_is_drawn_in_both(monkeypatch, place):
    used = []
    shapes = {name: partial(lambda name, pen, colour: used.append(name), name) for name in ("first", "second")}
    tree = replace(OBJECTS["tree"], draw=shapes["first"], second_shape=shapes["second"])
    monkeypatch.setitem(OBJECTS, "tree", tree)
    for seed in range(30):
        draw(Subject("tree", "green", place=place, time="day"), (64, 64), seed)
    assert 4 <= used.count("second") <= 15
    assert len(used) == 30


def test_figures_by_word_say_how_often_each_was_asked_for():
    asked = [Subject("house", place="hills"), Subject("house"), Subject("house", style="neon")]
    seen = [Subject("house", place="sea"), Subject("car"), Subject("car", style="neon")]
    figures = accuracy_by_word(asked, seen)
    assert figures["thing: house"] == {"asked": 0.33, "count": 3}
    assert figures["place: hills"] == {"asked": 0.0, "count": 1}


def test_every_known_word_is_asked_for_often_enough_in_captions_without_unknown_words():
    subjects = known_subjects(3)
    assert all(is_known(subject) and is_held_out(subject) for subject in subjects)
    requests = Counter((kind, getattr(subject, kind)) for subject in subjects for kind in visible_kinds(subject))
    lists = [(kind, word) for kind, name in KNOWN_KINDS.items() for word in KNOWN[name]]
    assert min(requests[word] for word in lists) >= 3


def test_colour_is_not_scored_in_a_colourless_style():
    assert "colour" not in visible_kinds(Subject(thing="house", colour="red", place="hills", style="sepia"))


@pytest.mark.parametrize(("style", "weather", "asked"), [
    ("neon", "rain", False), ("line art", "stars", False), ("line art", "clouds", True), ("sepia", "rain", True),
    ("", "rain", True),
])  # fmt: skip
def test_weather_in_outlined_styles_is_scored_only_if_visible(style, weather, asked):
    subject = Subject(place="hills", time="night", weather=weather, style=style)
    assert ("weather" in visible_kinds(subject)) is asked


@pytest.mark.parametrize("colour", COLOURS)
def test_the_background_colour_of_a_drawing_is_measured_correctly(colour):
    subject = Subject(background=colour)
    drawing = draw(subject, (128, 128), 1)
    assert nearest_colour(drawing) == colour
    assert background_hits([subject], [drawing])[0] == (True, False)


def test_the_background_colour_is_measured_at_the_corners():
    image = Image.new("RGB", (128, 128), COLOURS["teal"])
    image.paste(COLOURS["red"], (40, 40, 90, 90))
    assert nearest_colour(image) == "teal"
