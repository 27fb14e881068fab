"""Lists the images of a class folder in Keras' order, and drops them from the page cache."""

import os
from collections.abc import Iterable
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
JPEG_SUFFIXES = (".jpg", ".jpeg")


def list_class_folder(directory: Path) -> tuple[list[str], list[int]]:
    """Lists the images of `directory` as `flow_from_directory` does.

    Args:
        directory: One folder per class, image files at any depth inside.

    Returns:
        Paths in Keras' order (classes by name, then folders, then files) and the class of each.

    Raises:
        ValueError: There is no image in any class folder.
    """
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        for root, _, files in sorted(os.walk(directory / name), key=lambda found: found[0]):
            chosen = sorted(file for file in files if file.lower().endswith(IMAGE_SUFFIXES))
            paths += [str(Path(root, file)) for file in chosen]
            labels += [label] * len(chosen)
    if not paths:
        raise ValueError(
            "--data must hold one folder per class with image files inside; "
            f"found {len(classes)} folders and no image. Received: {directory}"
        )
    return paths, labels


def drop_page_cache(paths: Iterable[str]) -> bool:
    """Asks the system to drop the files from the page cache; the next read is from the disk.

    Returns:
        False if this system has no such call. It may still keep pages that others use.
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return True
