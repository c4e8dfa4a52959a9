"""The taught words in other languages, for captions and for the vocabulary in atelier.json."""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.subjects import Subject


@dataclass(frozen=True)
class Language:
    """The words of a language, and how it joins a colour, a thing and a place.

    Each row has the forms of one word, separated by `/`; `joiners` may stand before a place, a time or the weather.
    """

    words: dict[str, str]
    articles: tuple[str, ...]
    joiners: tuple[str, ...]
    colour_first: bool = True
    separator: str = " "
    thing_last: bool = False

    def forms(self, word: str) -> tuple[str, ...]:
        """Return the forms of a word, or none."""
        return tuple(self.words[word].split("/")) if word in self.words else ()


def translated_caption(subject: Subject, rng: random.Random, *, all_named: bool = False) -> str:
    """Return a caption in a random language that has a word for everything in the subject, or an empty one.

    Unless everything must be named, the colour is sometimes left out.
    """
    asked = {kind: word for kind, word in subject.words() if kind not in ("finish", "style") and word != "clear"}
    able = [language for language in LANGUAGES.values() if all(word in language.words for word in asked.values())]
    if not able or not asked:
        return ""
    language = rng.choice(able)
    phrases = {kind: rng.choice(language.forms(word)) for kind, word in asked.items()}
    if phrases.get("time") and asked["time"] == "day" and rng.random() < 0.8:
        del phrases["time"]
    if not all_named and rng.random() < 0.15:
        phrases.pop("colour", None)
    return _joined(phrases, language, rng) or ""


def _joined(phrases: dict[str, str], language: Language, rng: random.Random) -> str:
    pair = (phrases.get("colour", ""), phrases.get("thing", ""))
    noun = language.separator.join(part for part in (pair if language.colour_first else pair[::-1]) if part)
    if noun and language.articles and rng.random() < 0.5:
        noun = f"{rng.choice(language.articles)} {noun}"
    rest = [
        f"{rng.choice(language.joiners)}{phrases[kind]}"
        for kind in ("background", "place", "time", "weather")
        if kind in phrases
    ]
    parts = [*rest, noun] if language.thing_last else [noun, *rest]
    between = rng.choice((language.separator, language.separator, ", "))
    return between.join(part for part in parts if part)


GERMAN = Language(
    {
        "red": "rot/rotes/rote/roter/roten", "orange": "orange/oranges", "yellow": "gelb/gelbes/gelbe/gelber/gelben",
        "green": "grün/grünes/grüne/grüner/grünen", "blue": "blau/blaues/blaue/blauer/blauen",
        "purple": "lila/violett/violettes", "pink": "rosa/pinkes/pinke", "white": "weiß/weißes/weiße/weißer/weißen",
        "black": "schwarz/schwarzes/schwarze/schwarzer/schwarzen", "teal": "türkis/türkises",
        "brown": "braun/braunes/braune/brauner/braunen", "grey": "grau/graues/graue/grauer/grauen",
        "castle": "Schloss/Burg", "house": "Haus/Häuschen", "tree": "Baum", "boat": "Boot/Schiff/Segelboot",
        "balloon": "Ballon/Heißluftballon", "rocket": "Rakete/Raumschiff", "fish": "Fisch", "heart": "Herz",
        "mushroom": "Pilz/Fliegenpilz", "ghost": "Gespenst/Geist", "lighthouse": "Leuchtturm", "planet": "Planet",
        "pine": "Tanne/Tannenbaum/Weihnachtsbaum", "flower": "Blume/Blüte", "car": "Auto/Wagen",
        "windmill": "Windmühle/Mühle", "cat": "Katze/Kater/Kätzchen", "dog": "Hund/Welpe", "fox": "Fuchs",
        "rabbit": "Hase/Kaninchen/Häschen", "bear": "Bär/Teddy", "owl": "Eule", "bird": "Vogel", "horse": "Pferd",
        "unicorn": "Einhorn", "whale": "Wal", "dragon": "Drache", "butterfly": "Schmetterling", "robot": "Roboter",
        "astronaut": "Astronaut", "wizard": "Zauberer", "knight": "Ritter", "snowman": "Schneemann",
        "meadow": "Wiese/Blumenwiese", "hills": "Hügel/Hügeln", "mountains": "Berge/Bergen/Gebirge",
        "forest": "Wald", "sea": "Meer/Ozean", "lake": "See", "beach": "Strand", "desert": "Wüste", "snow": "Schnee",
        "city": "Stadt", "space": "Weltraum/Weltall/All", "under water": "unter Wasser",
        "day": "Tag", "sunset": "Sonnenuntergang/Abend", "night": "Nacht/nachts",
        "dawn": "Sonnenaufgang/Morgen", "golden hour": "goldenes Licht",
        "clouds": "Wolken", "rain": "Regen", "snowfall": "Schneefall", "fog": "Nebel", "stars": "Sterne/Sternen",
        "moon": "Mond", "sun": "Sonne",
    },
    ("ein", "eine", "der", "die", "das"), ("", "im ", "in der ", "auf dem ", "am ", "bei ", "mit "),
)  # fmt: skip
FRENCH = Language(
    {
        "red": "rouge", "orange": "orange", "yellow": "jaune", "green": "vert/verte", "blue": "bleu/bleue",
        "purple": "violet/violette", "pink": "rose", "white": "blanc/blanche", "black": "noir/noire",
        "teal": "turquoise", "brown": "marron/brun/brune", "grey": "gris/grise",
        "castle": "château", "house": "maison", "tree": "arbre", "boat": "bateau/voilier", "balloon": "montgolfière",
        "rocket": "fusée", "fish": "poisson", "heart": "cœur", "mushroom": "champignon", "ghost": "fantôme",
        "lighthouse": "phare", "planet": "planète", "pine": "sapin/pin", "flower": "fleur", "car": "voiture",
        "windmill": "moulin", "cat": "chat/chaton", "dog": "chien/chiot", "fox": "renard", "rabbit": "lapin",
        "bear": "ours/ourson", "owl": "hibou/chouette", "bird": "oiseau", "horse": "cheval", "unicorn": "licorne",
        "whale": "baleine", "dragon": "dragon", "butterfly": "papillon", "robot": "robot", "astronaut": "astronaute",
        "wizard": "magicien/sorcier", "knight": "chevalier", "snowman": "bonhomme de neige",
        "meadow": "prairie/pré", "hills": "collines", "mountains": "montagnes/montagne", "forest": "forêt/bois",
        "sea": "mer/océan", "lake": "lac", "beach": "plage", "desert": "désert", "snow": "neige",
        "city": "ville", "space": "espace", "under water": "sous l'eau",
        "day": "jour", "sunset": "coucher de soleil/soir", "night": "nuit", "dawn": "aube/lever du soleil",
        "golden hour": "heure dorée", "clouds": "nuages", "rain": "pluie", "snowfall": "chute de neige",
        "fog": "brouillard/brume", "stars": "étoiles", "moon": "lune", "sun": "soleil",
    },
    ("un", "une", "le", "la"), ("", "dans la ", "sur la ", "au ", "à la ", "sous la ", "avec "), colour_first=False,
)  # fmt: skip
SPANISH = Language(
    {
        "red": "rojo/roja", "orange": "naranja", "yellow": "amarillo/amarilla", "green": "verde", "blue": "azul",
        "purple": "morado/morada/violeta", "pink": "rosa", "white": "blanco/blanca", "black": "negro/negra",
        "teal": "turquesa", "brown": "marrón/café", "grey": "gris",
        "castle": "castillo", "house": "casa", "tree": "árbol", "boat": "barco/bote/velero",
        "balloon": "globo", "rocket": "cohete", "fish": "pez", "heart": "corazón", "mushroom": "seta/hongo",
        "ghost": "fantasma", "lighthouse": "faro", "planet": "planeta", "pine": "pino/abeto", "flower": "flor",
        "car": "coche/carro", "windmill": "molino", "cat": "gato/gatito", "dog": "perro/perrito", "fox": "zorro",
        "rabbit": "conejo", "bear": "oso/osito", "owl": "búho/lechuza", "bird": "pájaro/ave", "horse": "caballo",
        "unicorn": "unicornio", "whale": "ballena", "dragon": "dragón", "butterfly": "mariposa", "robot": "robot",
        "astronaut": "astronauta", "wizard": "mago", "knight": "caballero", "snowman": "muñeco de nieve",
        "meadow": "prado/pradera", "hills": "colinas", "mountains": "montañas/montaña", "forest": "bosque",
        "sea": "mar/océano", "lake": "lago", "beach": "playa", "desert": "desierto", "snow": "nieve",
        "city": "ciudad", "space": "espacio", "under water": "bajo el agua",
        "day": "día", "sunset": "atardecer/puesta de sol", "night": "noche", "dawn": "amanecer",
        "golden hour": "hora dorada", "clouds": "nubes", "rain": "lluvia", "snowfall": "nevada",
        "fog": "niebla", "stars": "estrellas", "moon": "luna", "sun": "sol",
    },
    ("un", "una", "el", "la"), ("", "en el ", "en la ", "de ", "con ", "al "), colour_first=False,
)  # fmt: skip
ITALIAN = Language(
    {
        "red": "rosso/rossa", "orange": "arancione", "yellow": "giallo/gialla", "green": "verde", "blue": "blu",
        "purple": "viola", "pink": "rosa", "white": "bianco/bianca", "black": "nero/nera", "teal": "turchese",
        "brown": "marrone", "grey": "grigio/grigia",
        "castle": "castello", "house": "casa", "tree": "albero", "boat": "barca/nave", "balloon": "mongolfiera",
        "rocket": "razzo", "fish": "pesce", "heart": "cuore", "mushroom": "fungo", "ghost": "fantasma",
        "lighthouse": "faro", "planet": "pianeta", "pine": "pino/abete", "flower": "fiore", "car": "macchina",
        "windmill": "mulino", "cat": "gatto/gattino", "dog": "cane/cagnolino", "fox": "volpe", "rabbit": "coniglio",
        "bear": "orso", "owl": "gufo", "bird": "uccello", "horse": "cavallo", "unicorn": "unicorno",
        "whale": "balena", "dragon": "drago", "butterfly": "farfalla", "robot": "robot", "astronaut": "astronauta",
        "wizard": "mago", "knight": "cavaliere", "snowman": "pupazzo di neve",
        "meadow": "prato", "hills": "colline", "mountains": "montagne/montagna", "forest": "foresta/bosco",
        "sea": "mare/oceano", "lake": "lago", "beach": "spiaggia", "desert": "deserto", "snow": "neve",
        "city": "città", "space": "spazio", "under water": "sott'acqua",
        "day": "giorno", "sunset": "tramonto", "night": "notte", "dawn": "alba", "golden hour": "luce dorata",
        "clouds": "nuvole", "rain": "pioggia", "snowfall": "nevicata", "fog": "nebbia", "stars": "stelle",
        "moon": "luna", "sun": "sole",
    },
    ("un", "una", "il", "la"), ("", "nel ", "sul ", "al ", "di ", "con "), colour_first=False,
)  # fmt: skip
PORTUGUESE = Language(
    {
        "red": "vermelho/vermelha", "orange": "laranja", "yellow": "amarelo/amarela", "green": "verde", "blue": "azul",
        "purple": "roxo/roxa", "pink": "rosa", "white": "branco/branca", "black": "preto/preta", "teal": "turquesa",
        "brown": "marrom/castanho", "grey": "cinza",
        "castle": "castelo", "house": "casa", "tree": "árvore", "boat": "barco/navio", "balloon": "balão",
        "rocket": "foguete", "fish": "peixe", "heart": "coração", "mushroom": "cogumelo", "ghost": "fantasma",
        "lighthouse": "farol", "planet": "planeta", "pine": "pinheiro", "flower": "flor", "car": "carro",
        "windmill": "moinho", "cat": "gato/gatinho", "dog": "cachorro/cão", "fox": "raposa", "rabbit": "coelho",
        "bear": "urso", "owl": "coruja", "bird": "pássaro", "horse": "cavalo", "unicorn": "unicórnio",
        "whale": "baleia", "dragon": "dragão", "butterfly": "borboleta", "robot": "robô", "astronaut": "astronauta",
        "wizard": "mago/bruxo", "knight": "cavaleiro", "snowman": "boneco de neve",
        "meadow": "prado", "hills": "colinas", "mountains": "montanhas/montanha", "forest": "floresta/bosque",
        "sea": "mar/oceano", "lake": "lago", "beach": "praia", "desert": "deserto", "snow": "neve",
        "city": "cidade", "space": "espaço", "under water": "debaixo d'água",
        "day": "dia", "sunset": "pôr do sol", "night": "noite", "dawn": "amanhecer/nascer do sol",
        "golden hour": "hora dourada", "clouds": "nuvens", "rain": "chuva", "snowfall": "nevando", "fog": "neblina",
        "stars": "estrelas", "moon": "lua", "sun": "sol",
    },
    ("um", "uma", "o", "a"), ("", "no ", "na ", "ao ", "de ", "com "), colour_first=False,
)  # fmt: skip
JAPANESE = Language(
    {
        "red": "赤い", "orange": "オレンジ色の/オレンジの", "yellow": "黄色い/黄色の", "green": "緑の/緑色の",
        "blue": "青い", "purple": "紫の/紫色の", "pink": "ピンクの", "white": "白い", "black": "黒い", "teal": "青緑の",
        "brown": "茶色の/茶色い", "grey": "灰色の/グレーの",
        "castle": "城/お城", "house": "家", "tree": "木", "boat": "船/ボート/ヨット", "balloon": "気球",
        "rocket": "ロケット/宇宙船", "fish": "魚", "heart": "ハート", "mushroom": "キノコ/きのこ",
        "ghost": "おばけ/幽霊", "lighthouse": "灯台", "planet": "惑星", "pine": "松/もみの木", "flower": "花",
        "car": "車", "windmill": "風車", "cat": "猫/ネコ/ねこ/子猫", "dog": "犬/イヌ/子犬", "fox": "狐/キツネ/きつね",
        "rabbit": "兎/ウサギ/うさぎ", "bear": "熊/クマ/くま", "owl": "フクロウ/ふくろう", "bird": "鳥/小鳥",
        "horse": "馬", "unicorn": "ユニコーン", "whale": "クジラ/鯨/くじら", "dragon": "ドラゴン/竜/龍",
        "butterfly": "蝶/ちょう", "robot": "ロボット", "astronaut": "宇宙飛行士", "wizard": "魔法使い",
        "knight": "騎士", "snowman": "雪だるま",
        "meadow": "草原/野原", "hills": "丘", "mountains": "山/山々", "forest": "森", "sea": "海", "lake": "湖",
        "beach": "浜辺/ビーチ/砂浜", "desert": "砂漠", "snow": "雪", "city": "街/都市/町", "space": "宇宙",
        "under water": "水中/海底", "day": "昼", "sunset": "夕日/夕焼け/夕方", "night": "夜", "dawn": "夜明け/朝",
        "golden hour": "黄金の光", "clouds": "雲", "rain": "雨", "snowfall": "降る雪", "fog": "霧",
        "stars": "星/星空", "moon": "月", "sun": "太陽",
    },
    (), ("",), separator="", thing_last=True,
)  # fmt: skip
CHINESE = Language(
    {
        "red": "红色的/红", "orange": "橙色的", "yellow": "黄色的/黄", "green": "绿色的/绿", "blue": "蓝色的/蓝",
        "purple": "紫色的", "pink": "粉色的/粉红色的", "white": "白色的/白", "black": "黑色的/黑", "teal": "青色的",
        "brown": "棕色的", "grey": "灰色的",
        "castle": "城堡", "house": "房子/小屋", "tree": "树", "boat": "船/帆船/小船", "balloon": "热气球",
        "rocket": "火箭/飞船", "fish": "鱼", "heart": "爱心/心", "mushroom": "蘑菇", "ghost": "鬼/幽灵",
        "lighthouse": "灯塔", "planet": "行星", "pine": "松树/圣诞树", "flower": "花", "car": "汽车/车",
        "windmill": "风车", "cat": "猫/小猫", "dog": "狗/小狗", "fox": "狐狸", "rabbit": "兔子", "bear": "熊",
        "owl": "猫头鹰", "bird": "鸟/小鸟", "horse": "马", "unicorn": "独角兽", "whale": "鲸鱼/鲸", "dragon": "龙",
        "butterfly": "蝴蝶", "robot": "机器人", "astronaut": "宇航员", "wizard": "巫师/魔法师", "knight": "骑士",
        "snowman": "雪人",
        "meadow": "草地/草原", "hills": "山丘", "mountains": "山/高山", "forest": "森林", "sea": "大海/海",
        "lake": "湖", "beach": "海滩/沙滩", "desert": "沙漠", "snow": "雪地/雪", "city": "城市", "space": "太空/宇宙",
        "under water": "水下/海底", "day": "白天", "sunset": "日落/黄昏", "night": "夜晚/夜", "dawn": "日出/黎明",
        "golden hour": "金色的光", "clouds": "云", "rain": "雨", "snowfall": "下雪", "fog": "雾", "stars": "星星/星空",
        "moon": "月亮", "sun": "太阳",
    },
    (), ("", "在"), separator="", thing_last=True,
)  # fmt: skip
RUSSIAN = Language(
    {
        "red": "красный/красная/красное", "orange": "оранжевый/оранжевая", "yellow": "жёлтый/желтый/жёлтая",
        "green": "зелёный/зеленый/зелёная", "blue": "синий/синяя/голубой", "purple": "фиолетовый",
        "pink": "розовый/розовая", "white": "белый/белая/белое", "black": "чёрный/черный/чёрная",
        "teal": "бирюзовый", "brown": "коричневый", "grey": "серый/серая",
        "castle": "замок", "house": "дом/домик", "tree": "дерево", "boat": "лодка/корабль", "balloon": "воздушный шар",
        "rocket": "ракета", "fish": "рыба/рыбка", "heart": "сердце", "mushroom": "гриб", "ghost": "призрак/привидение",
        "lighthouse": "маяк", "planet": "планета", "pine": "ёлка/елка/сосна", "flower": "цветок", "car": "машина",
        "windmill": "мельница", "cat": "кот/кошка/котёнок", "dog": "собака/щенок", "fox": "лиса/лис",
        "rabbit": "кролик/заяц", "bear": "медведь/мишка", "owl": "сова", "bird": "птица", "horse": "лошадь/конь",
        "unicorn": "единорог", "whale": "кит", "dragon": "дракон", "butterfly": "бабочка", "robot": "робот",
        "astronaut": "космонавт", "wizard": "волшебник", "knight": "рыцарь", "snowman": "снеговик",
        "meadow": "луг/поле", "hills": "холмы", "mountains": "горы/гора", "forest": "лес/лесу", "sea": "море",
        "lake": "озеро", "beach": "пляж", "desert": "пустыня", "snow": "снег/снегу", "city": "город/городе",
        "space": "космос/космосе", "under water": "под водой", "day": "день", "sunset": "закат/вечер",
        "night": "ночь/ночью", "dawn": "рассвет/утро", "golden hour": "золотой свет", "clouds": "облака",
        "rain": "дождь", "snowfall": "снегопад", "fog": "туман", "stars": "звёзды/звезды", "moon": "луна",
        "sun": "солнце",
    },
    (), ("", "в ", "на ", "с "),
)  # fmt: skip
LANGUAGES: dict[str, Language] = {
    "de": GERMAN, "fr": FRENCH, "es": SPANISH, "it": ITALIAN, "pt": PORTUGUESE, "ja": JAPANESE, "zh": CHINESE,
    "ru": RUSSIAN,
}  # fmt: skip
