import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")


LONG = ("test_networks", "test_prediction", "test_training", "test_tutorials", "test_report")


def pytest_collection_modifyitems(items):
    "The longest files first, so that no core waits at the end for one of them."
    items.sort(key=lambda i: LONG.index(i.path.stem) if i.path.stem in LONG else len(LONG))


SHARED = Path(os.environ.get("COVID_MTNET_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
needs_packs = pytest.mark.skipif(
    not (SHARED / "pneumonia-xray-224.zip").is_file() or (SHARED / "pneumonia_xray" / "files.csv").exists(),
    reason="needs the packs: set COVID_MTNET_DATA to a data root that holds them")


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory):
    "A small data root of phantoms, one pack per set."
    from covid_mtnet import phantoms
    root = tmp_path_factory.mktemp("phantoms")
    phantoms.write_root(root, n=40, size=48)
    return root


@pytest.fixture(scope="session")
def shared_data():
    "The real packs, where this machine has them."
    if not SHARED.is_dir(): pytest.skip("no real packs here: set COVID_MTNET_DATA to a data root")
    return SHARED
