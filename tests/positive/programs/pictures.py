"""Pillow and fontTools on files of the job's directory: runs under every policy."""

# mypy: ignore-errors
# Programs as jobs bring them: they are run, and not by this interpreter.

import io
import os

import matplotlib
import numpy as np
from fontTools import subset
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps, ImageSequence, ImageStat

_FONT = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


def _picture() -> Image.Image:
    ramp = np.linspace(0, 255, 64 * 48 * 3).reshape(48, 64, 3).astype("uint8")
    return Image.fromarray(ramp)


def check_formats() -> None:
    for suffix in ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "ico", "pdf", "tga", "jp2"):
        name = f"picture.{suffix}"
        _picture().save(name)
        if suffix != "pdf":
            with Image.open(name) as again:
                again.load()
                assert again.width == (48 if suffix == "ico" else 64) or suffix == "ico"


def check_filters() -> None:
    picture = _picture()
    for made in (
        picture.resize((32, 24), Image.Resampling.LANCZOS),
        picture.rotate(30, expand=True),
        picture.filter(ImageFilter.GaussianBlur(2)),
        picture.convert("L").filter(ImageFilter.FIND_EDGES),
        ImageOps.autocontrast(picture),
        ImageEnhance.Contrast(picture).enhance(1.5),
        ImageChops.difference(picture, picture),
        picture.quantize(16),
        picture.crop((1, 1, 9, 9)),
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ):
        made.tobytes()
    assert len(ImageStat.Stat(picture).mean) == 3
    assert picture.histogram()


def check_drawing() -> None:
    picture = Image.new("RGBA", (80, 40), "white")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((5, 5, 30, 30), fill="red", outline="black")
    pen.text((35, 5), "Ag", font=ImageFont.truetype(_FONT, 16), fill="black")
    pen.text((35, 20), "Ag", font=ImageFont.load_default(), fill="black")
    picture.save(io.BytesIO(), "PNG")
    picture.thumbnail((20, 20))


def check_animation() -> None:
    frames = [Image.new("P", (10, 10), number) for number in range(5)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:], duration=20, loop=0)
    frames[0].convert("RGB").save("moving.webp", save_all=True, append_images=[f.convert("RGB") for f in frames[1:]])
    with Image.open("moving.gif") as moving:
        assert sum(1 for _ in ImageSequence.Iterator(moving)) >= 1


def check_font_tools() -> None:
    font = TTFont(_FONT)
    assert font["name"].getDebugName(1) == "DejaVu Sans"
    pen = SVGPathPen(font.getGlyphSet())
    font.getGlyphSet()["A"].draw(pen)
    assert pen.getCommands().startswith("M")
    chosen = subset.Subsetter()
    chosen.populate(text="Abc")
    chosen.subset(font)
    font.save("small.ttf")
    assert os.path.getsize("small.ttf") < os.path.getsize(_FONT) / 2


def check_fonts_again() -> None:
    """As code does that wants a font to be found: the list is made anew, and nothing is said about where it cannot go."""
    import matplotlib.font_manager as fm
    import matplotlib.pyplot as plt

    fm._load_fontmanager(try_read_cache=False)  # type: ignore[attr-defined]  # as it is written everywhere
    fm.fontManager.addfont(_FONT)
    assert fm.findSystemFonts() is not None
    assert "DejaVu Sans" in fm.get_font_names()
    plt.figure().text(0, 0, "Ag", fontproperties=fm.FontProperties(fname=_FONT))
