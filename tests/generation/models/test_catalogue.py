"""The catalogue's models are found by the names that people type, and have complete entries."""

from __future__ import annotations

from collections import Counter

import pytest

from generation.errors import UserError
from generation.models.catalogue import CATALOGUE, PIPELINE_ONLY, CatalogueEntry, find_entry, normalize_name
from generation.models.model import PICKLE_SUFFIXES, describe_model
from generation.models.registry import ModelRegistry
from generation.models.samplers import SAMPLERS
from generation.prompt import parse_params
from generation.prompt.errors import PromptError


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("1.5", "Stable Diffusion 1.5"),
        ("SD 1.5", "Stable Diffusion 1.5"),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "Stable Diffusion 1.5"),
        ("stabilityai/stable-diffusion-2-1", "Stable Diffusion 2.1"),
        ("openjourney", "Open Journey"),
        ("Open-Journey", "Open Journey"),
        ("prompthero/openjourney", "Open Journey"),
        ("anything v3", "Anything V3"),
        ("niji", "Anything V3"),
        ("Nitrosocke/arcane-diffusion", "Arcane Diffusion"),
        ("modi diffusion", "Mo-Di Diffusion"),
        ("robo", "Robo Diffusion"),
        ("sdxl", "Stable Diffusion XL"),
    ],
)
def test_a_model_is_found_by_any_of_its_spellings(typed: str, name: str) -> None:
    found = find_entry(typed)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("typed", ["", "fox", "somebody/openjourney", "/", "1.6"])
def test_an_unknown_name_finds_no_model(typed: str) -> None:
    assert find_entry(typed) is None


def test_names_and_aliases_are_unique() -> None:
    names = Counter(normalize_name(name) for entry in CATALOGUE for name in {entry.name, *entry.aliases})
    assert [name for name, times in names.items() if times > 1 or not name] == []


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_entry_is_valid(entry: CatalogueEntry) -> None:
    assert entry.sampler in SAMPLERS or (entry.sampler is None and entry.family in PIPELINE_ONLY)
    assert entry.hub_id.count("/") == 1
    assert entry.native_size % 64 == 0
    assert entry.num_inference_steps > 0 <= entry.guidance_scale
    assert entry.licence
    assert entry.memory > 1e9


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_a_described_model_has_its_entrys_defaults(entry: CatalogueEntry) -> None:
    model = describe_model(entry.name)
    assert model == describe_model(entry.hub_id)
    assert (model.name, model.ref, model.native_size) == (entry.name, entry.hub_id, entry.native_size)
    assert (model.num_inference_steps, model.sampler) == (entry.num_inference_steps, entry.sampler)


def test_trigger_words_are_added_to_plain_prompts_but_not_to_raw_ones() -> None:
    here = ModelRegistry.from_refs(["openjourney"])
    assert parse_params("a fox", here).house_style == "mdjrny-v4 style"
    assert parse_params("a fox --raw", here).house_style == ""


@pytest.mark.parametrize("ending", PICKLE_SUFFIXES)
def test_a_pickled_model_is_refused_with_how_to_convert_it(ending: str) -> None:
    with pytest.raises(UserError, match=r"could run any program.*models\.md"):
        describe_model(f"/models/dreams{ending.upper()}")


@pytest.mark.parametrize(
    ("model", "typed"),
    [
        ("1.5", "--v 1.5"),
        ("1.5", "--version sd15"),
        ("1.5", "--model stable diffusion 1.5 --tile"),
        ("openjourney", "--model open-journey"),
        ("anything v3", "--niji"),
        ("anything v3", "--niji 6"),
        ("anything v3", "--v anything"),
    ],
)
def test_a_prompt_can_name_the_model_by_any_of_its_spellings(model: str, typed: str) -> None:
    assert parse_params(f"a fox {typed}", ModelRegistry.from_refs([model])).parts[0].text == "a fox"


@pytest.mark.parametrize("typed", ["--v 2.1", "--niji 6", "--model anything"])
def test_a_model_that_is_not_installed_is_refused_with_those_that_are(typed: str) -> None:
    with pytest.raises(PromptError, match=r"There is no model `.*` here\. Available: `Stable Diffusion 1\.5`"):
        parse_params(f"a fox {typed}", ModelRegistry.from_refs(["1.5"]))
