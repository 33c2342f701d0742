"DICOM and NIfTI: written here in every form, and real files where this machine has them."
import gzip
import io
import subprocess
import sys

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import (CTImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian,
                         JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless, generate_uid)

from covid_mtnet.core import InputError
from covid_mtnet.images import read_image
from covid_mtnet.volumes import WINDOWS, decode_dicom, group_series, read_volume, save_nifti

ROW, COLUMN = np.meshgrid(np.linspace(0, 1, 48), np.linspace(0, 1, 40))
RAMP = ROW * .7 + COLUMN * .3  # (40, 48), no two directions alike
HU = np.rint(-1000 + 1400 * RAMP).astype(np.int16)
SLICE = dict(RescaleSlope=1, RescaleIntercept=0, ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
             ImagePositionPatient=[0, 0, 0], PixelSpacing=[.7, .8], SliceThickness=3,
             PatientID="A1", SeriesInstanceUID="1.2.3")


@pytest.fixture
def originals(shared_data):
    folder = shared_data / "originals-ct"
    if not folder.is_dir():
        pytest.skip("no original CT files here: set COVID_MTNET_DATA to a data root that has originals-ct")
    return folder


def dicom(stored, modality="CT", syntax=ExplicitVRLittleEndian, photometric="MONOCHROME2", drop=(), **tags):
    d = pydicom.Dataset()
    d.file_meta = pydicom.dataset.FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.SOPClassUID = CTImageStorage if modality == "CT" else DigitalXRayImageStorageForPresentation
    d.SOPInstanceUID, d.Modality = generate_uid(), modality
    d.set_pixel_data(stored, photometric, tags.pop("BitsStored", stored.itemsize * 8))
    for k, v in tags.items(): setattr(d, k, v)
    for k in drop: delattr(d, k)
    if syntax == RLELossless: d.compress(syntax, generate_instance_uid=False)
    if syntax == JPEG2000Lossless:
        d.PixelData = encapsulate([encode_array(stored, bits_stored=d.BitsStored, photometric_interpretation=2)])
        d["PixelData"].is_undefined_length, d.file_meta.TransferSyntaxUID = True, syntax
    out = io.BytesIO()
    d.save_as(out, enforce_file_format=True)
    return out.getvalue()


def nifti(array, affine, kind=nib.Nifti1Image): return kind(array, affine).to_bytes()


def canonical(volume, spacing=(3, .7, .8)):
    "NIfTI bytes (LPS axes) of slices (D, H, W) in the common view."
    return nifti(volume.transpose(2, 1, 0), np.diag([-spacing[2], -spacing[1], spacing[0], 1]))


EIGHT, TWELVE = np.rint(255 * RAMP).astype(np.uint8), np.rint(4095 * RAMP).astype(np.uint16)
FILMS = {"8 bit": dicom(EIGHT, "DX"), "12 bit": dicom(TWELVE, "DX", BitsStored=12),
         "16 bit": dicom((EIGHT * 257.).astype(np.uint16), "CR"),
         "MONOCHROME1": dicom(4095 - TWELVE, "DX", BitsStored=12, photometric="MONOCHROME1"),
         "RLE": dicom(TWELVE, "DX", RLELossless, BitsStored=12),
         "JPEG 2000": dicom(TWELVE, "DX", JPEG2000Lossless, BitsStored=12),
         "colour": dicom(np.repeat(EIGHT[..., None], 3, -1), "DX", photometric="RGB"),
         "window": dicom(TWELVE // 2 + 1000, "DX", BitsStored=12, WindowCenter=2024, WindowWidth=2048),
         "two windows": dicom(TWELVE // 2 + 1000, "DX", BitsStored=12, WindowCenter=[2024, 9], WindowWidth=[2048, 9]),
         "slope": dicom(TWELVE, "DX", BitsStored=12, RescaleSlope=2, RescaleIntercept=-50),
         "no modality": dicom(TWELVE, "DX", BitsStored=12, drop=["Modality"])}


@pytest.mark.parametrize("kind", FILMS)
def test_the_same_film_is_the_same_in_every_form(kind):
    image = read_image(FILMS[kind])
    assert np.abs(image.pixels - RAMP).max() <= 1.1 / 255
    assert image.info["modality"] == "xray" and image.info["inverted"] == (kind == "MONOCHROME1")
    assert image.info["unit"] == "stored"


SLICES = {"signed": dicom(HU, **SLICE),
          "unsigned": dicom((HU + 1024).astype(np.uint16), **SLICE | dict(RescaleIntercept=-1024)),
          "slope": dicom((HU // 2).astype(np.int16), **SLICE | dict(RescaleSlope=2)),
          "RLE": dicom(HU, syntax=RLELossless, **SLICE),
          "JPEG 2000": dicom((HU + 1024).astype(np.uint16), syntax=JPEG2000Lossless,
                             BitsStored=12, **SLICE | dict(RescaleIntercept=-1024)),
          "MONOCHROME1": dicom(HU, photometric="MONOCHROME1", **SLICE),
          "turned": dicom(np.ascontiguousarray(HU[::-1, ::-1]),
                          **SLICE | dict(ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])),
          "transposed": dicom(np.ascontiguousarray(HU.T),
                              **SLICE | dict(ImageOrientationPatient=[0, 1, 0, 1, 0, 0], PixelSpacing=[.8, .7])),
          "NIfTI": canonical(HU[None]), "NIfTI 2": nifti(HU.T[..., None], np.diag([-.8, -.7, 3, 1]), nib.Nifti2Image),
          "NIfTI, flat": nifti(HU.T, np.diag([-.8, -.7, 3, 1])),
          "gz": gzip.compress(canonical(HU[None].astype(np.float32)))}


@pytest.mark.parametrize("kind", SLICES)
def test_the_same_slice_is_the_same_in_every_form(kind):
    image = read_image(SLICES[kind])
    assert image.pixels.dtype == np.float32 and np.abs(image.pixels - RAMP).max() < 2 / 1400
    assert image.info["modality"] == "ct" and image.info["unit"] == "HU" and image.info["plane"] == "axial"
    assert image.info["spacing"] == pytest.approx((.7, .8))
    hash(image.info["patient"])


@pytest.mark.parametrize("bits", [8, 16])
def test_the_coloured_share_of_a_photograph_kept_as_dicom(bits):
    half = np.full((40, 48, 3), 100)
    half[:, :24, 0] = 200
    assert read_image(dicom(half.astype(f"uint{bits}") << (bits - 8), "OT", photometric="RGB")).info["colour"] == .5
    assert read_image(FILMS["colour"]).info["colour"] == read_image(FILMS["12 bit"]).info["colour"] == 0


def test_windows_are_in_hounsfield_units():
    for name, (low, high) in WINDOWS.items():
        pixels = read_image(SLICES["unsigned"], window=name).pixels
        assert np.abs(pixels - np.clip((HU - low) / (high - low), 0, 1)).max() < 1e-5
    assert read_image(SLICES["signed"], window=(-100, 100)).info["high"] == 100
    with pytest.raises(InputError, match="two rising numbers"): read_image(SLICES["signed"], window="bone")


def test_a_ct_without_a_slope_holds_no_hounsfield_units():
    image = read_image(dicom((HU + 1000).astype(np.uint16), drop=["RescaleSlope", "RescaleIntercept"],
                             BitsStored=12, **SLICE))
    assert image.info["unit"] == "stored" and (image.info["low"], image.info["high"]) == (0, 4095)


def test_missing_tags_are_no_fault():
    image = read_image(dicom(HU, **SLICE, drop=["PatientID", "PixelSpacing", "ImagePositionPatient",
                                                "ImageOrientationPatient", "SliceThickness", "SeriesInstanceUID"]))
    assert [image.info[k] for k in ("patient", "spacing", "plane", "series")] == [None] * 4
    assert np.abs(image.pixels - RAMP).max() < 1e-3
    assert read_image(dicom(EIGHT, "MG")).info["modality"] == "mg"
    assert read_image(dicom(EIGHT, "OT", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")).info["modality"] is None


def test_padding_is_background():
    for inverted, padding in (("MONOCHROME2", 4095), ("MONOCHROME1", 0)): # Each would be the brightest
        stored = np.clip(TWELVE, 1, 4094); stored[:, :5] = padding
        pixels = read_image(dicom(stored, "DX", BitsStored=12, photometric=inverted, PixelPaddingValue=padding)).pixels
        assert (pixels[:, :5] == 0).all() and pixels.max() > .5
    low = np.clip(TWELVE, 30, None); low[:, :5] = np.arange(20).reshape(-1, 1)[np.arange(len(low)) % 20]
    assert (read_image(dicom(low, "DX", BitsStored=12, PixelPaddingValue=20, PixelPaddingRangeLimit=0)).pixels[:, :5]
            == 0).all()


@pytest.mark.parametrize("table", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("bits", [8, 9, 12, 16])
@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_table_of_any_depth(table, bits, vr):
    curve, values = pydicom.Dataset(), ((2 ** bits - 1) * (np.arange(4096) / 4095) ** 2).astype(np.uint16)
    curve.add_new("LUTDescriptor", "US", [4096, 0, bits])
    curve.add_new("LUTData", vr, values.tobytes() if vr == "OW" else values.tolist())
    curve.ModalityLUTType = "US"
    image = read_image(dicom(TWELVE, "DX", BitsStored=12, **{table: [curve]}))
    assert np.abs((image.pixels if table == "VOILUTSequence"
                   else (image.pixels * (image.info["high"] - image.info["low"]) + image.info["low"]) / (2 ** bits - 1))
                  - RAMP ** 2).max() < 1.1 / 2 ** min(bits, 10)


def test_a_table_of_bytes():
    curve = pydicom.Dataset()
    curve.add_new("LUTDescriptor", "US", [4096, 0, 8])
    curve.add_new("LUTData", "OW", (255 * (np.arange(4096) / 4095) ** 2).astype(np.uint8).tobytes())
    assert np.abs(read_image(dicom(TWELVE, "DX", BitsStored=12, VOILUTSequence=[curve])).pixels
                  - RAMP ** 2).max() < 1.1 / 255


def test_a_window_that_shows_nothing():
    assert np.abs(read_image(dicom(TWELVE, "DX", BitsStored=12, WindowCenter=50000, WindowWidth=10)).pixels
                  - RAMP).max() < 1e-3


@pytest.mark.parametrize("function, high", [(None, 106), ("LINEAR", 106), ("LINEAR_EXACT", 107)])
def test_a_window_is_as_wide_as_its_function_says(function, high):
    stored = np.arange(90, 120, dtype=np.uint16).reshape(5, 6)
    image = read_image(dicom(stored, "DX", BitsStored=12, WindowCenter=105,
                             WindowWidth=4, **{"VOILUTFunction": function} if function else {}))
    assert (image.info["low"], image.info["high"]) == (103, high)
    assert np.abs(image.pixels - np.clip((stored - 103.) / (high - 103), 0, 1)).max() < 1e-6


def groups(**parts):
    "One functional group: a dataset of sequences with one item each."
    out = pydicom.Dataset()
    for name, tags in parts.items():
        item = pydicom.Dataset()
        for k, v in tags.items(): setattr(item, k, v)
        setattr(out, name, [item])
    return out


def test_frames_are_put_in_order_with_their_own_slopes():
    places, slopes = (2, 0, 1), (1, 2, 4)
    truth = np.stack([HU, HU // 2, HU // 4]) // 4 * 4
    frames = [groups(PlanePositionSequence=dict(ImagePositionPatient=[0, 0, 3. * p]),
                     PixelValueTransformationSequence=dict(RescaleSlope=slopes[i], RescaleIntercept=0))
              for i, p in enumerate(places)]
    shared = groups(PixelMeasuresSequence=dict(PixelSpacing=[.7, .8]),
                    PlaneOrientationSequence=dict(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]))
    stored = np.stack([truth[p] // s for p, s in zip(places, slopes)]).astype(np.int16)
    image = read_image(dicom(stored, PerFrameFunctionalGroupsSequence=frames, SharedFunctionalGroupsSequence=[shared]),
                       window=(-1000, 400))
    assert np.abs(image.pixels - np.clip((truth + 1000) / 1400, 0, 1)).max() < 1e-5
    assert image.info["spacing"] == (3, .7, .8) and image.info["pages"] == 3


def test_frames_without_positions_stay_in_their_order():
    image = read_image(dicom(np.stack([EIGHT, EIGHT // 2]), "XA"))
    assert image.pixels.shape == (2, 40, 48) and image.info["modality"] == "xa"
    assert image.pixels[0].mean() > image.pixels[1].mean()


STACK = np.stack([HU, HU // 2, HU // 3, HU // 5])


def write_series(folder, places=(0, 3, 6, 9), order=(2, 0, 3, 1), **tags):
    folder.mkdir(exist_ok=True)
    for n, k in enumerate(order):
        (folder / f"IM{n}").write_bytes(
            dicom(STACK[k], **SLICE | dict(ImagePositionPatient=[0, 0, places[k]], InstanceNumber=n) | tags))
    return folder


def test_a_series_out_of_order(tmp_path):
    image = read_image(write_series(tmp_path / "scan"))
    assert np.abs(image.pixels - np.clip((STACK + 1000) / 1400, 0, 1)).max() < 1e-5
    assert image.info["spacing"] == (3, .7, .8) and image.info["patient"] == "A1"
    assert image.info["missing"] == 0
    down = write_series(tmp_path / "down", ImageOrientationPatient=[1, 0, 0, 0, -1, 0])
    assert np.abs(read_image(down).pixels - image.pixels[:, ::-1]).max() < 1e-6
    assert read_image(sorted(down.iterdir())).pixels.shape == (4, 40, 48)


def test_a_series_whose_direction_is_written_with_noise(tmp_path):
    scan = write_series(tmp_path / "scan")
    (scan / "IM1").write_bytes(dicom(STACK[0], **SLICE | dict(ImagePositionPatient=[0, 0, 0], InstanceNumber=1,
                                                              ImageOrientationPatient=[1, 0, 0, 0, .999999, 0])))
    assert len(group_series(sorted(scan.iterdir()))) == 1 and read_image(scan).pixels.shape == (4, 40, 48)
    edge = tmp_path / "edge"; edge.mkdir()
    for n in range(4):
        (edge / f"{n}").write_bytes(dicom(STACK[n], **SLICE | dict(
            ImagePositionPatient=[0, 0, 3 * n], ImageOrientationPatient=[1, .0005 + (-1) ** n * 1e-7, 0, 0, 1, 0])))
    assert len(group_series(sorted(edge.iterdir()))) == 1 and read_image(edge).pixels.shape == (4, 40, 48)


def test_two_patients_are_two_scans_whatever_their_series_is_called(tmp_path):
    one, other = write_series(tmp_path / "a"), write_series(tmp_path / "b", PatientID="B2")
    assert [len(g) for g in group_series([*sorted(one.iterdir()), *sorted(other.iterdir())])] == [4, 4]
    with pytest.raises(InputError, match="one patient"): read_image([*one.iterdir(), *other.iterdir()])


def test_a_series_with_a_gap_a_repetition_or_a_broken_slice(tmp_path):
    assert read_image(write_series(tmp_path / "gap", places=(0, 3, 6, 15))).info["missing"] == 2
    with pytest.raises(InputError, match="one slice for each position"):
        read_image(write_series(tmp_path / "twice", places=(0, 3, 3, 6)))
    broken = write_series(tmp_path / "broken") / "IM2"
    broken.write_bytes(broken.read_bytes()[:-100])
    with pytest.raises(InputError, match="IM2: expected a whole DICOM"): read_image(tmp_path / "broken")
    two = write_series(tmp_path / "two")
    (two / "other").write_bytes(dicom(HU, **SLICE | dict(SeriesInstanceUID="9.9")))
    with pytest.raises(InputError, match="slices of one scan"): read_image(two)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="a folder of DICOM files"): read_image(tmp_path / "none")


def test_files_are_grouped_by_scan(tmp_path):
    scan = sorted(write_series(tmp_path / "a").iterdir())
    scout, film, picture = (tmp_path / n for n in ("scout", "film", "x.png"))
    scout.write_bytes(dicom(HU, **SLICE | dict(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])))
    film.write_bytes(dicom(EIGHT, "DX", SeriesInstanceUID="1.2.3")); picture.write_bytes(b"no image")
    assert sorted(map(len, group_series([*scan, scout, film, picture]))) == [1, 1, 1, 4]
    assert group_series([film, *scan])[1] == scan


AXES = {"RAS": np.diag([1, 1, 1, 1]), "LPS": np.diag([-1, -1, 1, 1]), "LAI": np.diag([-1, 1, -1, 1]),
        "ASR": np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])}


@pytest.mark.parametrize("axes", AXES)
def test_a_nifti_volume_has_one_orientation(axes):
    start = nib.Nifti1Image(STACK.transpose(2, 1, 0), np.diag([-.8, -.7, 3, 1]))
    turned = start.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(start.affine),
                                                                 nib.orientations.axcodes2ornt(axes)))
    assert "".join(nib.aff2axcodes(turned.affine)) == axes
    image = read_image(turned.to_bytes())
    assert np.abs(image.pixels - np.clip((STACK + 1000) / 1400, 0, 1)).max() < 1e-5
    assert image.info["spacing"] == pytest.approx((3, .7, .8))


@pytest.mark.parametrize("unit, mm", [("unknown", 1), ("mm", 1), ("meter", 1000), ("micron", .001)])
def test_the_spacing_of_a_nifti_volume_is_in_millimetres(unit, mm):
    volume = nib.Nifti1Image(STACK.transpose(2, 1, 0), np.diag([-.8 / mm, -.7 / mm, 3 / mm, 1]))
    volume.header.set_xyzt_units(unit)
    assert read_image(volume.to_bytes()).info["spacing"] == pytest.approx((3, .7, .8))


def test_masks_of_a_nifti_volume_in_metres_lie_where_it_lies(tmp_path):
    volume = nib.Nifti1Image(STACK.transpose(2, 1, 0), np.diag([-.0008, -.0007, .003, 1]))
    volume.header.set_xyzt_units("meter")
    image = read_image(volume.to_bytes())
    save_nifti(image.pixels > .5, image.info, tmp_path / "m.nii")
    np.testing.assert_allclose(nib.load(tmp_path / "m.nii").affine, np.diag([-.8, -.7, 3, 1]), atol=1e-4)


def test_slices_of_a_tilted_gantry_lie_where_their_headers_say(tmp_path):
    tilt = np.radians(15)
    along = [1, 0, 0, 0, float(np.cos(tilt)), float(-np.sin(tilt))]
    for k in range(4):
        (tmp_path / f"{k}.dcm").write_bytes(
            dicom(STACK[k], **SLICE | dict(ImageOrientationPatient=along, ImagePositionPatient=[0, 0, 5 * k])))
    info = read_volume(tmp_path).info
    corner = lambda k: (np.array(info["affine"]) @ [k, 0, 0, 1])[:3]
    np.testing.assert_allclose(corner(3) - corner(0), [0, 0, 15], atol=1e-4)


def test_a_voi_table_leaves_hounsfield_units_alone():
    table = groups(VOILUTSequence=dict(LUTDescriptor=[4096, -1024, 12], LUTData=np.arange(4096, dtype="<u2").tobytes()))
    image = read_image(dicom(HU, **SLICE, VOILUTSequence=table.VOILUTSequence))
    assert image.info["unit"] == "HU" and image.info["value_min"] == -1000


def test_blank_values_among_several_are_missing_values():
    image = read_image(dicom(TWELVE, "DX", BitsStored=12, WindowCenter=["", ""],
                             WindowWidth=["", ""], PixelSpacing=["", ""]))
    assert image.info["spacing"] is None and image.pixels.max() == 1


def test_a_slice_file_that_was_cut_off_is_named(tmp_path):
    for k in range(4):
        (tmp_path / f"{k}.dcm").write_bytes(dicom(STACK[k], **SLICE | dict(ImagePositionPatient=[0, 0, 3 * k])))
    (tmp_path / "3.dcm").write_bytes(b"")
    with pytest.raises(InputError, match="3.dcm"): read_volume(tmp_path)


def test_what_nifti_cannot_hold_is_said_and_nothing_is_left(tmp_path):
    for values, name in ((np.zeros((2, 4, 4), np.int64), "a.nii"), (np.zeros((2, 4, 4), np.float16), "a.nii"),
                         (np.zeros((2, 4, 4), np.uint8), "a.txt")):
        with pytest.raises(InputError, match=name): save_nifti(values, {}, tmp_path / name)
    assert not any(tmp_path.iterdir())
    with pytest.raises(InputError, match="a readable file"): read_volume(tmp_path / "none.dcm")


def test_nifti_that_is_no_ct_or_no_volume():
    plain = read_image(canonical(np.stack([EIGHT, EIGHT // 2])))
    assert plain.info["modality"] is None and plain.info["unit"] == "stored" and plain.pixels.max() == 1
    assert read_image(nifti(STACK.transpose(2, 1, 0)[..., None], np.diag([-1, -1, 1, 1]))).pixels.shape == (4, 40, 48)
    with pytest.raises(InputError, match="one volume of grey values"):
        read_image(nifti(np.zeros((4, 4, 4, 3), np.int16), np.eye(4)))
    with pytest.raises(InputError, match="one volume of grey values"):
        read_image(nifti(np.zeros((4, 4, 4), np.complex64), np.eye(4)))
    with pytest.raises(InputError, match="finite"): read_image(nifti(np.full((4, 4, 4), np.nan, np.float32), np.eye(4)))


def claims_more():
    data = bytearray(SLICES["NIfTI"]); data[42:48] = np.array([32000] * 3, "<i2").tobytes()
    return bytes(data)


@pytest.mark.parametrize("data, said", [(SLICES["signed"][:-50], "whole DICOM"),
                                        (SLICES["signed"][:600], "whole DICOM"), (SLICES["RLE"][:-400], "whole DICOM"),
                                        (SLICES["JPEG 2000"][:-300], "whole DICOM"),
                                        (SLICES["NIfTI"][:-20], "whole NIfTI"),
                                        (SLICES["gz"][:-30], "whole NIfTI"),
                                        (gzip.compress(b"x" * 999, mtime=0), "no NIfTI header"),
                                        (claims_more(), "voxels"),
                                        (dicom(EIGHT, "DX", drop=["PixelData"]), "header without pixels"),
                                        (b"\0" * 128 + b"DICM", "whole DICOM")])
def test_a_bad_file_is_named_with_the_reason(data, said, tmp_path):
    (tmp_path / "scan 7").write_bytes(data)
    with pytest.raises(InputError, match=said) as e: read_image(tmp_path / "scan 7")
    assert "scan 7" in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless], ids=["JPEG Lossless", "JPEG-LS"])
def test_a_compression_that_needs_the_extra_says_so(syntax):
    if get_decoder(syntax).is_available:
        pytest.skip("the extra covid_mtnet[jpeg] is installed: the compression is read")
    with pytest.raises(InputError, match=r"covid_mtnet\[jpeg\].*" + syntax.name.split(",")[0]):
        read_image(SLICES["JPEG 2000"].replace(JPEG2000Lossless.encode(),
                                               syntax.encode().ljust(len(JPEG2000Lossless), b"\0")))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted({**FILMS, **SLICES})), st.integers(0, 10 ** 6), st.binary(max_size=8), st.booleans())
def test_damaged_files_raise_nothing_but_inputerror(kind, place, noise, cut):
    data = {**FILMS, **SLICES}[kind]
    at = place % min(len(data), 900)  # headers, where the faults are
    data = data[:at] if cut else data[:at] + noise + data[at + len(noise):]
    try: a = read_image(data).pixels
    except InputError: return
    assert np.isfinite(a).all() and a.min() >= 0 and a.max() <= 1


def test_real_dicom_slices_are_one_scan(originals):
    files = sorted(originals.glob("*.dcm"))
    image = read_image(files)
    assert group_series(files) == [files] and image.pixels.shape == (2, 512, 512)
    assert image.info["modality"] == "ct" and image.info["spacing"] == (1, .625, .625)
    values = decode_dicom(files[0].read_bytes(), files[0])[0]
    assert values.min() == -2048
    assert np.median(values[(values > -990) & (values < -500)]) > -900
    assert .2 < image.pixels.mean() < .7


def test_real_nifti_volumes(originals):
    small, large = (read_image(originals / f"totalsegmentator_example_ct{n}.nii.gz") for n in ("_sm", ""))
    assert small.pixels.shape == (30, 101, 122) and large.pixels.shape == (112, 101, 122)
    assert small.info["spacing"] == (3, 3, 3) and small.info["modality"] == large.info["modality"] == "ct"
    bone = small.pixels[5] > .95
    assert np.average(np.arange(101), weights=bone.sum(1)) > 50  # the spine is below: the back is down
    dark = (small.pixels < .35)[:, 30:70, 30:90].sum((1, 2))
    assert dark[-1] > dark[0]  # the lung bases are in the last slices: the head comes last


def test_neither_pydicom_nor_nibabel_is_loaded_before_such_a_file_comes():
    code = "import sys, covid_mtnet.volumes; assert not {'pydicom', 'nibabel'} & set(sys.modules), 'loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)
