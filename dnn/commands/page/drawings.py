"""Drawings that are kept, each in the folder of the digit that it is, as ``load_image_folder`` reads them."""

import hashlib
import io
from pathlib import Path

from PIL import Image

from backends import InputError
from dnn.commands.page.reader import Host
from dnn.io.atomic_files import write_atomically


class Kept:
    """A folder for drawings, which is made with the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, picture: Host, digit: int) -> Path:
        """Write a picture (height, width) uint8 to FOLDER/DIGIT/NAME.png and return the file.

        It is named after its content, so that nothing is written over, and the same drawing is kept once.
        Raises InputError: it cannot be written, or the digit's folder leads elsewhere.
        """
        place = self.folder / str(digit)
        png = io.BytesIO()
        Image.fromarray(picture).save(png, "PNG")
        file = place / f"{hashlib.sha256(picture.tobytes()).hexdigest()[:16]}.png"
        try:
            place.mkdir(parents=True, exist_ok=True)
            if place.resolve() != self.folder.resolve() / place.name:
                raise InputError(f"{place} is a link to elsewhere, expected a folder; remove it")
            if not file.is_symlink() and not file.exists():
                write_atomically(file, png.getvalue())
        except OSError as error:
            raise InputError(
                f"{file} cannot be written ({error.strerror}), expected a folder for drawings; choose --keep"
            ) from None
        return file
