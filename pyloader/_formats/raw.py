"""Uncompressed rows of pixels, as BMP, PPM and TIFF files hold them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def take_rows(
    content: bytes, offset: int, row_bytes: int, row_count: int, stride: int = 0
) -> NDArray[np.uint8]:
    """Rows that lie in a file one after the other.

    Args:
        content: The file.
        offset: Where the first row starts.
        row_bytes: The bytes of a row that count.
        row_count: How many rows, 1 or more.
        stride: Bytes from row to row; 0 for `row_bytes`. The last row needs no padding behind it.

    Returns:
        (row_count, row_bytes), a read-only view of `content`.

    Raises:
        ValueError: The file ends too early, or the stride is shorter than a row.
    """
    stride = stride or row_bytes
    if stride < row_bytes:
        raise ValueError("the image's rows are too short for its width")
    needed = stride * (row_count - 1) + row_bytes
    if offset < 0 or offset + needed > len(content):
        raise ValueError("the image is truncated")
    data = np.frombuffer(content, np.uint8, needed, offset)
    return np.lib.stride_tricks.as_strided(
        data, (row_count, row_bytes), (stride, 1), writeable=False
    )


def widen(rows: NDArray[np.uint8], bits: int, width: int) -> NDArray[np.uint8]:
    """Samples of 1, 2, 4 or 8 bits as bytes, the high bits of a byte first.

    Args:
        rows: (H, row bytes).
        bits: Bits per sample.
        width: Samples per row.

    Returns:
        (H, width), values below 2**bits.
    """
    if bits == 8:
        return rows[:, :width]
    if bits == 1:
        return np.unpackbits(rows, axis=1, count=width)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    samples = rows[:, :, None] >> shifts & np.uint8((1 << bits) - 1)
    return samples.reshape(len(rows), -1)[:, :width]
