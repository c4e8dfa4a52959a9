"""What people paste from pages, chats and other programs is read, in whatever notation it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generation.models.adapters import Adapters
from generation.models.files.lora import Lora
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import PromptReading, format_prompt, parse_prompt, read_prompt, with_parameter
from generation.prompt.characters import remove_invisible
from tests.support.growth import assert_grows_linearly

DREAM = Model(name="dreamshaper_8", ref="somebody/dreamshaper")
REGISTRY = ModelRegistry((Model(name="storybook", ref="m"), DREAM), Adapters((Lora("ink", Path("ink.safetensors")),)))
FOX, OWL = "https://example.org/fox.png", "https://example.org/owl.jpg"


def read(typed: str) -> PromptReading:
    return read_prompt(typed, REGISTRY)


def texts(reading: PromptReading) -> list[str]:
    return [part.text for part in reading.parts]


SETTINGS = {"negative": "ugly", "steps": 20, "seed": 5}


@pytest.mark.parametrize(
    "pasted",
    [
        "a fox\nNegative prompt: ugly\nSteps: 20 | Seed: 5",
        "a fox\nNegative: ugly\nSteps: 20, Seed: 5",
        "a fox\nUndesired Content: ugly\nSteps: 20, Seed: 5",
        "a fox Negative prompt ugly Other metadata Steps: 20 Seed: 5",
        "Prompt\na fox\nNegative prompt\nugly\nOther metadata\nSteps: 20\nSeed: 5",
        "Prompt: a fox\n\nNegative Prompt: ugly\n\nSettings:\nSteps: 20\nSeed: 5",
        "parameters: a fox\nNegative prompt: ugly\nSteps: 20. Seed: 5.",
        "**Prompt:** a fox\n**Negative prompt:** ugly\n**Steps:** 20\n**Seed:** 5",
        "- **Prompt**: a fox\n- **Negative Prompt**: ugly\n- **Steps**: 20\n- **Seed**: 5",
        "1. Prompt: a fox\n2. Negative: ugly\n3. Steps: 20\n4. Seed: 5",
        "### Prompt\na fox\n### Negative prompt\nugly\n### Settings\nSteps: 20\nSeed: 5",
        "• Prompt: a fox • Negative prompt: ugly • Steps: 20 • Seed: 5",
        "`Prompt:` a fox\n`Negative prompt:` ugly\n`Steps:` 20\n`Seed:` 5",
        "> a fox\n> Negative prompt: ugly\n> Steps: 20, Seed: 5",
        "Negative prompt: ugly\nPrompt: a fox\nSteps: 20\nSeed: 5",
        "Steps: 20\nSeed: 5\nPrompt: a fox\nNegative prompt: ugly",
        "Steps: 20 Seed: 5 Prompt: a fox Negative prompt: ugly",
        "Steps: 20, Seed: 5\na fox\nNegative prompt: ugly",
    ],
)
def test_labels_of_infotext_are_read_in_any_notation(pasted):
    reading = read(pasted)
    assert (texts(reading), dict(reading.parameters)) == (["a fox"], SETTINGS)
    assert (reading.left_out, reading.problems) == ((), ())


@pytest.mark.parametrize(
    "pasted",
    [
        "a fox\nNegative prompt：ugly\nSteps：20，Seed：5",
        "a fox\nNegative prompt：ugly\nSteps：２０；Seed：５",
        "a fox。Negative prompt：ugly。Steps：20、Seed：5。",
        "a fox　Ｎｅｇａｔｉｖｅ　ｐｒｏｍｐｔ：ugly　Ｓｔｅｐｓ：２０，Ｓｅｅｄ：５",
        "a fox (Negative prompt: ugly, Steps: 20, Seed: 5)",
        "a fox（Negative prompt：ugly，Steps：20，Seed：5）",
        "a fox [Negative prompt: ugly, Steps: 20, Seed: 5].",
        "a fox {Negative prompt: ugly, Steps: 20, Seed: 5}",
        "(a fox\nNegative prompt: ugly\nSteps: 20, Seed: 5)",
        "> a fox > Negative prompt: ugly > Steps: 20 > Seed: 5",
        "Prompt: a fox; Negative prompt: ugly; Steps: 20; Seed: 5",
        "a fox // Negative prompt: ugly // Steps: 20 // Seed: 5",
        "a fox (Negative prompt: ugly, Steps=20, Seed=5)",
        "Prompt: a fox\nNegative: ugly\nSteps 20\nSeed 5",
        "Positive prompt\na fox\n\nNegative prompt\nugly\n\nSteps\n20\n\nSeed\n5",
        "**a fox**\n*Negative prompt:* ugly\n`Steps: 20, Seed: 5`",
        'prompt: "a fox", negative prompt: ugly, steps: 20, seed: 5',
        "prompt：a fox，negative：ugly，steps：20，seed：5",
        "a fox，反向提示词：ugly，采样步数：20，随机种子：5",
        "a fox\nNegative prompt: ugly\nSteps: 20, Random seed: 5",
        "!dream prompt: a fox\nNegative prompt: ugly\nSteps: 20, Seed: 5",
    ],
)
def test_infotext_is_read_with_full_width_marks_and_in_brackets(pasted):
    reading = read(pasted)
    assert ([text.rstrip("。，") for text in texts(reading)], reading.parameters["steps"]) == (["a fox"], 20)
    assert (reading.parameters["negative"].rstrip("。"), reading.parameters["seed"]) == ("ugly", 5)
    assert (reading.left_out, reading.problems) == ((), ())


def test_no_negative_prompt_is_none():
    for said in ("None", "N/A", ""):
        assert read(f"a fox\nNegative prompt: {said}\nSteps: 20, Seed: 5").parameters == {"steps": 20, "seed": 5}


@pytest.mark.parametrize("sampler", ["DPM++ 2M Karras", "Euler a"])
@pytest.mark.parametrize("comma", [",", ""])
def test_settings_that_begin_with_a_sampler_are_read(sampler, comma):
    reading = read(f"a fox Sampler: {sampler}{comma} Steps: 20{comma} CFG scale: 7")
    assert (texts(reading), reading.parameters["steps"], reading.left_out) == (["a fox"], 20, ())


def test_settings_with_equals_signs_are_read():
    reading = read("a fox, steps=20, seed=5, cfg=7")
    assert (texts(reading), dict(reading.parameters)) == (["a fox,"], {"steps": 20, "seed": 5, "cfg": 7.0})


@pytest.mark.parametrize("parameter", ["-ar 3:2", "- -ar 3:2", "-AR 3：2", "-aspect 3:2"])
def test_one_hyphen_before_a_ratio_is_meant_as_two(parameter):
    assert read(f"a fox {parameter}").parameters == {"aspect": (3, 2)}
    assert texts(read("a t-ar 3:2, a -arc, -area 5")) == ["a t-ar 3:2, a -arc, -area 5"]


def test_full_width_marks_of_a_prompt_stay():
    reading = read("狐狸，雪\n负面提示词：丑，暗\nSteps：20，Seed：5")
    assert (texts(reading), reading.parameters["negative"]) == (["狐狸，雪"], "丑，暗")


def test_unknown_settings_between_others_are_named():
    reading = read("a fox\nPrompt strength: 7\nSteps: 20\nPrompt guidance: 7\nLevel: high\nMood (new): dark\nSeed: 5")
    assert (texts(reading), dict(reading.parameters)) == (["a fox"], {"steps": 20, "cfg": 7.0, "seed": 5})
    assert reading.left_out == ("Prompt strength", "Level", "Mood (new)")


def test_the_prompt_of_a_second_pass_is_not_the_prompt():
    for name in ("Hires prompt", "ADetailer prompt"):
        reading = read(f"Steps: 20, Seed: 5, {name}: a face, Size: 512x512 Negative prompt: ugly")
        assert texts(reading) != ["a face"]
        reading = read(f"a fox\nNegative prompt: ugly\nSteps: 20, Seed: 5, {name}: a face")
        assert (texts(reading), dict(reading.parameters), reading.left_out) == (["a fox"], SETTINGS, (name,))


@pytest.mark.parametrize(
    "label",
    [
        "Negativer Prompt:",
        "Prompt négatif :",
        "Prompt negativo:",
        "负面提示词：",
        "反向提示词:",
        "ネガティブプロンプト：",
    ],
)
def test_the_negative_prompt_is_known_in_other_languages(label):
    assert dict(read(f"a fox {label} ugly").parameters) == {"negative": "ugly"}
    assert texts(read(f"提示词：a fox\n{label} ugly")) == ["a fox"]


def test_an_aspect_ratio_beside_settings_is_read():
    assert read("a fox\nAspect ratio: 16:9, Seed: 5").parameters == {"aspect": (16, 9), "seed": 5}
    assert read("a fox\nSize: 512x512, Aspect ratio: 1:1, Seed: 5").parameters == {"aspect": (1, 1), "seed": 5}


@pytest.mark.parametrize("last", ["Seed\n5\nSampler\nEuler a", "Sampler\nEuler a\nSeed\n5"])
def test_parameters_behind_settings_without_colons_are_read(last):
    page = f"## Prompt\na fox\n\n## Negative prompt\nugly\n\n## Settings\nSteps\n20\n{last}"
    for typed in (f"{page} --ar 3:2", f"{page}\n--ar 3:2", with_parameter(page, "--ar 3:2")):
        reading = read(typed)
        assert (texts(reading), reading.left_out) == (["a fox"], ())
        assert dict(reading.parameters) == SETTINGS | {"sampler": "euler_a", "aspect": (3, 2)}


def test_braces_of_a_pasted_negative_prompt_are_no_choices():
    reading = read("a fox\nNegative prompt: {bad|ugly, dull}\nSteps: 20, Seed: 5")
    assert (reading.parameters["negative"], reading.problems) == ("{bad|ugly, dull}", ())


def test_a_labelled_prompt_needs_no_settings():
    assert read("Positive: a fox\nNegative: ugly").parameters == {"negative": "ugly"}


@pytest.mark.parametrize(
    "typed",
    [
        "a film negative: dark, 35mm",
        "a photo. Negative: dark areas",
        "photo negative: inverted colours, prompt: none",
        "recipe card. Steps: 3, Size: 20x30 cm",
        "poster: Height: 180, Width: 90",
        "a man —strength in his arms",
        "a receipt: CFG: 7, Seed: 2",
        "a recipe: Steps: 1, Seed: 2 spoons",
        "a &notareal; thing",
        "a chart, Size: 512x512, Width: 512",
        "a whiteboard (Steps: 20, Seed: 5) in an office",
        'a whiteboard with "Steps: 20, Seed: 5" on it',
        "a __wildcard__, __init__",
        "a ~~b~~ c",
        "2*3*4, 5 * 6",
        "tic\\ntac, C:\\new\\night",
        "AT&T, R&B; <b>",
        "a hall —images of kings on the walls",
        "the bus—stop 5",
        "/drawing of a cat",
        "imagine prompt engineers: a cat",
        "5 > 3",
        "step 1: prompt engineers, version 12.",
        "here is a promptly delivered letter",
        "(https://example.org a site) painted",
        "fox, 1.5x zoom",
    ],
)
def test_a_sentence_stays_a_sentence(typed):
    reading = read(typed)
    assert (texts(reading), dict(reading.parameters), reading.problems) == ([typed], {}, ())


def test_the_log_of_fooocus_is_read():
    reading = read(
        "Prompt: a fox\nNegative Prompt: ugly\nFooocus V2 Expansion: a fox, intricate, detailed\n"
        "Styles: ['Fooocus V2', 'Fooocus Sharp']\nPerformance: Speed\nResolution: (1152, 896)\nSharpness: 2\n"
        "Guidance Scale: 4\nBase Model: dreamshaper_8.safetensors\nSampler: dpmpp_2m_sde_gpu\nSeed: 5"
    )
    assert texts(reading) == ["a fox"]
    assert dict(reading.parameters) == {
        "negative": "ugly",
        "aspect": (9, 7),
        "cfg": 4.0,
        "model": "dreamshaper_8",
        "sampler": "dpmpp_2m_sde",
        "seed": 5,
    }
    assert set(reading.left_out) == {"Fooocus V2 Expansion", "Styles", "Performance", "Sharpness"}


def test_the_settings_of_sd_next_begin_with_its_parser():
    reading = read("a fox\nNegative prompt: ugly\nParser: native, Steps: 20, Seed: 5, Hires force: False")
    assert (dict(reading.parameters), reading.left_out) == (SETTINGS, ())


@pytest.mark.parametrize("name", ["dreamshaper_8.safetensors", "dreamshaper_8 [879db523c3]", "sd15/dreamshaper_8.ckpt"])
def test_the_file_of_a_model_names_it(name):
    assert read(f"a fox\nSteps: 20, Seed: 5, Model: {name}").parameters["model"] == "dreamshaper_8"
    assert read(f"a fox --model {name}").parameters["model"] == "dreamshaper_8"


@pytest.mark.parametrize("negative", ["", "none", "ugly"])
def test_parameters_behind_a_negative_prompt_are_read(negative):
    reading = read(f"a fox\nNegative prompt: {negative} --ar 3:2 --no cats")
    expected = {"negative": negative} if negative == "ugly" else {}
    assert (dict(reading.parameters), reading.problems) == (expected | {"aspect": (3, 2), "no": ("cats",)}, ())


def test_parameters_typed_in_front_of_infotext_override_it():
    reading = read("a fox --ar 3:2\nNegative prompt: ugly\nSteps: 20, Seed: 5, Size: 512x768")
    assert (dict(reading.parameters), reading.problems) == (SETTINGS | {"aspect": (3, 2)}, ())


def test_the_loras_that_only_civitai_names_are_used():
    resources = '[{"type":"lora","weight":0.8,"modelName":"ink"},{"type":"lora","modelName":"gone"}]'
    reading = read(f"a fox\nSteps: 20, Seed: 5, Civitai resources: {resources}")
    assert [(lora.name, lora.weight) for lora in reading.parameters["lora"]] == [("ink", 0.8)]
    assert reading.left_out == ("LoRA gone",)
    tagged = read(f"a fox <lora:ink:0.5>\nSteps: 20, Seed: 5, Civitai resources: {resources}")
    assert [(lora.name, lora.weight) for lora in tagged.parameters["lora"]] == [("ink", 0.5)]
    assert tagged.problems == ()


GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 5,
            "steps": 20,
            "cfg": 7,
            "sampler_name": "euler",
            "positive": ["6", 0],
            "negative": ["7", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dreamshaper_8.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["8", 0]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly"}},
    "8": {"class_type": "PrimitiveString", "inputs": {"value": "a fox"}},
    "9": {"class_type": "LoraLoader", "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.6}},
}


@pytest.mark.parametrize("value", [GRAPH, {"prompt": GRAPH}])
def test_the_graph_of_comfyui_is_read(value):
    reading = read(json.dumps(value))
    assert texts(reading) == ["a fox"]
    assert [(lora.name, lora.weight) for lora in reading.parameters["lora"]] == [("ink", 0.6)]
    assert {name: each for name, each in reading.parameters.items() if name != "lora"} == SETTINGS | {
        "cfg": 7.0,
        "sampler": "euler",
        "model": "dreamshaper_8",
        "aspect": (2, 3),
    }


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "a fox", "negativePrompt": "ugly", "steps": 20, "cfgScale": 7, "seed": 5, "Size": "512x768"},
        {
            "Prompt": "a fox",
            "Negative Prompt": "ugly",
            "Steps": 20,
            "Guidance Scale": 7,
            "Seed": "5",
            "Resolution": "(512, 768)",
        },
        {"prompt": "a fox", "uc": "ugly", "steps": 20, "scale": 7, "seed": 5, "width": 512, "height": 768},
        {
            "sui_image_params": {
                "prompt": "a fox",
                "negativeprompt": "ugly",
                "steps": 20,
                "cfgscale": 7,
                "seed": 5,
                "width": 512,
                "height": 768,
            }
        },
        [
            {
                "prompt": "a fox",
                "negative_prompt": "ugly",
                "num_inference_steps": 20,
                "guidance_scale": 7,
                "seed": 5,
                "size": "512x768",
            }
        ],
        {
            "image": {
                "prompt": [{"prompt": "a fox", "weight": 1}],
                "uc": "ugly",
                "steps": 20,
                "cfg_scale": 7,
                "seed": 5,
                "width": 512,
                "height": 768,
            }
        },
    ],
)
def test_the_json_of_any_program_is_read(values):
    reading = read(json.dumps(values))
    assert texts(reading) == ["a fox"]
    assert (dict(reading.parameters), reading.left_out) == (SETTINGS | {"cfg": 7.0, "aspect": (2, 3)}, ())


@pytest.mark.parametrize(
    "written",
    [
        '{"prompt": "a fox", "negative_prompt": "ugly", "steps": 20, "seed": 5,}',
        "{'prompt': 'a fox', 'negative_prompt': 'ugly', 'steps': 20, 'seed': 5, 'lora': None, 'raw': False}",
        '{prompt: "a fox", negative_prompt: "ugly", steps: 20, seed: 5}',
        "{“prompt”: “a fox”, “negative_prompt”: “ugly”, “steps”: 20, “seed”: 5}",
        'Parameters: {"prompt": "a fox", "negative_prompt": "ugly", "steps": 20, "seed": 5}',
        "prompt='a fox', negative_prompt='ugly', num_inference_steps=20, seed=5",
        "{'prompt': 'a fox', 'negative_prompt': 'ugly', 'steps': 20, 'seed': 5",
        '{\n  "prompt": "a fox", // a comment\n  "negative_prompt": "ugly",\n  "steps": 20, "seed": 5\n}',
        '{"inputs": "a fox", "parameters": {"negative_prompt": "ugly", "num_inference_steps": 20, "seed": 5}}',
        '{"text_prompts": [{"text": "a fox", "weight": 1}, {"text": "ugly", "weight": -1}], "steps": 20, "seed": 5}',
        'image = pipe(prompt="a fox", negative_prompt="ugly", num_inference_steps=20, seed=5,)',
        "{prompt: a fox, negative_prompt: ugly, steps: 20, seed: 5}",
        "```py\n{'prompt': 'a fox', 'negative_prompt': 'ugly', 'steps': 20, 'seed': 5}\n```",
    ],
)
def test_what_python_and_javascript_write_is_read_as_json(written):
    reading = read(written)
    assert (texts(reading), dict(reading.parameters)) == (["a fox"], SETTINGS)
    assert (reading.left_out, reading.problems) == ((), ())


@pytest.mark.parametrize(
    "written",
    [
        '{"prompt": "a fox", "negative_prompt": "ugly", "steps": 30, "seed": 5}',
        "{prompt: a fox, negative_prompt: ugly, steps: 30, seed: 5},",
        'image = pipe(prompt="a fox", negative_prompt="ugly", num_inference_steps=30, seed=5)',
        "prompt='a fox', num_inference_steps=30, seed=5, negative_prompt='ugly'",
        "```json\n{'prompt': 'a fox', 'negative_prompt': 'ugly', 'steps': 30, 'seed': 5}\n```",
    ],
)
def test_parameters_behind_json_override_it(written):
    reading = read(with_parameter(written, "--steps 20 --no cats"))
    assert (texts(reading), reading.problems) == (["a fox"], ())
    assert dict(reading.parameters) == SETTINGS | {"no": ("cats",)}


def test_parameters_that_are_typed_into_json_end_with_their_value():
    reading = read('{prompt: "a fox" --no cats, steps: 20}')
    assert (texts(reading), dict(reading.parameters)) == (["a fox"], {"no": ("cats",), "steps": 20})


def test_a_python_string_keeps_its_quotation_marks():
    reading = read(r"""{'prompt': 'a "red" fox\'s den', 'size': (512, 768), 'steps': 20}""")
    assert (texts(reading), dict(reading.parameters)) == (['a "red" fox\'s den'], {"aspect": (2, 3), "steps": 20})


def test_the_loras_of_json_are_used():
    for loras in ([{"model": {"name": "ink"}, "weight": 0.75}], [["ink.safetensors", 0.75, "abc"]]):
        reading = read(json.dumps({"positive_prompt": "a fox", "loras": loras}))
        assert [(lora.name, lora.weight) for lora in reading.parameters["lora"]] == [("ink", 0.75)]


@pytest.mark.parametrize(
    "links",
    [
        f"({FOX}) ({OWL})",
        f"[{FOX}], [{OWL}],",
        f"[one]({FOX}) ![two]({OWL})",
        f"[1]({FOX})[2]({OWL})",
        f"'{FOX}' “{OWL}”",
        f"`{FOX}`, `{OWL}`:",
        f"1. {FOX} 2. {OWL}",
        f"- {FOX}\n- {OWL}\n",
        f"image 1: {FOX} image 2: {OWL}",
        f"{FOX}|{OWL}",
        f"{FOX}{OWL}",
        f"{FOX}, {OWL}:",
    ],
)
def test_links_in_front_are_read_in_any_notation(links):
    reading = read(f"{links} a fox")
    assert (texts(reading), reading.links, reading.problems) == (["a fox"], (FOX, OWL), ())


@pytest.mark.parametrize(
    "typed",
    ["imagine prompt: a fox", "/draw a fox", "/dream prompt: a fox", "> a fox", "> a\n> fox", ">>> a\nfox"],
)
def test_commands_and_quotation_marks_of_messages_are_left_out(typed):
    assert texts(read(typed)) == ["a fox"]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("<lora:ink:1>, a fox", "a fox"),
        ("a fox, <lora:ink:1>, snow", "a fox, snow"),
        ("a fox <lora:ink:1>snow", "a fox snow"),
        ("a fox, <lora:ink:1>. Snow", "a fox. Snow"),
        ("a fox <lora:ink:1>--ar 3:2", "a fox"),
        ("a fox <lora:ink:1:1:lbw=ALL:stop=20>", "a fox"),
    ],
)
def test_a_lora_tag_leaves_nothing_behind(typed, text):
    reading = read(typed)
    assert (texts(reading), reading.problems) == ([text], ())
    assert [(lora.name, lora.weight) for lora in reading.parameters["lora"]] == [("ink", 1.0)]


@pytest.mark.parametrize("dash", ["—", "–", "——"])
def test_a_dash_glued_to_the_text_is_no_silent_text(dash):
    assert read(f"狐狸{dash}ar 16:9").problems == ("Put a space before `--ar`",)


@pytest.mark.parametrize(
    ("typed", "parameters"),
    [
        ("--ar 16 : 9", {"aspect": (16, 9)}),
        ("--ar 16 x 9", {"aspect": (16, 9)}),
        ("--ar =16:9!", {"aspect": (16, 9)}),
        ("--ar 3:2 | --seed 5", {"aspect": (3, 2), "seed": 5}),
        ("--seed = 5", {"seed": 5}),
        ("--seed : 5)", {"seed": 5}),
        ("--seed 5…", {"seed": 5}),
        ("--chaos 25%", {"chaos": 25}),
        ("--tile!", {"tile": True}),
        ("--ar (3:2)", {"aspect": (3, 2)}),
        ("--seed 5 -- --q .5", {"seed": 5, "quality": 0.5}),
        ("--style raw!", {"style": "raw"}),
        ("--TİLE", {"tile": True}),
        ("--tıle", {"tile": True}),
    ],
)
def test_marks_and_blanks_around_a_value_do_not_count(typed, parameters):
    reading = read(f"a fox {typed}")
    assert (dict(reading.parameters), reading.problems) == (parameters, ())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("h 768", "ar"),
        ("without text", "no"),
        ("num 4", "repeat"),
        ("b 4", "repeat"),
        ("no-text", "no"),
        ("16:9", "ar"),
    ],
)
def test_a_name_of_another_program_gets_a_hint(typed, meant):
    assert read(f"a fox --{typed}").problems[0].endswith(f"did you mean `--{meant}`?")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("sede", "seed"), ("seeed", "seed"), ("negativ", "negative"), ("stilize", "stylize"), ("samplre", "sampler")],
)
def test_a_misspelt_name_gets_a_hint(typed, meant):
    assert read(f"a fox --{typed} 5").problems[0].endswith(f"did you mean `--{meant}`?")


@pytest.mark.parametrize("typed", ["creative", "wibble", "mood", "text", "fastest", "motive", "still", "bw", "x"])
def test_a_name_far_from_all_gets_no_hint(typed):
    assert read(f"a fox --{typed} 5").problems == (f"Unrecognized parameter `--{typed}`",)


@pytest.mark.parametrize("typed", ["(a fox --tile)", "[a fox --tile]"])
def test_brackets_around_a_prompt_and_its_parameters_are_left_out(typed):
    assert texts(read(typed)) == ["a fox"]
    assert texts(read("(a fox)")) == ["(a fox)"]


def test_a_percentage_is_a_fraction_of_one_where_one_is_the_usual_value():
    reading = read("fox::50% moon::150 ％ owl --q 50% --lora ink:80% --chaos 25% --stop 80%")
    assert [(part.text, part.weight) for part in reading.parts] == [("fox", 0.5), ("moon", 1.5), ("owl", 1)]
    assert {name: value for name, value in reading.parameters.items() if name != "lora"} == {
        "quality": 0.5,
        "chaos": 25,
        "stop": 80,
    }
    assert (reading.parameters["lora"][0].weight, reading.problems) == (0.8, ())
    assert texts(read("fox::50%off")) == ["fox", "%off"]


@pytest.mark.parametrize(
    ("typed", "weight"), [("1/2", 0.5), ("-1/4", -0.25), ("½", 0.5), ("1½", 1.5), ("-¾", -0.75), ("１/２", 0.5)]
)
def test_a_fraction_is_a_weight(typed, weight):
    assert [(part.text, part.weight) for part in read(f"fox::{typed} moon::2").parts] == [("fox", weight), ("moon", 2)]


@pytest.mark.parametrize("typed", ["1/0 owl", "1/٠ owl", "1/๐ owl", "1/𝟎 owl", "1/2/3 owl", "1/2x owl"])
def test_what_is_no_fraction_stays_text(typed):
    assert texts(read(f"fox::{typed}")) == ["fox", typed.removeprefix("1")]


@pytest.mark.parametrize("typed", ["1. a fox", "2) a fox", "12) a fox", "**3.** a fox", "1. **a fox**"])
def test_the_number_of_a_list_is_left_out(typed):
    assert texts(read(typed)) == ["a fox"]


@pytest.mark.parametrize("typed", ["1. Mai in Berlin", "3.5) a fox", "3 foxes", "50. a", "1)"])
def test_a_number_of_the_text_stays(typed):
    assert texts(read(typed)) == [typed]


@pytest.mark.parametrize("typed", ['"a fox', "“a fox", 'a fox"', "a fox” --ar 3:2", "„a fox", '" a fox'])
def test_a_quotation_mark_without_its_other_half_is_left_out(typed):
    assert texts(read(typed)) == ["a fox"]


@pytest.mark.parametrize("typed", ['a screen of 5"', 'he said "hi', '"', "'tis the season", '"a" and "b'])
def test_a_quotation_mark_that_means_something_stays(typed):
    assert texts(read(typed)) == [typed]


def test_an_item_to_keep_out_needs_no_further_no():
    assert read("a castle —no roof, no walls, nothing").parameters["no"] == ("roof", "walls", "nothing")


def test_a_number_glued_to_a_word_is_no_weight():
    assert texts(read("fox::1.5x zoom")) == ["fox", "1.5x zoom"]


@pytest.mark.parametrize("shown", ["ന്\u200d", "ත්\u200d", "ক্\u200cষ"])
def test_a_joiner_after_a_virama_stays(shown):
    assert remove_invisible(f"{shown} b") == f"{shown} b"


@pytest.mark.parametrize(
    "text",
    [
        "(https://example.org/a.png) fox",
        "[a](https://example.org/a.png) fox",
        "image: https://example.org/a.png fox",
        "1. https://example.org/a.png fox",
        "- Prompt: a fox, negative: ugly",
        "Positive: a fox, negative: ugly",
        "/draw a fox",
        "> a fox",
        "fox——ar 3",
        "fox—ar 3:2",
    ],
)
def test_escaped_text_of_such_a_notation_stays_text(text):
    escaped = "".join(f"\\{char}" if char in "-—:/>" else char for char in text)
    params = parse_prompt(escaped, REGISTRY).params
    assert params.parts[0].text == text
    assert parse_prompt(format_prompt(params, REGISTRY, seed=True), REGISTRY).params == params


@pytest.mark.parametrize(
    "unit",
    [
        "-s 5 ",
        "- ",
        "[a",
        "![a](https://",
        "1. ",
        "(https://a.png) ",
        "<lora:a>",
        "Neg: ",
        "# Prompt\n",
        "> \n",
        "\n",
        "\n ",
        "(",
        "1.",
        "Steps: 20\n",
        "—a—",
        '{"a":[',
        "{'a':(",
        "prompt='",
        "a=",
        "(Steps: 20 ",
        "Steps：20，",
        "\\n",
        "\\r\\n",
        "&lt;",
        "<br",
        "</p",
        "<b ",
        "||a",
        "__a ",
        "*a ",
        "—no one ",
        "—fast a ",
        "::5 % ",
        "Foo: bar\n",
        "Steps 20\n",
        "Sampler\n",
        "Steps=20 ",
        "here is ",
        "%20",
        "prompt\n",
        "|| ",
        "-\n",
        "a ",
    ],
)
def test_no_text_takes_long(unit):
    for start in ("", "> a\n", "a fox, Steps: 20\nPrompt: a ", "prompt='a', ", "{'a': ", "Steps: 2\n", "__"):
        assert_grows_linearly(read, unit, start)
