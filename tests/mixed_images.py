"""A folder of two classes as users have them: sizes, formats, modes and orientations are mixed."""

import numpy as np
from PIL import Image, ImageDraw

TURNED = 6  # EXIF: stored turned by a quarter
KINDS = ("photo.jpg", "grey.png", "alpha.png", "turned.jpg", "photo.webp", "grey.jpg", "old.gif")


def write(folder, *, each=12):
    """Cats are bright above, dogs below; `each` files a class, and some that are not images."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            kind = KINDS[number % len(KINDS)]
            _picture(rng, name).save(folder / name / f"{number:02}-{kind}", **_options(kind))
            _convert(folder / name / f"{number:02}-{kind}", kind)
    (folder / ".trash").mkdir()
    (folder / ".trash" / "gone.png").write_bytes((folder / "cat" / "01-grey.png").read_bytes())
    (folder / "cat" / ".DS_Store").write_bytes(b"\0")
    (folder / "dog" / "notes.txt").write_text("good dogs")


def _picture(rng, name):
    width, height = map(int, rng.integers(9, 40, 2))
    picture = Image.fromarray(rng.integers(0, 90, (height, width, 3), dtype=np.uint8))
    top = 0 if name == "cat" else height // 2
    box = (0, top, width, top + height // 2)
    ImageDraw.Draw(picture).rectangle(box, fill=tuple(map(int, rng.integers(150, 256, 3))))
    return picture


def _options(kind):
    if kind != "turned.jpg":
        return {}
    exif = Image.Exif()
    exif[0x0112] = TURNED
    return {"exif": exif}


def _convert(path, kind):
    """Changes the mode, and turns the pixels of a file whose EXIF says so."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if kind.startswith("grey"):
        picture.convert("L").save(path)
    elif kind == "alpha.png":
        picture.putalpha(100)
        picture.save(path)
    elif kind == "turned.jpg":
        picture.rotate(90, expand=True).save(path, **_options(kind))
