"The package as others get it: light to import, whole in a wheel, its lock and README in order."
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from check_lock import faults
from check_notebooks import TOP
from covid_mtnet.graph import load_profile

HEAVY = {"keras", "tensorflow", "jax", "pandas", "matplotlib", "sklearn", "skimage", "papermill", "snakemake"}


def loaded_by(code):
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(out.split())


@pytest.mark.parametrize("code", ["import covid_mtnet", "import covid_mtnet.cli; covid_mtnet.cli.parser()"])
def test_nothing_heavy_is_imported(code): assert not loaded_by(code) & HEAVY


def test_networks_and_training_are_imported_without_tensorflow():
    for module in ("irrcnn", "augmentation", "training"):
        code = f"import os; os.environ['KERAS_BACKEND'] = 'jax'; import covid_mtnet.{module}"
        pytest.importorskip("jax", reason="jax is not installed; it is part of the dev extra")
        assert "tensorflow" not in loaded_by(code)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    "The built wheel, unpacked into an empty folder, outside the checkout."
    d = tmp_path_factory.mktemp("wheel")
    def pip(command, *rest):
        subprocess.run([sys.executable, "-m", "pip", command, "--quiet", "--no-deps", *rest], check=True, cwd=d)
    pip("wheel", "--no-build-isolation", "--wheel-dir", d, TOP)
    pip("install", "--target", d / "site", *d.glob("*.whl"))
    return d


def run(installed, *command):
    "In an interpreter that sees the wheel before the checkout."
    code = (f"import sys; sys.path.insert(0, {str(installed / 'site')!r}); sys.argv[0] = 'covid-mtnet'; "
            "from covid_mtnet.cli import main; sys.exit(main())")
    return subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, cwd=installed)


def test_a_wheel_holds_everything_that_a_run_needs(installed):
    assert "covid_mtnet 0." in run(installed, "--version").stdout
    (installed / "data").mkdir(exist_ok=True)
    status = run(installed, "data", "status", "--data", "data")
    assert status.returncode == 0 and "pneumonia_xray" in status.stdout and "CC BY 4.0" in status.stdout
    dry, n = run(installed, "reproduce", "--dry-run"), len(load_profile("smoke")["tasks"])
    assert dry.returncode == 0 and f"{n} of {n} tasks to run" in dry.stdout, dry.stderr
    assert (installed / "site" / "bin" / "covid-mtnet").exists()
    share = installed / "site" / "covid_mtnet" / "share"
    assert {"Snakefile", "config", "data_manifests", "nbs"} <= {p.name for p in share.iterdir()}


def test_the_lock_names_no_address_and_no_path():
    assert not list(faults((TOP / "requirements.lock").read_text()))
    assert list(faults("a==1 \\\n    --hash=sha256:00\n--index-url https://example.org/simple"))
    assert list(faults("b==2"))


def test_every_requirement_is_locked_but_those_of_the_gpl_extra():
    parts = (TOP / "settings.ini").read_text().split("\njpeg_requirements =\n")
    ours, extra = (re.findall(r"^    ([a-z0-9-]+)>=", part, re.M) for part in parts)
    assert "pylibjpeg-libjpeg" in extra
    locked = set(re.findall(r"^([a-z0-9-]+)==", (TOP / "requirements.lock").read_text(), re.M))
    assert ours and set(ours) <= locked and not set(extra) & locked


def test_the_readme_is_the_index_notebook_and_its_numbers_are_the_results():
    from covid_mtnet.report import markdown_table
    readme = (TOP / "README.md").read_text()
    for beyond in (False, True): assert markdown_table(runs=TOP / "results", beyond=beyond) in readme
    cells = json.loads((TOP / "nbs" / "index.ipynb").read_text())["cells"]
    prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    headings = re.findall(r"^## .*$", prose, re.M)
    assert headings and all(h in readme for h in headings)
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert target.startswith("http") or (TOP / target).exists(), target
