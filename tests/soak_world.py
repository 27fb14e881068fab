"""A folder of images to which faults happen, and what Pillow makes of each file as it was."""

from __future__ import annotations

import io
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pictures
from numpy.typing import NDArray
from PIL import Image

from pyloader import ImageError, load_img

CLASSES = ("ant", "bee", "cat")
_MOST_KEPT = 2000


class Look(NamedTuple):
    """How files become images."""

    color_mode: str
    size: tuple[int, int]
    interpolation: str
    keep_aspect_ratio: bool
    fidelity: str


class World:
    """A folder with class folders, its faults, and its history since the last `settle`.

    Faults happen in one thread; a version is known only once it is there, so batches are looked at
    by the same thread.

    Args:
        folder: Is made.
        dice: Decides about everything.
        files: Files of a class.
    """

    def __init__(self, folder: Path, dice: random.Random, files: int = 15) -> None:
        self.folder = folder
        self._dice = dice
        self._seed = 0
        self._versions: dict[Path, list[bytes | None]] = {}
        self._sound: set[bytes] = set()
        self._seen: dict[tuple[bytes, Look], NDArray[np.uint8] | None] = {}
        for name in CLASSES:
            (folder / name).mkdir(parents=True)
            for number in range(files):
                path = folder / name / f"{name}{number:02}{('.jpg', '.png')[number % 5 == 4]}"
                self._versions[path] = [self._write(path, self._picture(path))]

    def settle(self) -> None:
        """Forgets what files were; mends most of those that cannot be loaded."""
        for path, versions in self._versions.items():
            content = versions[-1]
            if (content is None or content not in self._sound) and self._dice.random() < 0.6:
                content = self._write(path, self._picture(path))
            self._versions[path] = [content]
        self._sound &= {versions[-1] for versions in self._versions.values() if versions[-1]}

    def fault(self) -> str:
        """Lets something happen to one file.

        Returns:
            What it is called.
        """
        path = self._dice.choice(list(self._versions))
        faults: list[Callable[[Path], bytes | None]] = [
            self._replace,
            self._replace,
            self._mend,
            self._remove,
            self._truncate,
            self._flip,
            self._empty,
            self._text,
            self._folder,
            self._broken_link,
            self._pipe,
            self._other_format,
        ]
        fault = self._dice.choice(faults)
        if path.is_dir() and not path.is_symlink():
            self._versions[path].append(None)  # it is gone before there is a file again
        content = fault(path)
        self._versions[path].append(content)
        return fault.__name__.strip("_").replace("_", " ")

    def may_fail(self, path: str, look: Look) -> bool:
        """Whether a file could not be loaded at some moment since the last `settle`."""
        return any(image is None for image in self._images(path, look))

    def images(self, path: str, look: Look) -> list[NDArray[np.uint8]]:
        """What a file showed at some moment since the last `settle`."""
        return [image for image in self._images(path, look) if image is not None]

    def _images(self, path: str, look: Look) -> list[NDArray[np.uint8] | None]:
        return [self._image(content, look) for content in self._versions[Path(path)]]

    def _image(self, content: bytes | None, look: Look) -> NDArray[np.uint8] | None:
        if content is None:
            return None
        key = content, look
        if key not in self._seen:
            if len(self._seen) >= _MOST_KEPT:
                self._seen.clear()
            self._seen[key] = self._decode(content, look)
        return self._seen[key]

    def _decode(self, content: bytes, look: Look) -> NDArray[np.uint8] | None:
        """By Pillow; by `load_img` where Pillow cannot tell: damaged files, the fast fidelity."""
        options: dict[str, Any] = {
            "color_mode": look.color_mode,
            "target_size": look.size,
            "interpolation": look.interpolation,
            "keep_aspect_ratio": look.keep_aspect_ratio,
        }
        if content in self._sound and look.fidelity == "exact":
            return pictures.with_pillow(content, **options)
        try:
            return load_img(content, **options, fidelity=look.fidelity)
        except ImageError:
            return None

    def _picture(self, path: Path) -> bytes:
        """A sound picture of the file's format, of some size and kind."""
        self._seed += 1
        noise = np.random.default_rng(self._seed)
        height, width = self._dice.randrange(5, 90), self._dice.randrange(5, 90)
        if path.suffix == ".png":
            content = self._png(noise, height, width)
        else:
            kinds = list(pictures.all_kinds(noise, height, width))
            content = self._dice.choice(kinds)[1]
        self._sound.add(content)
        return content

    def _png(self, noise: np.random.Generator, height: int, width: int) -> bytes:
        pixels = pictures.picture(noise, height, width, 4)
        mode = self._dice.choice(["RGB", "RGBA", "L", "LA", "P"])
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
        return buffer.getvalue()

    def _write(self, path: Path, content: bytes) -> bytes:
        """Puts a file in the place of whatever there is, in one step where it can be."""
        other = path.with_suffix(".new")
        other.write_bytes(content)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        other.replace(path)
        return content

    def _replace(self, path: Path) -> bytes:
        return self._write(path, self._picture(path))

    def _mend(self, path: Path) -> bytes:
        content = self._versions[path][-1]
        if content is None or content not in self._sound:
            content = self._picture(path)
        return self._write(path, content)

    def _remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _truncate(self, path: Path) -> bytes | None:
        content = self._versions[path][-1]
        if not content:
            return content
        cut = content[: self._dice.randrange(len(content))]
        os.truncate(path, len(cut))  # in place, under the eyes of who reads it
        # Somebody may have asked for its size before, and find it to have changed: no image.
        self._versions[path].append(None)
        return cut

    def _flip(self, path: Path) -> bytes:
        content = bytearray(self._versions[path][-1] or self._picture(path))
        for _ in range(self._dice.randrange(1, 5)):
            content[self._dice.randrange(len(content))] ^= 1 << self._dice.randrange(8)
        self._sound.discard(bytes(content))
        return self._write(path, bytes(content))

    def _empty(self, path: Path) -> bytes:
        return self._write(path, b"")

    def _text(self, path: Path) -> bytes:
        return self._write(path, b"<html>Not Found</html>\n" * self._dice.randrange(1, 50))

    def _folder(self, path: Path) -> None:
        self._remove(path)
        path.mkdir()

    def _broken_link(self, path: Path) -> None:
        self._remove(path)
        path.symlink_to("nowhere")

    def _pipe(self, path: Path) -> None:
        self._remove(path)
        os.mkfifo(path)

    def _other_format(self, path: Path) -> bytes:
        """A PNG that is called .jpg, or the other way round."""
        other = path.with_suffix(".jpg" if path.suffix == ".png" else ".png")
        return self._write(path, self._picture(other))
