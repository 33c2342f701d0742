import subprocess
import sys

import numpy as np
import pytest

from covid_mtnet import phantoms
from covid_mtnet.datasets import Preparation, prepare
from covid_mtnet.manifests import SETS, load, open_set


@pytest.mark.parametrize("make", [phantoms.xray, phantoms.ct])
def test_the_truth_is_exact_at_every_size(make):
    for seed, size in enumerate((48, 96, 192)):
        for pct in range(0, 101, 5):
            p = make(seed, "covid", pct, size)
            assert p.image.dtype == np.float32 and p.image.shape == (size, size)
            assert 0 <= p.image.min() and p.image.max() <= 1
            assert abs(p.infection.sum() - pct / 100 * p.lungs.sum()) <= 1 and not (p.infection & ~p.lungs).any()
            assert .05 < p.lungs.mean() < .5


def test_a_seed_gives_the_same_phantom_in_another_process():
    imports = "from covid_mtnet.phantoms import ct; from covid_mtnet.core import sha256"
    command = [sys.executable, "-c", f"{imports}; print(sha256(ct(5).image.tobytes()))"]
    said = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(said) == 1


def test_the_classes_look_different():
    def brightness(p): return p.image[p.lungs].mean()
    bright = {k: np.mean([brightness(phantoms.xray(s, k)) for s in range(30)]) for k in phantoms.CLASSES}
    assert bright["normal"] < bright["pneumonia"] and bright["normal"] < bright["covid"]


def test_every_set_is_read_like_a_real_one(phantom_root):
    for name in SETS:
        m, real = load(name, phantom_root), load(name)
        assert m.phantom and not real.phantom and m.masks == real.masks
        with open_set(m, phantom_root) as pack:
            for path in ["path", *m.masks]: assert pack.read(m.files[path].iloc[0])
        assert not m.files.groupby("group")["split"].nunique().gt(1).any()


def test_raw_ct_values_and_masks_survive_the_way(phantom_root, tmp_path):
    d = prepare("lung_seg_ct", Preparation(48, low=-820, high=330, masks=("lung_mask",)), phantom_root, tmp_path)
    truth = phantoms.ct(0, "normal", size=48)
    assert d.images[0, 0, 0, 0] == 0
    assert np.abs(d.images[0, 20:28, 20:28, 0] / 255. - truth.image[20:28, 20:28]).max() < .02
    assert (d.masks["lung_mask"][0, ..., 0] > 0).tolist() == truth.lungs.tolist()
