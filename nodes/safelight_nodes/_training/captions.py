"""The caption language: style, subject and background as a person would type them, drawn at random.

A prompt that names no background means a white one; a prompt that names no style is mostly a 3d picture.
Everything is a pure function of the random generator it is given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

STYLES = ("3d", "flat", "drawn")
"""Index = style number: Fluent 3D, Fluent flat, Noto."""

# How often a caption says its style. The one that is rarely said becomes what an unmarked prompt means.
STYLE_NAMED = (0.45, 0.85, 0.85)

STYLE_WORDS: tuple[tuple[str, ...], ...] = (
    ("3d", "3d", "3d", "glossy 3d", "3d render of", "3d icon of"),
    ("flat", "flat", "flat", "flat icon of", "vector", "flat design"),
    ("drawn", "drawn", "drawn", "drawing of", "cartoon", "hand drawn"),
)

# Name -> red, green, blue in 0..255. The first of the synonyms is the canonical name.
PALETTE: dict[tuple[str, ...], tuple[int, int, int]] = {
    ("white",): (252, 252, 252),
    ("black",): (18, 18, 20),
    ("grey", "gray"): (130, 130, 132),
    ("light grey", "light gray"): (205, 205, 208),
    ("red",): (220, 40, 40),
    ("dark red", "maroon"): (122, 20, 35),
    ("orange",): (245, 140, 30),
    ("yellow",): (250, 215, 50),
    ("gold", "golden"): (212, 165, 40),
    ("beige", "cream"): (240, 225, 190),
    ("brown",): (130, 85, 50),
    ("green",): (55, 165, 70),
    ("light green", "mint"): (160, 228, 160),
    ("dark green",): (18, 80, 45),
    ("teal", "turquoise"): (20, 150, 145),
    ("cyan", "aqua"): (70, 212, 232),
    ("light blue", "sky blue"): (150, 205, 245),
    ("blue",): (45, 100, 220),
    ("dark blue", "navy", "navy blue"): (22, 34, 95),
    ("purple", "violet"): (125, 55, 178),
    ("lavender", "light purple"): (200, 180, 240),
    ("pink",): (250, 150, 190),
    ("magenta", "hot pink"): (218, 40, 150),
}
COLOURS = tuple(names[0] for names in PALETTE)

# Words people type for a subject whose official name is another.
EVERYDAY: dict[str, tuple[str, ...]] = {
    "red_apple": ("apple", "red apple", "apple"),
    "automobile": ("car", "red car", "car"),
    "racing_car": ("race car", "racing car"),
    "sport_utility_vehicle": ("suv", "blue car", "jeep"),
    "deciduous_tree": ("tree", "green tree", "tree"),
    "evergreen_tree": ("pine tree", "fir tree", "evergreen tree"),
    "grinning_face": ("smiling face", "happy face", "smiley", "emoji"),
    "slightly_smiling_face": ("smiling face", "smiley", "smile"),
    "smiling_face_with_smiling_eyes": ("smiling face", "happy face"),
    "smiling_face_with_sunglasses": ("cool face", "face with sunglasses"),
    "smiling_face_with_heart_eyes": ("face in love", "face with heart eyes"),
    "frowning_face": ("sad face", "frowning face"),
    "crying_face": ("crying face", "sad face"),
    "loudly_crying_face": ("crying face",),
    "enraged_face": ("angry red face", "furious face"),
    "angry_face": ("angry face",),
    "sleeping_face": ("sleeping face", "sleepy face"),
    "face_with_tears_of_joy": ("laughing face",),
    "cat": ("cat", "kitty"),
    "cat_face": ("cat", "cat head", "kitten"),
    "dog": ("dog", "puppy"),
    "dog_face": ("dog", "dog head", "puppy"),
    "mouse_face": ("mouse", "mouse head"),
    "rabbit_face": ("rabbit", "bunny"),
    "rabbit": ("rabbit", "bunny"),
    "horse_face": ("horse head",),
    "pig_face": ("pig", "pig head"),
    "cow_face": ("cow head",),
    "tiger_face": ("tiger head",),
    "monkey_face": ("monkey head",),
    "frog": ("frog", "green frog", "toad"),
    "lady_beetle": ("ladybug", "ladybird", "beetle"),
    "honeybee": ("bee", "honey bee"),
    "bear": ("bear", "brown bear"),
    "lion": ("lion",),
    "spouting_whale": ("whale", "spouting whale"),
    "front_facing_baby_chick": ("chick", "baby chick"),
    "t_rex": ("dinosaur", "tyrannosaurus", "t-rex"),
    "sauropod": ("long neck dinosaur", "brontosaurus"),
    "hamburger": ("burger", "hamburger"),
    "pizza": ("pizza", "slice of pizza", "pizza slice"),
    "soft_ice_cream": ("ice cream", "ice cream cone", "soft ice cream"),
    "shortcake": ("cake", "piece of cake"),
    "birthday_cake": ("birthday cake", "cake with candles"),
    "hot_beverage": ("coffee", "cup of coffee", "hot drink", "cup of tea"),
    "beer_mug": ("beer", "mug of beer"),
    "wine_glass": ("wine", "glass of wine"),
    "french_fries": ("fries", "chips"),
    "cooked_rice": ("bowl of rice", "rice"),
    "spaghetti": ("pasta", "spaghetti"),
    "ear_of_corn": ("corn",),
    "cheese_wedge": ("cheese", "piece of cheese"),
    "cooking": ("fried egg", "egg in a pan"),
    "grapes": ("grapes", "purple grapes"),
    "banana": ("banana", "yellow banana"),
    "tangerine": ("orange fruit", "tangerine", "mandarin"),
    "house": ("house", "home"),
    "house_with_garden": ("house with a tree", "house and garden"),
    "red_heart": ("heart", "red heart", "heart"),
    "star": ("star", "yellow star"),
    "sun": ("sun", "yellow sun"),
    "crescent_moon": ("moon", "crescent moon"),
    "tropical_fish": ("tropical fish", "colourful fish"),
    "fish": ("fish", "blue fish"),
    "blossom": ("yellow flower", "blossom"),
    "hibiscus": ("red flower", "hibiscus"),
    "cherry_blossom": ("pink flower", "cherry blossom"),
    "rose": ("rose", "red rose"),
    "tulip": ("tulip", "pink tulip"),
    "bicycle": ("bike", "bicycle"),
    "motorcycle": ("motorbike", "motorcycle"),
    "airplane": ("plane", "airplane", "aeroplane"),
    "locomotive": ("steam train", "steam engine", "train"),
    "sailboat": ("boat", "sailing boat", "sailboat"),
    "ship": ("ship", "big ship"),
    "articulated_lorry": ("truck", "lorry"),
    "delivery_truck": ("truck", "delivery van"),
    "flying_saucer": ("ufo", "flying saucer"),
    "fire": ("fire", "flame"),
    "droplet": ("drop of water", "water drop"),
    "light_bulb": ("lamp", "light bulb", "lightbulb"),
    "mobile_phone": ("phone", "smartphone", "mobile phone"),
    "laptop": ("laptop", "computer", "notebook computer"),
    "books": ("books", "stack of books", "pile of books"),
    "closed_book": ("book", "red book"),
    "wrapped_gift": ("gift", "present"),
    "soccer_ball": ("football", "soccer ball", "ball"),
    "jack_o_lantern": ("pumpkin", "halloween pumpkin"),
    "teddy_bear": ("teddy", "teddy bear"),
    "pile_of_poo": ("poop", "pile of poo"),
    "billed_cap": ("cap", "blue cap"),
    "woman_s_hat": ("sun hat",),
    "t_shirt": ("t-shirt", "tshirt", "shirt"),
    "wrench": ("wrench", "spanner"),
    "locked": ("padlock", "lock"),
    "umbrella": ("umbrella", "purple umbrella"),
    "snowman": ("snowman", "snow man"),
    "christmas_tree": ("christmas tree",),
    "television": ("tv", "television"),
    "couch_and_lamp": ("sofa", "couch"),
    "spider": ("spider",),
    "camera": ("camera", "photo camera"),
    "alarm_clock": ("alarm clock", "clock"),
    "crown": ("crown", "gold crown", "golden crown"),
    "gem_stone": ("diamond", "gem", "jewel"),
    "rocket": ("rocket", "space rocket", "spaceship"),
    "robot": ("robot", "robot head"),
    "ghost": ("ghost",),
    "snail": ("snail",),
    "butterfly": ("butterfly", "blue butterfly"),
    "turtle": ("turtle", "tortoise"),
    "owl": ("owl",),
    "penguin": ("penguin",),
    "elephant": ("elephant",),
    "guitar": ("guitar",),
    "mushroom": ("mushroom", "toadstool", "red mushroom"),
    "cactus": ("cactus",),
    "palm_tree": ("palm", "palm tree"),
    "strawberry": ("strawberry",),
    "doughnut": ("donut", "doughnut"),
    "cherries": ("cherries", "cherry"),
    "watermelon": ("watermelon", "slice of watermelon"),
    "carrot": ("carrot",),
    "duck": ("duck",),
    "fox": ("fox", "fox head"),
    "panda": ("panda", "panda head"),
    "unicorn": ("unicorn", "unicorn head"),
    "dragon": ("dragon", "green dragon"),
    "castle": ("castle",),
    "key": ("key",),
    "rainbow": ("rainbow",),
    "cloud": ("cloud", "white cloud"),
    "helicopter": ("helicopter",),
    "bus": ("bus",),
}

_PLURAL = re.compile(r"(s|jeans|glasses|dice)$")
_KEYWORD = re.compile(r"^[a-z][a-z \-]{2,18}$")


def plain_name(name: str) -> str:
    """The Unicode name as typed on a keyboard: straight quotes, no brackets, lower case."""
    name = name.replace("’", "'").replace("“", "").replace("”", "")
    return re.sub(r"\s+", " ", re.sub(r"[(),:!.#*]", " ", name)).strip().lower()


def rare_keywords(keywords: Mapping[str, Sequence[str]], most: int = 3) -> dict[str, list[str]]:
    """Per slug the keywords that at most ``most`` subjects share: others say too little to be drawn."""
    clean = {
        slug: sorted({w.replace("_", " ").lower() for w in words if _KEYWORD.match(w.replace("_", " ").lower())})
        for slug, words in keywords.items()
    }
    shared = Counter(word for words in clean.values() for word in words)
    return {slug: [w for w in words if shared[w] <= most] for slug, words in clean.items()}


def colour_names(colour: int) -> tuple[str, ...]:
    return list(PALETTE)[colour]


def draw_colour(rng: np.random.Generator, colour: int | None = None) -> tuple[int, tuple[int, int, int]]:
    """A palette number and its colour moved a little (at most 7 of 255 a channel; white stays light)."""
    if colour is None:
        colour = int(rng.integers(len(PALETTE)))
    base = np.array(list(PALETTE.values())[colour])
    moved = np.clip(base + rng.integers(-7, 8, 3), 0, 255) if colour else base + int(rng.integers(-2, 4))
    return colour, (int(moved[0]), int(moved[1]), int(moved[2]))


def _article(phrase: str, rng: np.random.Generator) -> str:
    if rng.random() < 0.5 or _PLURAL.search(phrase):
        return phrase
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def caption(
    rng: np.random.Generator,
    subject: Mapping[str, Sequence[str]],
    style: int,
    colour: int,
    explicit: bool = False,
) -> str:
    """One way of asking for the picture.

    ``subject`` holds ``names`` (official first) and ``keywords``; ``style`` and ``colour`` are numbers.
    With ``explicit`` the style and the background are both said. White is said one time in four. A negative style
    means a picture with captions of its own: one of its names, as it stands.
    """
    names, keywords = subject["names"], subject["keywords"]
    if style < 0:
        return names[int(rng.integers(len(names)))]
    if keywords and rng.random() < 0.15:
        phrase = keywords[int(rng.integers(len(keywords)))]
    elif len(names) > 1 and rng.random() < 0.5:
        phrase = names[1 + int(rng.integers(len(names) - 1))]
    else:
        phrase = names[0]

    if explicit or rng.random() < STYLE_NAMED[style]:
        words = STYLE_WORDS[style]
        word = words[int(rng.integers(len(words)))]
        phrase = f"{word} {_article(phrase, rng)}" if word.endswith(" of") else f"{word} {phrase}"
        said_style = True
    else:
        said_style = False
    phrase = _article(phrase, rng)
    if not said_style and rng.random() < 0.1:
        phrase = ("picture of ", "an image of ", "icon of ", "emoji of ")[int(rng.integers(4))] + phrase

    if explicit or colour != 0 or rng.random() < 0.25:
        options = colour_names(colour)
        said = options[0] if rng.random() < 0.6 else options[int(rng.integers(len(options)))]
        article = "an " if said[0] in "aeiou" else "a "
        forms = (
            f"{phrase}, {said} background",
            f"{phrase}, {said} background",
            f"{phrase} on {said}",
            f"{phrase} on {article}{said} background",
            f"{phrase}, {said} backdrop",
            f"{phrase} {said} background",
        )
        phrase = forms[int(rng.integers(len(forms)))]
    if rng.random() < 0.1:
        phrase = phrase[0].upper() + phrase[1:]
    return phrase
