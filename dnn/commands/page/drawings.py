"""Saved drawings, one folder for each class, as ``load_image_folder`` reads them."""

import hashlib
import io
from pathlib import Path

from backends.errors import InputError, reraise
from dnn.commands.page.reader import HostArray
from dnn.io.atomic_files import make_folder, write_atomically


def save_drawing(folder: Path, picture: HostArray, label: object) -> Path:
    """Write a picture, (height, width) or with colour, uint8, to FOLDER/LABEL/NAME.png and return the path.

    NAME is a hash of the pixels: no file is overwritten, and a drawing is saved once.

    Raises InputError: it cannot be written, or the label's folder is in another place.
    """
    from PIL import Image

    place = folder / str(label)
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "PNG")
    file = place / f"{hashlib.sha256(picture.tobytes()).hexdigest()[:16]}.png"
    with reraise(OSError, f"{file} cannot be written", "a folder for drawings"):
        if place.resolve() != folder.resolve() / place.name:
            raise InputError(f"{place} is a link to another place", "a folder", "remove the link")
        make_folder(place)
        if not file.is_symlink() and not file.exists():
            write_atomically(file, png.getvalue())
    return file
