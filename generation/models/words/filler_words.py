"""Words of prompts that ask for nothing in particular: grammar, praise, and words for the picture itself."""

from __future__ import annotations

_ENGLISH = """
a an the this that these those some any each every all both
one and or but of in on at by to from with without into onto over under above below between behind before after
near next beside besides inside outside around among amongst amid across through along against towards up down
off out as like so too very really quite just only also more most much many lot lots few i me my mine we us our
you your he him his she her it its they them their who whose which what where when there here is are was were be
been being am has have had do does did can could will would should may might must let lets get got please hello
hi hey want wants need draw drawing drawn draws paint painted painting paintings show showing shown make making
made create created generate generated imagine imagined give put see seeing look looks looking stand standing
something anything thing things kind sort type way style styles styled beautiful pretty cute nice lovely cool
amazing awesome stunning gorgeous epic fantastic great good best better perfect wonderful incredible magnificent
breathtaking majestic elegant charming adorable sweet happy funny friendly magical magic mysterious mystical
dreamy dreamlike whimsical cozy cosy peaceful calm quiet serene lonely single fantasy fairytale little small
tiny big large huge giant great tall old young new simple plain minimal minimalist minimalistic round bright
dark light lighting lit soft warm cold glowing colorful colourful color colour colors colours vibrant vivid rich
detailed detail details intricate highly high ultra hyper super extremely insanely extra masterpiece
masterpieces quality resolution res hd uhd fhd hdr hq sharp sharpness focus focused crisp clean clear smooth
professional award winning awarded trending artstation deviantart pixiv behance cgsociety unreal engine octane
render rendered rendering raytracing realistic realism photorealistic hyperrealistic photoreal cinematic
dramatic composition atmosphere atmospheric volumetric ambient art artwork artistic artist picture pictures pic
image images illustration illustrations illustrated sketch photo photos photograph photography wallpaper
background backgrounds backdrop foreground scene scenery view landscape concept digital aesthetic storybook book
children childrens kids closeup close shot wide angle centered centred full frame flat design k wall walls
version set
"""
_GERMAN = """
der die das den dem des ein eine einen einem einer eines und oder aber mit ohne im in ins am an ans auf aus bei
beim vom von zu zum zur über unter vor hinter neben zwischen durch um für als wie so sehr ganz viel viele mehr
nur auch noch nicht ich mir mich mein meine du dein er sie es wir ihr ist sind war sein hat haben wird zeichne
zeichnen male malen zeig zeige mach mache bitte bild bilder zeichnung gemälde foto illustration stil schön
schöne schöner schönes schönen hübsch hübsche süß süße süßer süßes niedlich niedliche niedlicher niedliches toll
tolle groß große großer großes großen klein kleine kleiner kleines kleinen alt alte alter altes neu neue neuer
neues hell helle dunkel dunkle bunt bunte detailliert hintergrund wand farbe farben landschaft magisch magische
magischer magisches märchenhaft märchenhafte
"""
_FRENCH = """
un une le la les l du de des d et ou mais avec sans dans sur sous au aux à en par pour chez vers près devant
derrière entre comme très plus peu tout tous toute mon ma mes ton ta son sa ses notre votre leur je me moi tu il
elle nous vous est sont était a ont qui que dessine dessiner dessin peins peinture image photo illustration
style fais montre belle beau beaux bel joli jolie mignon mignonne petit petite petits grand grande gros grosse
vieux vieille magnifique superbe magique fond couleur couleurs paysage détaillé
"""
_SPANISH = """
un una unos unas el la los las lo del de al a y e o u pero con sin en sobre bajo por para desde hasta entre
cerca junto ante tras como muy más mucho mi mis tu su sus yo me nosotros es son está están que quien dibuja
dibujar dibujo pinta pintura imagen foto ilustración estilo haz muestra hermoso hermosa bonito bonita lindo
linda bello bella pequeño pequeña grande gran viejo vieja mágico mágica fondo color colores paisaje detallado
"""
_ITALIAN = """
un uno una il lo la gli i le l del dello della dei degli delle di d da dal dalla al allo alla ai agli alle a nel
nello nella nei nelle in su sul sullo sulla con senza per tra fra sotto sopra vicino come molto più e ed o ma
mio mia suo sua è sono che chi disegna disegno dipingi immagine foto illustrazione stile bello bella bellissimo
bellissima carino carina piccolo piccola grande vecchio vecchia magico magica sfondo colore colori paesaggio
"""
_PORTUGUESE = """
um uma uns umas o os as do da dos das de no na nos nas ao aos à às em com sem por pelo pela para sob sobre entre
perto como muito mais e ou mas meu minha seu sua é são está que quem desenhe desenho pinte imagem foto
ilustração estilo lindo linda bonito bonita belo bela fofo fofa pequeno pequena grande velho velha mágico mágica
fundo cor cores paisagem
"""
_RUSSIAN = """
и или но в во на с со у к ко от до из за под над при по для о об без около между перед как очень самый мой моя
моё его её я ты мы это этот нарисуй рисуй рисунок картина картинка фото стиль красивый красивая красивое
маленький маленькая большой большая милый милая старый старая фон фоне цвет
"""
_DUTCH = """
een het de en of met zonder in op aan bij onder boven voor achter naast naar mooie mooi lief schattig klein
kleine groot grote teken tekening foto stijl
"""
_POLISH = "i w we na z ze pod nad przy obok do od za jak bardzo piękny piękna ładny ładna mały mała duży duża narysuj"

FILLER_WORDS = frozenset(
    " ".join((_ENGLISH, _GERMAN, _FRENCH, _SPANISH, _ITALIAN, _PORTUGUESE, _RUSSIAN, _DUTCH, _POLISH)).split()
)
# Japanese and Chinese write no spaces: what may stand between two words, the longest first.
FILLER_CHARACTERS = (
    "かわいい", "きれいな", "美しい", "小さな", "小さい", "大きな", "大きい", "イラスト", "とても", "にある", "がいる",
    "可爱的", "漂亮的", "美丽的", "一只", "一个", "一座", "一艘", "一条", "一幅", "旁边", "背景", "から", "まで",
    "的", "在", "里", "上", "中", "下", "和", "与", "小", "大",
    "の", "に", "が", "と", "で", "は", "を", "へ", "な", "い", "も", "や",
)  # fmt: skip
