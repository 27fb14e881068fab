"""Other formats than JPEG: the pixels, and the verdict on damage, are Pillow's."""

from __future__ import annotations

import io
import struct
import subprocess
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import other_pictures as zoo
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, features

from pyloader import ImageError, load_img
from pyloader._native import pillow as pillow_module

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

COLOR_MODES = ("grayscale", "rgb", "rgba")
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}


def pillow(content: bytes, color_mode: str) -> NDArray[Any] | None:
    """What keras.utils.load_img makes of the content, (H, W, C); None when it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image: Image.Image = Image.open(io.BytesIO(content))
            if color_mode != "grayscale":
                image = image.convert(color_mode.upper())
            elif image.mode not in ("L", "I;16", "I"):
                image = image.convert("L")
            image.load()
        except Exception:  # Pillow raises whatever comes up inside it
            return None
    pixels = np.array(image)
    if image.mode in ("I;16", "I"):
        pixels = pixels.astype(np.float32)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def ours(content: bytes, color_mode: str) -> NDArray[Any] | None:
    """What pyloader makes of it; None for an ImageError, any other exception is a failure."""
    try:
        pixels = load_img(io.BytesIO(content), color_mode)  # type: ignore[arg-type]
    except ImageError:
        return None
    assert pixels.flags.c_contiguous
    return pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)


def agree(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and np.array_equal(one, other)


def differs(content: bytes, color_mode: str) -> bool:
    return not agree(ours(content, color_mode), pillow(content, color_mode))


def assert_as_pillow(content: bytes, name: str = "", *, is_sound: bool = True) -> None:
    for color_mode in COLOR_MODES:
        assert not differs(content, color_mode), (name, color_mode)
        assert not is_sound or ours(content, color_mode) is not None, (name, color_mode)


@pytest.mark.parametrize(("bits", "color"), zoo.PNG_LAYOUTS)
def test_png_of_every_depth_and_color_type_is_as_pillow_reads_it(bits: int, color: int) -> None:
    rng = np.random.default_rng(bits * 10 + color)
    gamma = zoo.png_chunk(b"gAMA", struct.pack(">I", 45455)) + zoo.png_chunk(b"sRGB", b"\0")
    for width, height in zoo.SIZES:
        for interlaced in (False, True):
            file = zoo.png(rng, width, height, bits, color, interlaced=interlaced, split=50)
            assert_as_pillow(file)
    assert_as_pillow(zoo.png(rng, 9, 9, bits, color, before=gamma))


@pytest.mark.parametrize(("bits", "color"), [pair for pair in zoo.PNG_LAYOUTS if pair[1] < 4])
def test_png_transparency_is_as_pillow_reads_it(bits: int, color: int) -> None:
    rng = np.random.default_rng(bits * 10 + color)
    palettes = (b"\0", b"\xff\0", b"\xff\xff\0\xff", b"\x80\x10\0\0", bytes(300), b"")
    values = (0, 1, 3, 64, 255, 256, 0x4040, 65535)
    colors = [struct.pack(">H", value) * (3 if color == 2 else 1) for value in values]
    for transparency in palettes if color == 3 else (*colors, b"\0"):
        file = zoo.png(rng, 17, 13, bits, color, transparency=transparency)
        assert_as_pillow(file, transparency.hex(), is_sound=False)
        chunk = zoo.png_chunk(b"tRNS", transparency)
        file = zoo.png(rng, 17, 13, bits, color, after=chunk)
        assert_as_pillow(file, transparency.hex(), is_sound=False)


def test_png_with_a_fault_that_pillow_forgives_is_read() -> None:
    rng = np.random.default_rng(1)
    for bits, color in zoo.PNG_LAYOUTS:
        whole = zoo.png(rng, 19, 13, bits, color)
        assert_as_pillow(whole[:-12], "no end chunk")
        assert_as_pillow(whole[:-12] + b"-junk-" * 5, "junk behind the data")
        assert_as_pillow(whole[:-16] + b"\1\2\3\4" + whole[-12:], "wrong checksum of the data")
        for interlaced in (False, True):
            file = zoo.png(rng, 19, 13, bits, color, interlaced=interlaced, keep_rows=0.5)
            assert_as_pillow(file, "a stream that ends after half the rows")


def test_png_with_a_fault_that_pillow_minds_is_refused() -> None:
    rng = np.random.default_rng(2)
    whole = zoo.png(rng, 19, 13, 8, 2)
    faults = {
        "header checksum": whole[:29] + b"\1\2\3\4" + whole[33:],
        "cut data": whole[:-40],
        "broken data": whole[:60] + b"\0" * 9 + whole[69:],
        "no data": whole[:33] + whole[-12:],
        "unknown depth": zoo.png(rng, 3, 3, 8, 2).replace(b"\x08\x02\0\0\0", b"\x03\x02\0\0\0", 1),
        "text bomb": zoo.png(
            rng, 3, 3, 8, 2, before=zoo.png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2 << 20)))
        ),
    }
    for name, file in faults.items():
        assert_as_pillow(file, name, is_sound=False)
        assert ours(file, "rgb") is None, name


def test_first_frame_of_an_animated_png_is_read() -> None:
    rng = np.random.default_rng(3)
    control = zoo.png_chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = struct.pack(">IIIIIHHBB", 0, 19, 13, 0, 0, 1, 1, 0, 0)
    assert_as_pillow(zoo.png(rng, 19, 13, 8, 6, before=control))
    assert_as_pillow(zoo.png(rng, 19, 13, 8, 6, before=control + zoo.png_chunk(b"fcTL", frame)))


@pytest.mark.parametrize("header_size", [12, 40, 52, 56, 64, 108, 124])
def test_bmp_of_every_header_and_depth_is_as_pillow_reads_it(header_size: int) -> None:
    rng = np.random.default_rng(header_size)
    entry = 3 if header_size == 12 else 4
    for bits in (1, 4, 8, 16, 24, 32):
        for width, height in zoo.SIZES:
            for top_down in (False, True):
                options: dict[str, Any] = {"header_size": header_size, "top_down": top_down}
                assert_as_pillow(zoo.bmp(rng, width, height, bits, **options))
                if bits <= 8:
                    ramp = b"".join(bytes([gray] * 3 + [0])[:entry] for gray in range(1 << bits))
                    file = zoo.bmp(rng, width, height, bits, palette=ramp, **options)
                    assert_as_pillow(file, "gray ramp", is_sound=False)


def test_bmp_bit_fields_and_runs_are_as_pillow_reads_them() -> None:
    rng = np.random.default_rng(4)
    layouts: tuple[tuple[int, ...], ...] = (
        (0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0, 0, 0, 0),
        (0xFF000000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0xFF), (1, 2, 3, 4),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000), (0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0),
    )  # fmt: skip
    for masks in layouts:
        for bits in (16, 24, 32):
            for size in (40, 56, 108):
                kept = masks[:3] if size == 40 else masks
                file = zoo.bmp(rng, 7, 5, bits, compression=3, header_size=size, masks=kept)
                assert_as_pillow(file, str(masks), is_sound=False)
    for _ in range(60):
        width, height = (int(side) for side in rng.integers(1, 20, 2))
        for bits, compression in ((8, 1), (4, 2), (8, 2), (4, 1)):
            data = zoo.runs(rng, width * height, bits == 4)
            file = zoo.bmp(rng, width, height, bits, compression=compression, data=data)
            assert_as_pillow(file, "runs", is_sound=False)


def test_ppm_of_every_kind_is_as_pillow_reads_it() -> None:
    rng = np.random.default_rng(5)
    for mode in ("1", "L", "RGB", "I", "F"):
        for width, height in zoo.SIZES:
            assert_as_pillow(zoo.saved(zoo.picture(rng, mode, width, height), "PPM"))
    for most in (1, 2, 100, 254, 255, 256, 1023, 65534, 65535, 0, 65536):
        for magic, channels in ((b"P5", 1), (b"P6", 3), (b"PyCMYK", 4), (b"PyP", 1)):
            data = zoo.noise(rng, 20 * channels * (1 if most < 256 else 2))
            head = magic + b" #comment\n5 4\t%d\n" % most
            assert_as_pillow(head + data, "binary", is_sound=False)
            assert_as_pillow(head + data[:-1], "binary, short", is_sound=False)
        for magic, channels in ((b"P2", 1), (b"P3", 3)):
            words = [b"%d" % value for value in rng.integers(0, most + 1, 20 * channels)]
            head = magic + b"\n5 4\n%d\n" % most
            assert_as_pillow(head + b" ".join(words), "plain", is_sound=False)
            assert_as_pillow(head + b"#x\n".join(words), "joined by comments", is_sound=False)
            assert_as_pillow(head + b"\n".join(words[:-1]), "plain, short", is_sound=False)
            assert_as_pillow(head + b" ".join([b"-1", *words]), "negative", is_sound=False)
    for text in (
        b"P1 3 2 101 010",
        b"P1 3 2 10101",
        b"P1 3 2 101012",
        b"P1\n3 2 #c\n1 0 1\n0#\n10",
    ):
        assert_as_pillow(text, is_sound=False)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_every_layout_is_as_pillow_reads_it(order: str) -> None:
    rng = np.random.default_rng(ord(order))
    layouts: list[tuple[int, int, int, int, tuple[int, ...]]] = [
        *((photometric, 1, bits, 1, ()) for photometric in (0, 1, 3) for bits in (1, 2, 4, 8)),
        (0, 1, 16, 1, ()), (1, 1, 12, 1, ()), (1, 1, 16, 1, ()), (1, 1, 32, 1, ()),
        (1, 2, 8, 1, ()), (1, 2, 16, 1, ()), (1, 2, 32, 1, ()), (0, 3, 32, 1, ()),
        (1, 3, 32, 1, ()), (1, 1, 8, 2, (0,)), (1, 1, 8, 2, (2,)), (3, 1, 8, 2, (0,)),
        (3, 1, 8, 2, (2,)), (2, 1, 8, 3, ()), (2, 1, 8, 4, ()), (2, 1, 8, 4, (0,)),
        (2, 1, 8, 4, (1,)), (2, 1, 8, 4, (2,)), (2, 1, 8, 5, (1, 0)), (2, 1, 8, 6, (0, 0, 0)),
        (2, 1, 16, 3, ()), (2, 1, 16, 4, (0,)), (2, 1, 16, 4, (1,)), (2, 1, 16, 4, (2,)),
        (5, 1, 8, 4, ()), (5, 1, 8, 5, (0,)), (5, 1, 16, 4, ()), (2, 1, 8, 7, ()),
        (1, 1, 64, 1, ()), (1, 4, 8, 1, ()), (9, 1, 8, 3, ()),
    ]  # fmt: skip
    for layout in layouts:
        for deflated, predictor in ((False, 1), (True, 1), (True, 2), (True, 3)):
            for planar, fill_order in ((False, 1), (False, 2), (True, 1)):
                for tiled in (False, True):
                    file = zoo.tiff_of(
                        rng,
                        *layout,
                        order=order,
                        deflated=deflated,
                        planar=planar,
                        tiled=tiled,
                        predictor=predictor,
                        fill_order=fill_order,
                    )
                    name = f"{layout} {deflated=} {predictor=} {planar=} {fill_order=} {tiled=}"
                    assert_as_pillow(file, name, is_sound=False)


@pytest.mark.parametrize(
    "compression",
    [None, "tiff_lzw", "tiff_deflate", "packbits", "lzma", "jpeg", "group3", "group4"],
)
def test_tiff_of_every_compression_is_as_pillow_reads_it(compression: str | None) -> None:
    rng = np.random.default_rng(6)
    modes: tuple[str, ...] = ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "I;16B", "I", "F")
    if compression in ("group3", "group4"):
        modes = ("1",)
    elif compression == "jpeg":
        modes = ("L", "RGB", "YCbCr")
    for mode in modes:
        for width, height in (*zoo.SIZES, (51, 37)):
            image = zoo.picture(rng, mode, width, height)
            for options in ({}, {"strip_size": 60}, {"tiffinfo": {317: 2}}, {"big_tiff": True}):
                if (compression == "jpeg" and "strip_size" in options) or (
                    mode == "1" and "tiffinfo" in options
                ):
                    continue  # Pillow cannot write these
                file = zoo.saved(image, "TIFF", compression=compression, **options)
                is_sound = (mode, "big_tiff" in options) != ("I;16B", True)  # Pillow's reader fails
                assert_as_pillow(file, f"{mode} {width}x{height} {options}", is_sound=is_sound)


def test_tiff_is_turned_as_its_orientation_says() -> None:
    rng = np.random.default_rng(7)
    for orientation in range(1, 9):
        for mode in ("L", "RGB", "P", "I;16"):
            image = zoo.picture(rng, mode, 7, 4)
            file = zoo.saved(image, "TIFF", tiffinfo={274: orientation})
            assert_as_pillow(file, f"{mode} {orientation}")


def test_first_page_of_a_tiff_is_read() -> None:
    rng = np.random.default_rng(8)
    pages = [zoo.picture(rng, "RGB", side, 5) for side in (9, 4, 6)]
    assert_as_pillow(zoo.saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))


def test_gif_and_webp_are_as_pillow_reads_them() -> None:
    rng = np.random.default_rng(9)
    for width, height in (*zoo.SIZES, (60, 41)):
        for mode in ("1", "L", "P", "RGB", "RGBA"):
            image = zoo.picture(rng, mode, width, height)
            assert_as_pillow(zoo.saved(image, "GIF"))
            assert_as_pillow(zoo.saved(image, "GIF", interlace=1, transparency=5))
            for options in ({"lossless": True}, {"quality": 40}):
                assert_as_pillow(zoo.saved(image, "WEBP", **options))
    frames = [zoo.picture(rng, "RGBA", 40, 30) for _ in range(3)]
    for file_format in ("GIF", "WEBP"):
        file = zoo.saved(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert_as_pillow(file, file_format)


def test_content_that_is_no_image_is_refused_in_plain_words() -> None:
    for content in (b"x", b"<html><body>404</body></html>", bytes(99)):
        with pytest.raises(ImageError, match="not an image that Pillow can open"):
            load_img(io.BytesIO(content))


@pytest.mark.parametrize(
    "name", ["ICO", "TGA", "PCX", "SGI", "JPEG2000", "AVIF", "MSP", "DDS", "ICNS"]
)
def test_every_format_that_pillow_opens_is_read(name: str) -> None:
    rng = np.random.default_rng(21)
    if not features.check("avif") and name == "AVIF":
        pytest.skip("this Pillow reads no AVIF")
    modes = {"MSP": ("1",), "ICO": ("RGBA",), "ICNS": ("RGBA",)}.get(name, ("L", "RGB"))
    for mode in modes:
        side = 128 if name == "ICNS" else 37
        assert_as_pillow(zoo.saved(zoo.picture(rng, mode, side, side), name), f"{name} {mode}")


def test_a_format_that_runs_a_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "check_call", fail)
    monkeypatch.setattr(subprocess, "Popen", fail)
    eps = io.BytesIO()
    Image.new("RGB", (9, 9)).save(eps, "EPS")
    with pytest.raises(ImageError, match="not an image that Pillow can open"):
        load_img(eps)


def test_a_plugin_that_the_program_registers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(ImageFile.ImageFile):
        format = "OWNFORMAT"

        def _open(self) -> None:
            if self.fp.read(4) != b"OWN!":
                raise SyntaxError("not this format")
            self._size, self._mode = (2, 1), "L"
            self.tile = [("raw", (0, 0, 2, 1), 4, ("L", 0, 1))]

    monkeypatch.setattr(Image, "ID", [*Image.ID])
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    Image.register_open("OWNFORMAT", Own, lambda prefix: prefix[:4] == b"OWN!")
    found = load_img(io.BytesIO(b"OWN!\x07\x09"), "grayscale")
    np.testing.assert_array_equal(found[..., 0], [[7, 9]])


def test_what_pillow_holds_of_a_file_is_let_go() -> None:
    content = bytearray(zoo.saved(Image.new("RGB", (30, 20)), "GIF"))
    image = pillow_module.decode(memoryview(content), "rgb", 10**6)
    content += b"x"  # a BufferError, if its memory were still in use
    assert image.size == (30, 20)


def test_every_truncation_gets_pillows_verdict() -> None:
    wrong = []
    for name, content in zoo.one_of_each():
        places = np.unique(np.linspace(0, len(content), 40).astype(int)).tolist()
        cases = [content[:end] for end in (*places, *range(len(content) - 20, len(content)))]
        results = [ours(case, "rgb") for case in cases]
        for case, got in zip(cases, results, strict=True):
            if not agree(got, pillow(case, "rgb")):
                wrong.append((name, len(case)))
    assert not wrong


def test_flipped_bytes_get_pillows_verdict() -> None:
    rng = np.random.default_rng(10)
    wrong, total = [], 0
    for name, content in zoo.one_of_each():
        for _ in range(40):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), 2):
                damaged[place] = rng.integers(0, 256)
            total += 1
            if differs(bytes(damaged), "rgba"):
                wrong.append(name)
    assert not wrong, f"{len(wrong)} of {total}"


def test_images_beyond_pillows_limit_are_refused_by_their_header() -> None:
    rng = np.random.default_rng(11)
    side = 13380  # squared, just above 2 * 89478485
    sides = struct.pack(">II", side, side)
    small = zoo.png(rng, 1, 1, 8, 2)
    riff = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<IB3x", 10, 0)
    bombs = (
        small[:12] + (head := b"IHDR" + sides + small[24:29])[4:4] + head
        + struct.pack(">I", zlib.crc32(head)) + small[33:],
        zoo.bmp(rng, side, side, 24, data=b""),
        b"P6 %d %d 255 " % (side, side),
        zoo.tiff({256: (side,), 257: (side,), 259: (1,), 262: (1,), 273: (), 278: (side,)}, [b"x"]),
        b"GIF89a" + struct.pack("<HH", side, side) + b"\0\0\0," + bytes(4) + b"\1\0\1\0\0\2\1\0\0;",
        riff + (side - 1).to_bytes(3, "little") * 2,
    )  # fmt: skip
    for bomb in bombs:
        with pytest.raises(ImageError, match=r"exceeds? (the )?limit"):
            load_img(io.BytesIO(bomb))
        assert pillow(bomb, "rgb") is None


def test_deep_images_resize_as_pillow_does() -> None:
    rng = np.random.default_rng(12)
    for number in range(120):
        height, width, new_height, new_width = (int(side) for side in rng.integers(1, 60, 4))
        if number % 10 == 0:
            height *= 12
        if number % 2:
            pixels = rng.integers(0, 65536, (height, width)).astype(np.uint16)
            image = Image.frombytes("I;16", (width, height), pixels.astype("<u2").tobytes())
        else:
            pixels = rng.integers(-(2**31), 2**31, (height, width)).astype(np.int32)
            image = Image.fromarray(pixels)
        file = zoo.saved(image, "TIFF")
        cut_height = min(height, width * new_height // new_width)
        cut_width = min(width, height * new_width // new_height)
        top, left = (height - cut_height) // 2, (width - cut_width) // 2
        box = (left, top, left + cut_width, top + cut_height)
        for name, resampling in FILTERS.items():
            for keep in (False, True):
                size = (new_width, new_height)
                wanted = image
                if image.size != size:
                    wanted = image.resize(size, resampling, box=box if keep else None)
                got = load_img(io.BytesIO(file), "grayscale", (new_height, new_width), name, keep)
                assert np.array_equal(got[:, :, 0], np.asarray(wanted)), (name, keep)


def test_threads_get_what_one_thread_gets() -> None:
    files = [content for _, content in zoo.one_of_each()]
    files += [content[: len(content) // 2] for content in files]
    alone = [ours(content, "rgba") for content in files]
    with ThreadPoolExecutor(7) as pool:
        together = list(pool.map(lambda content: ours(content, "rgba"), files * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert agree(one, other)
