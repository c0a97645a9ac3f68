"""Saved drawings, one folder for each digit, as ``load_image_folder`` reads them."""

import hashlib
import io
from pathlib import Path

from PIL import Image

from backends import InputError
from dnn.commands.page.reader import HostArray
from dnn.io.atomic_files import write_atomically


class DrawingFolder:
    """A folder for drawings; it is created when the first one is saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, picture: HostArray, digit: int) -> Path:
        """Write a picture (height, width) uint8 to FOLDER/DIGIT/NAME.png and return the path.

        NAME is a hash of the pixels: no file is overwritten, and a drawing is saved once.

        Raises InputError: it cannot be written, or the digit's folder is a link to another place.
        """
        place = self.folder / str(digit)
        png = io.BytesIO()
        Image.fromarray(picture).save(png, "PNG")
        file = place / f"{hashlib.sha256(picture.tobytes()).hexdigest()[:16]}.png"
        try:
            place.mkdir(parents=True, exist_ok=True)
            if place.resolve() != self.folder.resolve() / place.name:
                raise InputError(f"{place} is a link to another place, expected a folder; remove the link")
            if not file.is_symlink() and not file.exists():
                write_atomically(file, png.getvalue())
        except OSError as error:
            raise InputError(
                f"{file} cannot be written ({error.strerror}), expected a folder for drawings; choose --keep"
            ) from None
        return file
