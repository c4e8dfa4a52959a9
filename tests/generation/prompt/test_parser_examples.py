"""Prompts as people really type them, and their meaning."""

from __future__ import annotations

from typing import Any

import pytest

from generation.models.model import Model, size_for
from generation.models.registry import ModelRegistry
from generation.models.samplers import SAMPLERS
from generation.params import Params, PromptPart, Upload
from generation.prompt import PromptError, parse_params

MODEL = Model(name="storybook", ref="models/storybook", num_inference_steps=20, guidance_scale=7.0)
REGISTRY = ModelRegistry((MODEL,))
PICTURE = Upload("cafe")
SEED = 77


def row(typed: str, *parts: str | tuple[str, float], **changes: Any) -> tuple[str, list[Any], dict[str, Any]]:
    """Pair a prompt with its parts and params; a part without a weight has weight 1."""
    return typed, [part if isinstance(part, tuple) else (part, 1.0) for part in parts], changes


PLAIN = [
    row("a red fox under the moon", "a red fox under the moon"),
    row("A Red FOX", "A Red FOX"),
    row("  a   cat  ", "a cat"),
    row("a cat\nsitting on\r\na mat", "a cat sitting on a mat"),
    row("cat\tdog\u00a0bird\u3000fish", "cat dog bird fish"),
    row("zero\u200bwidth and \u202eturned\u202c", "zerowidth and turned"),
    row("\ufeffa cat", "a cat"),
    row("a cat\x00\x07", "a cat"),
    row("portrait of a woman, 85mm, f/1.8, golden hour", "portrait of a woman, 85mm, f/1.8, golden hour"),
    row("masterpiece, best quality, (detailed:1.2)", "masterpiece, best quality, (detailed:1.2)"),
    row(r"cat \(animal\) sitting", r"cat \(animal\) sitting"),
    row("what is 2*3? it's 6!", "what is 2*3? it's 6!"),
    row('a sign that says "OPEN 24/7"', 'a sign that says "OPEN 24/7"'),
    row("10:30 on a clock face", "10:30 on a clock face"),
    row("movie poster: the last fox", "movie poster: the last fox"),
    row("100% wool, 5 € a ball; #knitting", "100% wool, 5 € a ball; #knitting"),
    row("a well-known red-and-white barn", "a well-known red-and-white barn"),
    row("a cat - black and white", "a cat - black and white"),
    row("-negative number -5", "-negative number -5"),
    row("one - two -three", "one - two -three"),
    row("a mural - @banksy", "a mural - @banksy"),
    row("street art by @banksy (2004)", "street art by @banksy (2004)"),
    row("mail me at fox@example.org", "mail me at fox@example.org"),
    row("a fox, see https://example.org/fox.png", "a fox, see https://example.org/fox.png"),
    row("a `code` block and ~~strike~~ and __under__", "a `code` block and ~~strike~~ and __under__"),
    row("2 ** 3 ** 4", "2 ** 3 ** 4"),
    row("imagine a world without walls", "imagine a world without walls"),
    row("C:\\new folder\\fox", "C:\\new folder\\fox"),
    row("{ an open brace", "{ an open brace"),
    row("closed } brace", "closed } brace"),
]

SCRIPTS = [
    row("ein roter Fuchs im Schnee, Öl auf Leinwand", "ein roter Fuchs im Schnee, Öl auf Leinwand"),
    row("un zorro rojo, ¿dónde está? --ar 2:3", "un zorro rojo, ¿dónde está?", aspect=(2, 3)),
    row("une forêt l'été, lumière dorée --seed 12", "une forêt l'été, lumière dorée", seed=12),
    row("uma raposa vermelha à noite —ar 3:2", "uma raposa vermelha à noite", aspect=(3, 2)),
    row("рыжая лиса под луной --ar 3:2", "рыжая лиса под луной", aspect=(3, 2)),
    row("лиса --no снег, люди", "лиса", no=("снег", "люди")),
    row("赤い狐、月の下で --ar 1:2", "赤い狐、月の下で", aspect=(1, 2)),
    row("一只红色的狐狸 --ar 2:3 --seed 8", "一只红色的狐狸", aspect=(2, 3), seed=8),
    row("狐狸——在雪中", "狐狸——在雪中"),
    row("狐狸 ——走了", "狐狸 ——走了"),
    row("빨간 여우 --ar 16:9", "빨간 여우", aspect=(16, 9)),
    row("ثعلب أحمر تحت القمر --ar 3:2", "ثعلب أحمر تحت القمر", aspect=(3, 2)),
    row("ثعلب --ar ٣:٢ --seed ١٢", "ثعلب", aspect=(3, 2), seed=12),
    row("שועל אדום --no שלג", "שועל אדום", no=("שלג",)),
    row("लाल लोमड़ी चाँद के नीचे --steps 12", "लाल लोमड़ी चाँद के नीचे", num_inference_steps=12),
    row("จิ้งจอกสีแดง --ar 4:3", "จิ้งจอกสีแดง", aspect=(4, 3)),
    row("cáo đỏ dưới ánh trăng —seed 4", "cáo đỏ dưới ánh trăng", seed=4),
    row("kırmızı tilki, İstanbul", "kırmızı tilki, İstanbul"),
    row("κόκκινη αλεπού:: φεγγάρι::.5", "κόκκινη αλεπού", ("φεγγάρι", 0.5)),
    row("🦊🌙 --ar 1:1", "🦊🌙"),
    row("👩‍🚀 on 🇩🇪 soil", "👩‍🚀 on 🇩🇪 soil"),
    row("نیم‌فاصله", "نیم‌فاصله"),
    row("狐 --ar 3：2", "狐", aspect=(3, 2)),
    row("狐狸 --no 雪，人 --ar 3:2， --seed 4。", "狐狸", no=("雪", "人"), aspect=(3, 2), seed=4),
    row("狐 --no 雪、人", "狐", no=("雪", "人")),
    row("ثعلب --no ثلج، ناس", "ثعلب", no=("ثلج", "ناس")),
    row("狐狸：： 月亮：：.5", "狐狸", ("月亮", 0.5)),
    row("狐狸::2，月亮", ("狐狸", 2.0), "月亮"),
    row(r"狐 --no 雪\、人", "狐", no=("雪、人",)),
    row("狐狸，月亮、雪", "狐狸，月亮、雪"),
    row("狐狸 ——ar 3:2", "狐狸", aspect=(3, 2)),
]

DASHES = [
    row("a fox —ar 3:2", "a fox", aspect=(3, 2)),
    row("a fox –ar 3:2", "a fox", aspect=(3, 2)),
    row("a fox –-ar 3:2", "a fox", aspect=(3, 2)),
    row("a fox —-ar 3:2", "a fox", aspect=(3, 2)),
    row("a fox ---ar 3:2", "a fox", aspect=(3, 2)),
    row("a fox —AR 3:2 —Seed 5", "a fox", aspect=(3, 2), seed=5),
    row("a fox -- ar 3:2", "a fox", aspect=(3, 2)),
    row("a fox — ar 3:2 — seed 5", "a fox", aspect=(3, 2), seed=5),
    row("a fox\n--ar 3:2\n--seed 5", "a fox", aspect=(3, 2), seed=5),
    row("a cat — sleeping — in the sun", "a cat — sleeping — in the sun"),
    row("a cat—sleeping—in the sun", "a cat—sleeping—in the sun"),
    row("1990–2000 fashion", "1990–2000 fashion"),
    row("the years 1990 – 2000", "the years 1990 – 2000"),
    row("well--worn shoes", "well--worn shoes"),
    row("a -- b", "a -- b"),
    row("driving — route 66", "driving — route 66"),
    row("a map — no roads", "a map — no roads"),
    row("—", "—"),
    row("--", "--"),
]

PARAMETERS = [
    row("a fox --ar 3:2", "a fox", aspect=(3, 2)),
    row("a fox --aspect 3:2", "a fox", aspect=(3, 2)),
    row("a fox --AR 16:9", "a fox", aspect=(16, 9)),
    row("a fox --ar 6:4", "a fox", aspect=(3, 2)),
    row("a fox --ar 1920:1080", "a fox", aspect=(16, 9)),
    row("a fox --ar 16/9", "a fox", aspect=(16, 9)),
    row("a fox --ar 3x2", "a fox", aspect=(3, 2)),
    row("a fox --ar 3×2", "a fox", aspect=(3, 2)),
    row("a fox --ar 3:1", "a fox", aspect=(3, 1)),
    row("a fox --ar 1:3", "a fox", aspect=(1, 3)),
    row("a fox --ar=3:2", "a fox", aspect=(3, 2)),
    row("a fox --ar3:2", "a fox", aspect=(3, 2)),
    row("a fox --ar 3:2, --seed 4.", "a fox", aspect=(3, 2), seed=4),
    row("a fox --ar    3:2   ", "a fox", aspect=(3, 2)),
    row("a fox, --ar 3:2", "a fox,", aspect=(3, 2)),
    row("a fox --seed 0", "a fox", seed=0),
    row("a fox --seed 4294967295", "a fox", seed=4294967295),
    row("a fox --seed 007", "a fox", seed=7),
    row("a fox --seed123", "a fox", seed=123),
    row("a fox --steps 1", "a fox", num_inference_steps=1),
    row("a fox --steps 150", "a fox", num_inference_steps=150),
    row("a fox --cfg 0", "a fox", guidance_scale=0.0),
    row("a fox --cfg 30", "a fox", guidance_scale=30.0),
    row("a fox --cfg 4.5", "a fox", guidance_scale=4.5),
    row("a fox --cfg .5", "a fox", guidance_scale=0.5),
    row("a fox --cfg 4,5", "a fox", guidance_scale=4.5),
    row("a fox --cfg7", "a fox", guidance_scale=7.0),
    row("a fox --q .25", "a fox", num_inference_steps=5),
    row("a fox --quality 0.5", "a fox", num_inference_steps=10),
    row("a fox --q.5", "a fox", num_inference_steps=10),
    row("a fox --q 1", "a fox"),
    row("a fox --q 2", "a fox", num_inference_steps=40),
    row("a fox --q 4", "a fox", num_inference_steps=80),
    row("a fox --q 9", "a fox", num_inference_steps=80),
    row("a fox --q 3", "a fox", num_inference_steps=40),
    row("a fox --q 0.7", "a fox", num_inference_steps=10),
    row("a fox --q .01", "a fox", num_inference_steps=5),
    row("a fox --sampler euler_a", "a fox", sampler="euler_a"),
    row("a fox --sampler Euler a", "a fox", sampler="euler_a"),
    row("a fox --sampler DPM++ 2M Karras --seed 3", "a fox", sampler="dpmpp_2m_karras", seed=3),
    row("a fox --sampler dpm++-2m", "a fox", sampler="dpmpp_2m"),
    row("a fox --sampler PLMS", "a fox", sampler="pndm"),
    row("a fox --sampler Euler Ancestral", "a fox", sampler="euler_a"),
    row("a fox --sampler UniPC, --steps 9", "a fox", sampler="unipc", num_inference_steps=9),
    row("a fox --negative blurry, low contrast", "a fox", negative_prompt="blurry, low contrast"),
    row("a fox --negative blurry --no snow", "a fox", negative_prompt="blurry", no=("snow",)),
    row("a fox --no snow", "a fox", no=("snow",)),
    row("a fox --no snow, ice , people", "a fox", no=("snow", "ice", "people")),
    row(
        "a fox --no a very long list, of phrases --ar 3:2",
        "a fox",
        no=("a very long list", "of phrases"),
        aspect=(3, 2),
    ),
    row("a fox --no snow,,ice,", "a fox", no=("snow", "ice")),
    row("a fox --no snow --no ice", "a fox", no=("snow", "ice")),
    row(r"a fox --no one\, two, three", "a fox", no=("one, two", "three")),
    row("a fox —no snow —steps 9", "a fox", no=("snow",), num_inference_steps=9),
    row(
        "a fox --ar 3:2 --seed 5 --steps 30 --cfg 6.5 --sampler ddim --no snow --negative ugly",
        "a fox",
        aspect=(3, 2),
        seed=5,
        num_inference_steps=30,
        guidance_scale=6.5,
        sampler="ddim",
        no=("snow",),
        negative_prompt="ugly",
    ),
]

WEIGHTS = [
    row("hot:: dog", "hot", "dog"),
    row("hot::1 dog::1", "hot", "dog"),
    row("hot::2 dog", ("hot", 2.0), "dog"),
    row("hot::1.5 dog::0.5", ("hot", 1.5), ("dog", 0.5)),
    row("a:: b::-.5", "a", ("b", -0.5)),
    row("tulips:: red::-.5 --ar 3:2", "tulips", ("red", -0.5), aspect=(3, 2)),
    row("hot ::2 dog", ("hot", 2.0), "dog"),
    row("hot::2dog", "hot", "2dog"),
    row("hot:: 2 dogs", "hot", "2 dogs"),
    row("hot::dog", "hot", "dog"),
    row("hot::dog::", "hot", "dog"),
    row("hot::+2 dog", ("hot", 2.0), "dog"),
    row("hot::2. dog", ("hot", 2.0), "dog"),
    row("hot::2, dog::1, cat", ("hot", 2.0), "dog", "cat"),
    row("hot:: :: dog", "hot", "dog"),
    row(":: dog", "dog"),
    row("dog::", "dog"),
    row("dog::3", ("dog", 3.0)),
    row("a::0 b", ("a", 0.0), "b"),
    row("a : : b", "a : : b"),
    row("a::1 b::1 c::1 d::-2", "a", "b", "c", ("d", -2.0)),
    row("one::two::three::four", "one", "two", "three", "four"),
    row("a fox:: in snow --no people, cars", "a fox", "in snow", no=("people", "cars")),
    row("hot::٢ dog", ("hot", 2.0), "dog"),
    row(r"std\::vector", "std::vector"),
    row("a::1000 b", ("a", 1000.0), "b"),
]

JUNK = [
    row("/imagine prompt: a fox", "a fox"),
    row("/imagine prompt:a fox", "a fox"),
    row("/imagine a fox", "a fox"),
    row("prompt: a fox", "a fox"),
    row("Prompt:a fox --seed 5", "a fox", seed=5),
    row("prompt:: a fox", "prompt", "a fox"),
    row("prompt::2 a fox", ("prompt", 2), "a fox"),
    row("a prompt: a fox", "a prompt: a fox"),
    row("/IMAGINE Prompt: a fox --ar 3:2", "a fox", aspect=(3, 2)),
    row("/imagine prompt: /imagine prompt: a fox", "a fox"),
    row("**a fox**", "a fox"),
    row("**a fox --ar 3:2**", "a fox", aspect=(3, 2)),
    row("***a fox***", "a fox"),
    row("a **very red** fox", "a very red fox"),
    row("a fox - @bob (fast)", "a fox"),
    row("**a fox --ar 3:2** - @bob (fast)", "a fox", aspect=(3, 2)),
    row("**a fox** - @Jane Doe (relaxed)", "a fox"),
    row("a fox - <@123456789> (fast)", "a fox"),
    row("**a fox --seed 4** - <@!123456789> (31%) (fast)", "a fox", seed=4),
    row("**a fox** - <@1>", "a fox"),
    row("**a fox** - <@1> (Waiting to start)\n-# number 3 in the queue, about a minute", "a fox"),
    row("**a fox** - @bob (Waiting to start)", "a fox"),
    row("**a fox** - Image #2 <@1>", "a fox"),
    row("**a fox** - Image #2 @bob", "a fox"),
    row("**a fox** - Variations (Strong) by @bob (fast)", "a fox"),
    row("**a fox** - Variations (Strong) of image #3 by <@1>", "a fox"),
    row("**a fox** - Upscaled (Creative) by @bob (fast)", "a fox"),
    row("**a fox** - Zoom Out by <@1> (fast)", "a fox"),
    row("**a fox** - Drawn again by <@1>", "a fox"),
    row("**a fox** - Rerolled by <@1>", "a fox"),
    row("/imagine prompt: **a fox:: snow::.5** - @bob (turbo)", "a fox", ("snow", 0.5)),
    row(r"**a \*\*fox\*\*, snow\_white** - <@1> (fast)", "a fox, snow_white"),
    row(r"**std\\::vector, a\_b** - <@1> (fast)", "std::vector, a_b"),
    row("look at <https://example.org/a.png>", "look at https://example.org/a.png"),
]

ESCAPES = [
    row(r"a fox \--ar 3:2", "a fox --ar 3:2"),
    row(r"a fox \—ar", "a fox —ar"),
    row(r"\**bold\**", "**bold**"),
    row(r"\{a, b\}", "{a, b}"),
    row(r"\\", "\\"),
    row(r"one \\:: two", "one \\", "two"),
    row(r"\/imagine that", "/imagine that"),
    row(r"https\://example.org as text", "https://example.org as text"),
    row("ends with a \\", "ends with a \\"),
]

NEW = [
    row("a fox --chaos 0", "a fox"),
    row("a fox --chaos 50", "a fox", chaos=50),
    row("a fox --c 100", "a fox", chaos=100),
    row("a fox --c100", "a fox", chaos=100),
    row("a fox --stylize 0", "a fox", stylize=0),
    row("a fox --s 750", "a fox", stylize=750),
    row("a fox --s750", "a fox", stylize=750),
    row("a fox --s 1000", "a fox", stylize=1000),
    row("a fox --stylize=250", "a fox", stylize=250),
    row("a fox --weird 3000", "a fox", weird=3000),
    row("a fox --w 12", "a fox", weird=12),
    row("a fox --stop 10", "a fox", stop=10),
    row("a fox --stop 80", "a fox", stop=80),
    row("a fox --stop 100", "a fox"),
    row("a fox --tile", "a fox", seamless=True),
    row("a fox --TILE", "a fox", seamless=True),
    row("a fox --tile, --seed 4.", "a fox", seamless=True, seed=4),
    row("a fox --raw", "a fox", raw=True),
    row("a fox --style raw", "a fox", raw=True),
    row("a fox --style RAW --s 50", "a fox", raw=True, stylize=50),
    row("a fox --hd", "a fox", hd=True),
    row("a fox --sameseed", "a fox", same_seed=True),
    row("a fox --sameseed 9", "a fox", same_seed=True, seed=9),
    row("a fox --sameseed --seed 9", "a fox", same_seed=True, seed=9),
    row("a fox --draft", "a fox", draft=True, width=256, height=256, num_inference_steps=10),
    row("a fox --draft --ar 2:1", "a fox", draft=True, aspect=(2, 1), width=360, height=184, num_inference_steps=10),
    row("a fox --draft --q 2", "a fox", draft=True, width=256, height=256, num_inference_steps=20),
    row("a fox --draft --steps 30", "a fox", draft=True, width=256, height=256, num_inference_steps=30),
    row("a fox --steps 30 --draft", "a fox", draft=True, width=256, height=256, num_inference_steps=30),
    row("a fox --model storybook", "a fox"),
    row("a fox --v Storybook --seed 4", "a fox", seed=4),
    row("a fox --version story-book, --tile", "a fox", seamless=True),
    row("a fox --model Story Book --tile", "a fox", seamless=True),
    row("a fox --c 5 --s 50 --w 10 --q .5", "a fox", chaos=5, stylize=50, weird=10, num_inference_steps=10),
    row("a fox --tile --ar 1:1 --raw", "a fox", seamless=True, raw=True),
    row("a fox --raw --no snow --tile", "a fox", raw=True, no=("snow",), seamless=True),
    row("a fox --no snow --tile --no ice", "a fox", no=("snow", "ice"), seamless=True),
]

AUTOCORRECTED = [
    row("A fox —Tile", "A fox", seamless=True),
    row("A fox –tile —raw", "A fox", seamless=True, raw=True),
    row("A fox —S 750 —C 20", "A fox", stylize=750, chaos=20),
    row("A fox — s 750 — c 20", "A fox", stylize=750, chaos=20),
    row("A fox — stylize 750", "A fox", stylize=750),
    row("A fox —s750 —ar16:9", "A fox", stylize=750, aspect=(16, 9)),
    row("A fox —-tile", "A fox", seamless=True),
    row("A fox ——tile", "A fox", seamless=True),
    row("A fox\n—tile\n—ar 3:2", "A fox", seamless=True, aspect=(3, 2)),
    row("A fox\u00a0—tile", "A fox", seamless=True),
    row("A fox —ar 3:2.", "A fox", aspect=(3, 2)),
    row("A fox — tile it", "A fox — tile it"),
    row("A fox, —q .5", "A fox,", num_inference_steps=10),
    row("A fox —q 0,5", "A fox", num_inference_steps=10),
    row("A fox —Style Raw", "A fox", raw=True),
    row("A fox —Seed 5 —SameSeed", "A fox", same_seed=True, seed=5),
]

REAL = [
    row(
        "/imagine prompt: isometric clay fox village, soft light, blender --ar 16:9 --s 250 --c 10 --q 2",
        "isometric clay fox village, soft light, blender",
        aspect=(16, 9),
        stylize=250,
        chaos=10,
        num_inference_steps=40,
    ),
    row(
        "seamless pattern of tiny mushrooms, risograph, two colours --tile --s 50 --seed 42",
        "seamless pattern of tiny mushrooms, risograph, two colours",
        seamless=True,
        stylize=50,
        seed=42,
    ),
    row(
        "portrait of an old sailor :: oil painting ::2 —ar 2:3 —no text, frame —style raw",
        "portrait of an old sailor",
        ("oil painting", 2.0),
        aspect=(2, 3),
        no=("text", "frame"),
        raw=True,
    ),
    row(
        "**app icon, a paper boat, flat, gradient --ar 1:1 --stylize 50 --weird 250** - @ada (fast, stealth)",
        "app icon, a paper boat, flat, gradient",
        stylize=50,
        weird=250,
    ),
    row(
        "**brutalist library in the jungle, 35mm --ar 3:2 --chaos 40 --raw** - Variations (Strong) by <@99> (relaxed)",
        "brutalist library in the jungle, 35mm",
        aspect=(3, 2),
        chaos=40,
        raw=True,
    ),
    row(
        "storyboard: a girl finds a door in a tree; she opens it; light --ar 21:9 --draft",
        "storyboard: a girl finds a door in a tree; she opens it; light",
        aspect=(7, 3),
        draft=True,
        num_inference_steps=10,
        width=392,
        height=168,
    ),
    row(
        'logo for a bakery called "Brot & Butter", vector --no gradients --stop 90',
        'logo for a bakery called "Brot & Butter", vector',
        no=("gradients",),
        stop=90,
    ),
    row(
        "cinematic still, rain on a neon street, anamorphic --ar 2:1 --hd --s 400 --cfg 6",
        "cinematic still, rain on a neon street, anamorphic",
        aspect=(2, 1),
        hd=True,
        stylize=400,
        guidance_scale=6.0,
    ),
]

COPIED = [
    row("**a fox --tile** - <@1> (fast)", "a fox", seamless=True),
    row("**a fox** - Blended by <@1>", "a fox"),
    row(r"Blended by \<@1>", "Blended by <@1>"),
    row("<@1> as a knight", "<@1> as a knight"),
    row("**a fox** - Made square by @ada (fast)", "a fox"),
    row("**a fox** - Made square by @ada", "a fox"),
    row("a fox --ar 3:2 - Upscaled (Subtle) by @Bob (VIP) (fast)", "a fox", aspect=(3, 2)),
    row("a fox - Image #2 @Bob (he/him)", "a fox"),
    row("a mural - @bob (he/him) (relaxed)", "a mural"),
    row("/imagine: a fox --ar 3:2", "a fox", aspect=(3, 2)),
    row("/imagine prompt:: a fox", "a fox"),
    row("/imagine :) a happy fox", ":) a happy fox"),
    row("/imagine prompt:(a fox:1.2)", "(a fox:1.2)"),
    row("a mural - @banksy (2004)", "a mural - @banksy (2004)"),
    row("**a fox** - Pan Left by <@1>\n-# after a picture by <@2>", "a fox"),
    row("**a fox** - Upscaled (Creative, 4×) by @ada (relaxed)", "a fox"),
    row("**a fox** - Zoom Out (1.5×) by <@1> (fast, stealth)", "a fox"),
    row("**a fox** - Remix (Subtle) by <@1> [(fast)](<https://example.org>)", "a fox"),
    row("**a fox** - <@1> (Cancelled)", "a fox"),
    row("**a fox** - <@1>\nCancelled by <@1>.", "a fox"),
    row(r"**2\*3 \<3 \# a\_b** - <@1> (fast)", "2*3 <3 # a_b"),
    row("**2*3 = 6** - <@1> (fast)", "2*3 = 6"),
    row("**a fox --no \u2068ثلج\u2069** - <@1>", "a fox", no=("ثلج",)),
]

ALL = [*PLAIN, *SCRIPTS, *DASHES, *PARAMETERS, *WEIGHTS, *JUNK, *ESCAPES, *NEW, *AUTOCORRECTED, *REAL, *COPIED]


def test_a_prompt_is_parsed_into_its_parts_and_params():
    for typed, parts, changes in ALL:
        assert parse_params(typed, REGISTRY, new_seed=lambda: SEED) == expected(parts, changes), typed


@pytest.mark.parametrize(
    ("typed", "strength"),
    [
        ("a fox", 0.6),
        ("a fox --iw 1", 0.6),
        ("a fox --iw 0", 1.0),
        ("a fox --iw .5", 0.775),
        ("a fox --iw 2", 0.36),
        ("a fox —iw 3", 0.216),
    ],
)
def test_the_image_weight_sets_the_strength(typed, strength):
    params = parse_params(typed, REGISTRY, source=PICTURE)
    assert (params.source, params.strength) == (PICTURE, strength)


def expected(parts: list[tuple[str, float]], changes: dict[str, Any]) -> Params:
    """Return the params of a row, filled up with the model's defaults."""
    width, height = size_for(MODEL, changes.get("aspect", (1, 1)))
    values = {
        "seed": SEED,
        "num_inference_steps": 20,
        "guidance_scale": 7.0,
        "width": width,
        "height": height,
        "model": MODEL.name,
    }
    return Params(**values | {"parts": tuple(PromptPart(*part) for part in parts)} | changes)


AVAILABLE = "Available: `storybook`"
NO_PICTURE = "Cannot use `--iw` without a picture: attach one with the `image` option, or start with a link to one"

LINK_INSTEAD = "The nearest is `--cref` with a link to the picture, and `--cw`."
NOTHING_TO_DRAW = "Say what to draw: there is no text and no picture"

INVALID = [
    *(
        (typed, [NOTHING_TO_DRAW])
        for typed in ("", "   ", "::", "--ar 3:2", "--no trees", "--tile", "/imagine prompt:")
    ),
    *((typed, [NOTHING_TO_DRAW]) for typed in ("**** - Blended by <@1>", "Blended by <@1> (31%)")),
    ("a fox --aspct 3:2", ["Unrecognized parameter `--aspct`: did you mean `--aspect`?"]),
    ("a fox —aspct 3:2", ["Unrecognized parameter `--aspct`: did you mean `--aspect`?"]),
    ("a fox --sed 5", ["Unrecognized parameter `--sed`: did you mean `--seed`?"]),
    ("a fox --xyzzy", ["Unrecognized parameter `--xyzzy`"]),
    ("a fox --3d", ["Unrecognized parameter `--3d`"]),
    ("a fox --größe 5", ["Unrecognized parameter `--größe`"]),
    ("a fox --neg ugly", ["Unrecognized parameter `--neg`: did you mean `--negative`?"]),
    ("a fox --chaoss 5", ["Unrecognized parameter `--chaoss`: did you mean `--chaos`?"]),
    ("a fox --stylise 5", ["Unrecognized parameter `--stylise`: did you mean `--stylize`?"]),
    ("a fox --wierd 5", ["Unrecognized parameter `--wierd`: did you mean `--weird`?"]),
    ("a fox --tiled", ["Unrecognized parameter `--tiled`: did you mean `--tile`?"]),
    ("a fox --upbeta", ["Unrecognized parameter `--upbeta`"]),
    ("a fox --sref <>", ["`--sref` takes one picture, not `<>`"]),
    ("a fox --sref ＜＞", ["`--sref` takes one picture, not `＜＞`"]),
    ("a fox --vid", ["Unrecognized parameter `--vid`: did you mean `--video`?"]),
    *(
        (f"a fox {typed}", [f"`--{name}` is not available here yet. {LINK_INSTEAD}" for name in names.split()])
        for typed, names in [("--oref x --ow 50", "oref ow")]
    ),
    (
        "a fox --p p123456789 --profile abc",
        [
            f"`--{name}` is not available here yet. The nearest is a custom option of your own: `/prefer option set`."
            for name in ("p", "profile")
        ],
    ),
    (
        "a fox --oref https://example.org/f.png --sv 4",
        [
            f"`--oref` is not available here yet. {LINK_INSTEAD}",
            "`--sv` is not available here yet. The nearest is `--sref`, which has one version.",
        ],
    ),
    ("a fox --exp 25", ["`--exp` is not available here yet. The nearest are `--stylize` and `--weird`."]),
    *(
        (f"a fox --{name}", [f"`--{name}` is not available here yet: remove it"])
        for name in ("motion", "loop", "end", "bs")
    ),
    *(
        (f"a fox --{typed}", [f"Unrecognized parameter `--{typed.split()[0]}`: did you mean `--{meant}`?"])
        for typed, meant in [
            ("width 512", "ar"),
            ("height 512", "ar"),
            ("size 512x768", "ar"),
            ("cfg_scale 7", "cfg"),
            ("guidance_scale 7", "cfg"),
            ("num-inference-steps 20", "steps"),
            ("negative_prompt ugly", "negative"),
            ("sampler_name euler", "sampler"),
            ("sede 5", "seed"),
        ]
    ),
    *((f"a fox --{name} 3", [f"Unrecognized parameter `--{name}`"]) for name in ("wibble", "sparkle", "upbeta")),
    ("a fox --niji 7", [f"There is no model `--niji 7` here. {AVAILABLE}"]),
    ("a fox --v 7", [f"There is no model `--v 7` here. {AVAILABLE}"]),
    ("a fox --video 3", ["`--video` takes no value, but `3` comes after it"]),
    ("a fox --lora ink:0.8", ["There is no LoRA `ink`: none are installed here"]),
    ("a fox --v5", [f"There is no model `--v 5` here. {AVAILABLE}"]),
    ("a fox --v 6.1 --style raw", [f"There is no model `--v 6.1` here. {AVAILABLE}"]),
    ("a fox --model sdxl", [f"There is no model `sdxl` here. {AVAILABLE}"]),
    ("a fox --model", ["`--model` needs a value such as `storybook`"]),
    ("a fox --niji 6", [f"There is no model `--niji 6` here. {AVAILABLE}"]),
    ("a fox --niji", [f"There is no model `--niji` here. {AVAILABLE}"]),
    ("a fox --v storybook --model storybook", ["`--model` is given more than once"]),
    ("a fox --chaos 101", ["`--chaos` must be between 0 and 100"]),
    ("a fox --c -1", ["`--chaos` must be between 0 and 100"]),
    ("a fox --c", ["`--chaos` needs a value such as `25`"]),
    ("a fox --chaos high", ["`--chaos` must be a whole number between 0 and 100, not `high`"]),
    ("a fox --s 1001", ["`--stylize` must be between 0 and 1000"]),
    ("a fox --s --tile", ["`--stylize` needs a value such as `250`"]),
    ("a fox --stylize 2.5", ["`--stylize` must be a whole number between 0 and 1000, not `2.5`"]),
    ("a fox --weird 3001", ["`--weird` must be between 0 and 3000"]),
    ("a fox --stop 9", ["`--stop` must be between 10 and 100"]),
    ("a fox --stop 101", ["`--stop` must be between 10 and 100"]),
    ("a fox --r 1", ["`--repeat` must be between 2 and 40"]),
    ("a fox --repeat 41", ["`--repeat` must be between 2 and 40"]),
    ("a fox --tile 2", ["`--tile` takes no value, but `2` comes after it"]),
    ("a fox --tile in the snow --hd", ["`--tile` takes no value, but `in the snow` comes after it"]),
    ("a fox --fast please", ["`--fast` takes no value, but `please` comes after it"]),
    ("a fox --raw yes", ["`--raw` takes no value, but `yes` comes after it"]),
    ("a fox --tile --tile", ["`--tile` is given more than once"]),
    ("a fox --style", ["`--style` needs a value such as `raw`"]),
    ("a fox --style expressive", ["`--style` cannot be `expressive`: the only value is `raw`"]),
    ("a fox --raw --style raw", ["Cannot use `--raw` and `--style` together"]),
    ("a fox --draft --hd", ["Cannot use `--draft` and `--hd` together"]),
    ("a fox --fast --relax", ["Cannot use `--fast` and `--relax` together"]),
    (
        "a fox --turbo --relax --fast",
        ["Cannot use `--turbo` and `--relax` together", "Cannot use `--turbo` and `--fast` together"],
    ),
    ("a fox --stealth --public", ["Cannot use `--stealth` and `--public` together"]),
    ("a fox --sameseed 5 --seed 5", ["Cannot use `--sameseed` and `--seed` together"]),
    ("a fox --sameseed x", ["`--sameseed` must be a whole number between 0 and 4294967295, not `x`"]),
    (
        "a fox --tile--raw",
        ["Put a space before `--raw`", "`--tile` takes no value, but `--raw` comes after it"],
    ),
    ("a fox --ar", ["`--ar` needs a value such as `3:2`"]),
    ("a fox --aspect --seed 5", ["`--ar` needs a value such as `3:2`"]),
    ("a fox --seed ,", ["`--seed` needs a value such as `1234`"]),
    ("a fox --no", ["`--no` needs a value such as `text, people`"]),
    ("a fox --no , ,", ["`--no` needs at least one item"]),
    ("a fox --no --ar 3:2", ["`--no` needs a value such as `text, people`"]),
    ("a fox --sampler", ["`--sampler` needs a value such as `euler_a`"]),
    ("a fox --ar wide", ["`--ar` must be two whole numbers such as `3:2`, not `wide`"]),
    ("a fox --ar 0:1", ["`--ar` must be two whole numbers such as `3:2`, not `0:1`"]),
    ("a fox --ar 1.5:1", ["`--ar` must be two whole numbers such as `3:2`, not `1.5:1`"]),
    ("a fox --ar -3:2", ["`--ar` must be two whole numbers such as `3:2`, not `-3:2`"]),
    ("a fox --ar 4:1", ["`--ar` must be between 1:3 and 3:1 with this model"]),
    ("a fox --ar 1:100000", ["`--ar` must be between 1:3 and 3:1 with this model"]),
    ("a fox --ar 3:2 --aspect 2:3", ["`--ar` is given more than once"]),
    ("a fox --seed -1", ["`--seed` must be between 0 and 4294967295"]),
    ("a fox --seed 4294967296", ["`--seed` must be between 0 and 4294967295"]),
    ("a fox --seed abc", ["`--seed` must be a whole number between 0 and 4294967295, not `abc`"]),
    ("a fox --seed 1.5", ["`--seed` must be a whole number between 0 and 4294967295, not `1.5`"]),
    ("a fox --seed a`b", ["`--seed` must be a whole number between 0 and 4294967295, not `aˋb`"]),
    ("a fox --steps 0", ["`--steps` must be between 1 and 150"]),
    ("a fox --steps 151", ["`--steps` must be between 1 and 150"]),
    ("a fox --steps " + "9" * 900, ["`--steps` must be between 1 and 150"]),
    ("a fox --cfg 31", ["`--cfg` must be between 0 and 30"]),
    ("a fox --cfg nan", ["`--cfg` must be a number between 0 and 30, not `nan`"]),
    ("a fox --cfg 1e3", ["`--cfg` must be a number between 0 and 30, not `1e3`"]),
    ("a fox --q 0", ["`--quality` must be one of 0.25, 0.5, 1, 2, 4, not `0`"]),
    ("a fox --q high", ["`--quality` must be one of 0.25, 0.5, 1, 2, 4, not `high`"]),
    ("a fox --q 2 --steps 9", ["Cannot use `--quality` and `--steps` together"]),
    ("a fox --sampler eulr", ["`--sampler` cannot be `eulr`: did you mean `euler`?"]),
    (
        "a fox --sampler fast",
        [f"`--sampler` cannot be `fast`: use one of {', '.join(f'`{each}`' for each in SAMPLERS)}"],
    ),
    ("a fox --iw 2", [NO_PICTURE]),
    ("a fox --iw 4", ["`--iw` must be between 0 and 3"]),
    ("a fox --ar 3:2 in snow", ["Move `in snow` before the parameters: it comes after `--ar`"]),
    ("--ar 3:2 a fox", ["Move `a fox` before the parameters: it comes after `--ar`", NOTHING_TO_DRAW]),
    ("a fox--ar 3:2", ["Put a space before `--ar`"]),
    ("a::-1 b", ["The weights after `::` must add up to more than 0; here they add up to 0"]),
    ("a::-2 b", ["The weights after `::` must add up to more than 0; here they add up to -1"]),
    ("a::0", ["The weights after `::` must add up to more than 0; here they add up to 0"]),
    ("a::1001 b", ["A weight after `::` must be between -1000 and 1000"]),
    ("a:: " * 17, ["A prompt can have at most 16 parts, `--no` items included; this one has 17"]),
    ("fox --no " + "a," * 16, ["A prompt can have at most 16 parts, `--no` items included; this one has 17"]),
    ("a {red, blue} fox", ["Choices such as `{red, blue}` do not work here: for a plain brace, type `\\{`"]),
    ("a fox --ar {3:2, 1:1}", ["Choices such as `{3:2, 1:1}` do not work here: for a plain brace, type `\\{`"]),
    ("x" * 6001, ["A prompt can have at most 6000 characters; this one has 6001"]),
    (
        "hot:: dog::-1 --aspct 3:2 --ar --steps 200 --cfg warm --loop --iw 1",
        [
            "Unrecognized parameter `--aspct`: did you mean `--aspect`?",
            "`--ar` needs a value such as `3:2`",
            "`--steps` must be between 1 and 150",
            "`--cfg` must be a number between 0 and 30, not `warm`",
            "`--loop` is not available here yet: remove it",
            "The weights after `::` must add up to more than 0; here they add up to 0",
            NO_PICTURE,
        ],
    ),
]


def test_all_problems_of_a_prompt_are_reported_together():
    for typed, problems in INVALID:
        with pytest.raises(PromptError) as caught:
            parse_params(typed, REGISTRY)
        assert list(caught.value.problems) == problems, typed


def test_the_aspect_limit_is_the_models():
    square_only = ModelRegistry((Model(name="m", ref="m", max_aspect=1.0),))
    narrow = ModelRegistry((Model(name="m", ref="m", max_aspect=2.5),))
    assert parse_params("a fox --ar 5:2", narrow).aspect == (5, 2)
    with pytest.raises(PromptError, match="between 2:5 and 5:2 with this model"):
        parse_params("a fox --ar 26:10", narrow)
    with pytest.raises(PromptError, match="between 1:1 and 1:1 with this model"):
        parse_params("a fox --ar 3:2", square_only)
