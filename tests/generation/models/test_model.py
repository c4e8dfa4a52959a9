"""The description of a model before its weights are loaded, and its image sizes."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from generation.errors import UserError
from generation.models.capabilities import ALL_CAPABILITIES, Capability
from generation.models.model import EMBEDDED, Model, describe_model, size_for
from generation.models.samplers import SAMPLERS, sampler_for


def make_model_folder(folder: Path, **files) -> Path:
    """Create a model folder; a keyword such as `unet__config` is the file unet/config.json."""
    for name, content in ({"model_index": {"_class_name": "StableDiffusionPipeline"}} | files).items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def test_a_folders_own_description_is_used(tiny_model):
    model = describe_model(str(tiny_model))
    assert (model.name, model.ref, model.native_size) == ("tiny", str(tiny_model), 64)
    assert (model.num_inference_steps, model.guidance_scale) == (6, 5.0)
    assert model.examples == ("a red fox under the moon",)


def test_a_folder_without_a_description_is_measured(tmp_path):
    folder = make_model_folder(
        tmp_path / "dreamy", unet__config={"sample_size": 96}, vae__config={"block_out_channels": [1, 2, 3, 4]}
    )
    assert describe_model(str(folder)) == Model(name="dreamy", ref=str(folder), native_size=768)


@pytest.mark.parametrize(
    ("unet", "vae", "size"),
    [
        ({"sample_size": 64}, {"block_out_channels": [1, 2, 3, 4]}, 512),
        ({"sample_size": 32}, {"block_out_channels": [1, 2, 3]}, 128),
        ({"sample_size": [64, 96]}, {"block_out_channels": [1, 2, 3, 4]}, 512),
        ({"sample_size": None}, {}, 512),
        ({}, {}, 512),
    ],
)
def test_the_native_size_is_the_latent_size_times_the_vae_scale(tmp_path, unet, vae, size):
    assert describe_model(str(make_model_folder(tmp_path, unet__config=unet, vae__config=vae))).native_size == size


def test_a_model_with_only_an_index_gets_the_defaults(tmp_path):
    folder = make_model_folder(tmp_path / "bare")
    assert describe_model(str(folder)) == Model(name="bare", ref=str(folder))


def test_a_models_own_description_overrides_measured_values(tmp_path):
    own = {
        "name": "Bilder – 絵",
        "native_size": 320,
        "size_multiple": 16,
        "max_aspect": 2,
        "num_inference_steps": 12,
        "guidance_scale": 0,
        "examples": ["ä", "b"],
        "licence": "unknown keys are ignored",
    }
    folder = make_model_folder(tmp_path, atelier=own, unet__config={"sample_size": 96})
    assert describe_model(str(folder)) == Model(
        name="Bilder – 絵",
        ref=str(folder),
        native_size=320,
        size_multiple=16,
        max_aspect=2,
        num_inference_steps=12,
        guidance_scale=0,
        examples=("ä", "b"),
    )


def test_a_folder_is_found_by_any_form_of_its_path(tmp_path, monkeypatch):
    make_model_folder(tmp_path / "dreamy")
    monkeypatch.chdir(tmp_path)
    assert describe_model("dreamy/").name == "dreamy"
    assert describe_model("./dreamy").name == "dreamy"
    monkeypatch.chdir(tmp_path / "dreamy")
    assert describe_model(".").name == "dreamy"


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("somebody/dreams-v1-5", "dreams-v1-5"),
        ("a_b/c.d-e", "c.d-e"),
    ],
)
def test_a_hub_id_gets_the_defaults_of_stable_diffusion(ref, name):
    assert describe_model(ref) == Model(name=name, ref=ref)


@pytest.mark.parametrize(
    "ref",
    [
        "/no/such/model",
        "./model",
        "../model",
        "~/model",
        "models/of/mine",
        "models/mine/",
        "C:\\models\\mine",
        "",
        "a b",
        "/",
        "dreams.safetensors",
        "models/Dreams.SafeTensors",
    ],
)
def test_a_path_without_a_model_is_refused_by_name(ref, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as refused:
        describe_model(ref)
    assert ref in str(refused.value)


def test_a_single_file_is_not_taken_for_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").touch()
    for ref in ("model.safetensors", str(tmp_path / "model.safetensors")):
        with pytest.raises(UserError, match=r"model\.safetensors is damaged or not a safetensors file"):
            describe_model(ref)
    (tmp_path / "model.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"model\.txt is neither a model folder nor a safetensors file"):
        describe_model("model.txt")


def test_a_folder_without_an_index_is_distinguished_from_a_missing_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model_index\.json"):
        describe_model(str(tmp_path))


@pytest.mark.parametrize("file", ["model_index", "atelier", "unet__config", "vae__config"])
@pytest.mark.parametrize("content", ["", "{", '{"a": 1,}', "[1, 2]", '"text"', "null", "\0", "[" * 50_000, '{"a": 1'])
def test_a_damaged_file_is_named(tmp_path, file, content):
    with pytest.raises(UserError, match=rf"{file.replace('__', '/')}\.json is damaged"):
        describe_model(str(make_model_folder(tmp_path, **{file: content})))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("file", ["model_index", "atelier", "unet__config"])
def test_a_byte_order_mark_does_not_matter(tmp_path, file, encoding):
    folder = make_model_folder(tmp_path, atelier={"name": "Bäume"}, unet__config={"sample_size": 96})
    path = folder / f"{file.replace('__', '/')}.json"
    path.write_bytes(path.read_text().encode(encoding))
    assert (describe_model(str(folder)).name, describe_model(str(folder)).native_size) == ("Bäume", 768)


@pytest.mark.parametrize("repository", ["models--somebody--dreams", "models--dreams"])
def test_a_path_into_the_hubs_cache_is_called_as_its_repository(tmp_path, repository):
    folder = tmp_path / repository / "snapshots" / "39593d5650112b4cc580433f6b0435385882d819"
    make_model_folder(folder)
    assert describe_model(str(folder)).name == "dreams"
    (folder / "atelier.json").write_text('{"name": "Mine"}')
    assert describe_model(str(folder)).name == "Mine"


def test_other_folders_called_snapshots_do_not_matter(tmp_path):
    assert describe_model(str(make_model_folder(tmp_path / "mine" / "snapshots" / "dreams"))).name == "dreams"


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("openjorney", "`Open Journey`"),
        ("storybok", "`storybook`"),
        ("stable difusion xl", "`Stable Diffusion XL`"),
        ("dreamshapr", "`dreamshaper`"),
        ("sd1.5x", "`sd15`"),
        ("nonsense", "a model of the hub is `owner/name`"),
        ("gpt2", "a model of the hub is `owner/name`"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(tmp_path, monkeypatch, typed, suggested):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no model of this name in the catalogue.*{suggested}"):
        describe_model(typed)


def test_a_binary_file_is_reported_as_damaged(tmp_path):
    make_model_folder(tmp_path)
    (tmp_path / "atelier.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"atelier\.json is damaged"):
        describe_model(str(tmp_path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 5),
        ("native_size", "512"),
        ("native_size", 0),
        ("native_size", 512.5),
        ("native_size", True),
        ("native_size", None),
        ("size_multiple", 0),
        ("size_multiple", -8),
        ("max_aspect", 0.5),
        ("max_aspect", [3, 1]),
        ("max_aspect", math.inf),
        ("max_aspect", math.nan),
        ("num_inference_steps", 0),
        ("num_inference_steps", 20.0),
        ("guidance_scale", -1),
        ("examples", "a fox"),
        ("examples", {"a": "fox"}),
        ("examples", [5]),
        ("known", ["boat"]),
        ("known", {"things": "boat"}),
        ("synonyms", {"boat": [5]}),
        ("unsupported", "seamless"),
    ],
)
def test_an_invalid_value_is_reported_with_its_key(tmp_path, key, value):
    with pytest.raises(UserError, match=rf"atelier\.json is damaged: `{key}`"):
        describe_model(str(make_model_folder(tmp_path, atelier={key: value})))


def test_an_unknown_capability_is_reported_with_the_possible_ones(tmp_path):
    folder = make_model_folder(tmp_path, atelier={"unsupported": ["flying"]})
    with pytest.raises(UserError, match=r"no capability flying\. Available: .*seamless"):
        describe_model(str(folder))


def test_an_unsupported_capability_is_taken_from_the_family(tmp_path):
    model = describe_model(str(make_model_folder(tmp_path, atelier={"unsupported": ["seamless"]})))
    assert model.capabilities == ALL_CAPABILITIES - {Capability.SEAMLESS}


STABLE = Model(name="sd", ref="sd")
MODELS = [
    STABLE,
    replace(STABLE, native_size=768),
    replace(STABLE, native_size=256),
    replace(STABLE, native_size=128, max_aspect=2.0),
    replace(STABLE, native_size=1024, size_multiple=64),
    replace(STABLE, native_size=64, max_aspect=4),
]
ASPECTS = [
    (width, height) for width, height in itertools.product(range(1, 41), repeat=2) if math.gcd(width, height) == 1
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.native_size}/{model.size_multiple}")
def test_every_aspect_ratio_gets_a_size_that_the_model_supports(model):
    for aspect in ASPECTS:
        width, height = size_for(model, aspect)
        assert width > 0 < height
        assert width % model.size_multiple == height % model.size_multiple == 0
        assert max(width, height) <= model.max_aspect * min(width, height)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.native_size}/{model.size_multiple}")
def test_a_supported_aspect_ratio_is_met_at_about_the_native_area(model):
    for aspect in ASPECTS:
        if not 1 / model.max_aspect <= aspect[0] / aspect[1] <= model.max_aspect:
            continue
        width, height = size_for(model, aspect)
        ratio = aspect[0] / aspect[1]
        step = model.size_multiple
        assert abs(width - model.native_size * math.sqrt(ratio)) <= 1.5 * step
        assert abs(height - model.native_size / math.sqrt(ratio)) <= 1.5 * step
        coarse = step / min(width, height)
        assert width * height == pytest.approx(model.native_size**2, rel=1.6 * coarse)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        ((1, 1), (512, 512)),
        ((3, 2), (624, 416)),
        ((2, 3), (416, 624)),
        ((16, 9), (680, 384)),
        ((3, 1), (888, 296)),
        ((1, 3), (296, 888)),
        ((100, 1), (888, 296)),
        ((999_999, 1_000_000), (512, 512)),
    ],
)
def test_well_known_sizes(aspect, size):
    assert size_for(STABLE, aspect) == size


@given(
    st.builds(
        Model,
        name=st.just("m"),
        ref=st.just("m"),
        native_size=st.integers(1, 4096),
        size_multiple=st.sampled_from((1, 8, 16, 64)),
        max_aspect=st.floats(1, 50),
    ),
    st.tuples(st.integers(1, 999_999), st.integers(1, 999_999)),
)
@example(Model(name="m", ref="m", native_size=12, size_multiple=8, max_aspect=1.0000000000000002), (1, 2))
def test_the_size_is_valid_for_any_model_and_aspect_ratio(model, aspect):
    width, height = size_for(model, aspect)
    assert width > 0 < height
    assert width % model.size_multiple == height % model.size_multiple == 0
    assert max(width, height) <= model.max_aspect * min(width, height)
    assert size_for(model, (aspect[1], aspect[0])) == (height, width)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_models_own_scheduler_is_recognised(tmp_path, name):
    sampler = SAMPLERS[name]
    own = {"_class_name": sampler.scheduler, "use_karras_sigmas": False, **sampler.overrides}
    assert describe_model(str(make_model_folder(tmp_path, scheduler__scheduler_config=own))).sampler == name


def test_an_unknown_scheduler_is_named_by_its_class(tmp_path):
    assert sampler_for("DEISMultistepScheduler", {}) == "DEISMultistepScheduler"
    assert sampler_for("EulerDiscreteScheduler", {"use_karras_sigmas": True}) == "EulerDiscreteScheduler"
    assert describe_model(str(make_model_folder(tmp_path))).sampler is None
    assert describe_model(EMBEDDED).sampler == "unipc"
