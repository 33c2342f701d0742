import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from covid_mtnet.core import InputError
from covid_mtnet.images import minmax, read_image, read_mask, read_values, resize
from covid_mtnet.packs import compact_mask

RAMP = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))


def stored(picture, form="PNG", **kw):
    out = io.BytesIO()
    picture.save(out, form, **kw)
    return out.getvalue()


GREY = Image.fromarray(RAMP)
SAME = {
    "grey PNG": stored(GREY), "grey TIFF": stored(GREY, "TIFF"), "JPEG": stored(GREY, "JPEG", quality=100),
    "RGB": stored(GREY.convert("RGB")),
    "RGBA": stored(GREY.convert("RGBA")), "grey with alpha": stored(GREY.convert("LA")),
    "palette": stored(GREY.convert("P")), "CMYK": stored(GREY.convert("CMYK"), "TIFF"),
    "CMYK JPEG": stored(GREY.convert("CMYK"), "JPEG", quality=100),
    "16 bit": stored(Image.fromarray(RAMP.astype(np.uint16) * 257)),
    "16-bit TIFF": stored(Image.fromarray(RAMP.astype(np.uint16) * 257), "TIFF"),
    "float TIFF": stored(Image.fromarray(RAMP.astype(np.float32) * 7.5 - 1000), "TIFF"),
    "32-bit TIFF": stored(Image.fromarray((RAMP.astype(np.int64) * 16843009 - 2 ** 31).astype(np.int32)), "TIFF"),
    "LZW TIFF": stored(GREY, "TIFF", compression="tiff_lzw")}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_picture_is_the_same_in_every_form(kind):
    assert np.abs(read_image(SAME[kind]).pixels - RAMP / 255).max() <= 1.5 / 255


def test_white_is_white_at_every_depth():
    for a in (np.full((4, 4), 255, np.uint8), np.full((4, 4), 65535, np.uint16), np.ones((4, 4), bool)):
        assert read_image(stored(Image.fromarray(a))).pixels.min() == 1


def test_colour_is_luminance_not_the_red_channel():
    red, green = (Image.new("RGB", (4, 4), c) for c in ((255, 0, 0), (0, 255, 0)))
    assert read_image(stored(red)).pixels.mean() == pytest.approx(.299, abs=.01)
    assert read_image(stored(green)).pixels.mean() == pytest.approx(.587, abs=.01)


def test_signed_ct_values_keep_their_numbers():
    hu = np.linspace(-1000, 400, 48).astype(np.float32).reshape(6, 8)
    data = stored(Image.fromarray(hu), "TIFF")
    np.testing.assert_array_equal(read_values(data), hu)
    assert read_image(data).info["value_min"] == -1000 and read_image(data).info["value_max"] == 400


def test_exif_orientation_is_applied():
    exif = Image.Exif(); exif[274] = 6
    turned = stored(GREY, "JPEG", quality=100, exif=exif)
    assert read_image(turned).pixels.shape == (40, 30)
    assert read_values(turned).shape == read_mask(turned).shape == (40, 30)


def test_the_bright_half_of_unsigned_32_bits_stays_bright():
    ramp, out = np.linspace(0, 2 ** 32 - 1, 48).astype(np.uint32).reshape(6, 8), io.BytesIO()
    tifffile.imwrite(out, ramp)
    np.testing.assert_array_equal(read_values(out.getvalue()), ramp)
    np.testing.assert_allclose(read_image(out.getvalue()).pixels, ramp / (2 ** 32 - 1), atol=1e-6)


def test_signed_bytes_and_twelve_bits_keep_their_order():
    out = io.BytesIO(); tifffile.imwrite(out, np.arange(-30, 30, dtype=np.int8).reshape(6, 10))
    pixels = read_image(out.getvalue()).pixels.ravel()
    assert (np.diff(pixels) > 0).all() and pixels[0] == 0 and pixels[-1] == 1


def test_a_mask_of_white_zeros_is_turned_and_one_with_nan_is_refused():
    mask, white, broken = np.zeros((6, 8), np.uint16), io.BytesIO(), io.BytesIO()
    mask[1:3, 2:5] = 65535
    tifffile.imwrite(white, 65535 - mask, photometric="miniswhite")
    np.testing.assert_array_equal(read_mask(white.getvalue()), mask > 0)
    tifffile.imwrite(broken, np.where(np.arange(48).reshape(6, 8) == 5, np.nan, mask).astype(np.float32))
    with pytest.raises(InputError, match="finite"): read_mask(broken.getvalue())


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_tiff_whose_least_value_is_white_is_turned(depth):
    out, a = io.BytesIO(), RAMP.astype(depth) * (257 if depth == np.uint16 else 1)
    tifffile.imwrite(out, np.iinfo(depth).max - a, photometric="miniswhite")
    assert np.abs(read_image(out.getvalue()).pixels - RAMP / 255).max() < 1e-3


def test_threads_leave_the_warning_filters_as_they_were():
    import warnings
    from concurrent.futures import ThreadPoolExecutor
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool: list(pool.map(read_image, [SAME["16-bit TIFF"], SAME["palette"]] * 40))
    assert warnings.filters == before


def test_pages_become_a_stack():
    data = stored(GREY, "TIFF", save_all=True, append_images=[GREY, GREY])
    assert read_image(data).pixels.shape == (3, 30, 40)


def test_depth_comes_from_the_file_not_from_its_content():
    dark = stored(Image.fromarray((RAMP // 2).astype(np.uint16)), "TIFF")
    assert read_image(dark).pixels.max() < .01
    low, high = (read_image(stored(Image.fromarray((RAMP.astype(np.int32) * 1000 - o).astype(np.int32)), "TIFF")).pixels
                 for o in (0, 10 ** 5))
    np.testing.assert_allclose(low, high, atol=1e-6)


def png16(samples, kind):
    "A PNG file of 16 bits: kind 2 is RGB, 4 grey with transparency."
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + r.astype(">u2").tobytes() for r in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(array, **options):
    tifffile.imwrite(out := io.BytesIO(), array, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["RGB PNG", "transparent PNG", "RGB TIFF"])
def test_sixteen_bits_of_colour_are_read_as_eight_where_that_is_enough(kind):
    def made(values):
        if kind == "transparent PNG": return png16(np.stack([values, np.full_like(values, 65535)], -1), 4)
        rgb = np.stack([values] * 3, -1)
        return png16(rgb, 2) if kind == "RGB PNG" else tiff(rgb, photometric="rgb")
    assert np.abs(read_image(made(RAMP.astype(np.uint16) * 257)).pixels - RAMP / 255).max() < 1e-6
    with pytest.raises(InputError, match="of which 8 are read"): read_image(made(RAMP.astype(np.uint16) * 16))


def test_a_tiff_of_another_kind_is_called_that_and_a_big_one_is_read():
    with pytest.raises(InputError, match="32-bit integers or float32"): read_image(tiff(RAMP.astype(np.float64)))
    assert (read_image(tiff(RAMP, bigtiff=True)).pixels == read_image(stored(GREY)).pixels).all()


def test_a_map_of_labels_is_no_mask():
    two = np.zeros((30, 40), np.uint8); two[:, 5:15], two[:, 25:35] = 1, 2
    with pytest.raises(InputError, match="a map of the labels 0, 1, 2"): read_mask(stored(Image.fromarray(two)))
    assert (read_mask(stored(Image.fromarray(two // 2 * 7))) == (two == 2)).all()


def test_pages_of_two_depths_are_refused():
    with pytest.raises(InputError, match="one size and depth"):
        read_image(stored(GREY, "TIFF", save_all=True, append_images=[Image.fromarray(RAMP.astype(np.uint16))]))


def test_masks_and_sizes():
    mask = RAMP > 128
    assert (read_mask(stored(Image.fromarray(mask.astype(np.uint8)))) == mask).all()
    assert not read_mask(stored(Image.fromarray(mask & False))).any()
    assert (read_mask(stored(Image.fromarray(mask))) == mask).all()
    assert resize(mask, 16, mask=True).dtype == bool and resize(RAMP, (8, 9)).shape == (8, 9)
    assert (minmax(np.full((3, 3), 7.)) == 0).all()


@pytest.mark.parametrize("data, said", [(b"", "empty"), (b"<html>", "web page"), (SAME["grey PNG"][:50], "whole image"),
                                        (SAME["JPEG"][:300], "whole image"), (b"GIF89a....", "unknown bytes")])
def test_a_bad_file_is_named_with_the_reason(data, said, tmp_path):
    (tmp_path / "scan 7.png").write_bytes(data)
    with pytest.raises(InputError, match=said) as e: read_image(tmp_path / "scan 7.png")
    assert "scan 7.png" in str(e.value)


def test_a_missing_file_and_a_bomb():
    with pytest.raises(InputError, match="nothing.png"): read_image("nothing.png")
    bomb = bytearray(SAME["grey PNG"])
    bomb[16:24] = (60000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    with pytest.raises(InputError, match="at most"): read_image(bytes(bomb))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SAME)), st.integers(0, 10 ** 6), st.binary(max_size=8), st.booleans())
def test_damaged_files_raise_nothing_but_inputerror(kind, place, noise, cut):
    data = bytearray(SAME[kind])
    at = place % len(data)
    data = data[:at] if cut else data[:at] + noise + data[at + len(noise):]
    try: a = read_image(bytes(data)).pixels
    except InputError: return
    assert np.isfinite(a).all() and a.min() >= 0 and a.max() <= 1


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*"]))
def test_random_bytes_raise_nothing_but_inputerror(data, head):
    with pytest.raises(InputError): read_image(head + data)


def test_a_tiff_whose_next_page_is_no_page():
    data = bytearray(SAME["float TIFF"])
    first = int.from_bytes(data[4:8], "little")
    link = first + 2 + 12 * int.from_bytes(data[first:first + 2], "little")
    data[link:link + 4] = len(data).to_bytes(4, "little")
    with pytest.raises(InputError, match="whole image"): read_image(bytes(data) + (1).to_bytes(2, "little") + bytes(16))


def test_what_is_transparent_is_black_whatever_its_colour():
    alpha = np.repeat([0, 255], 32).reshape(8, 8)
    pixels = read_image(stored(Image.fromarray(np.dstack([np.full((8, 8), 200), alpha]).astype(np.uint8), "LA"))).pixels
    assert pixels[:4].max() == 0 and pixels[4:].min() == pytest.approx(200 / 255)


def test_grey_edges_of_a_mask_count_above_one_half_read_or_packed():
    mask = stored(Image.fromarray(np.uint8([[0, 100, 127, 128, 255]])))
    for m in (read_mask(mask), np.asarray(Image.open(io.BytesIO(compact_mask(mask, "m"))))):
        assert m.tolist() == [[False, False, False, True, True]]
