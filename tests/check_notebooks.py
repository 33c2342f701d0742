"The library is what the notebooks export, and the notebooks are clean; both are tried on a copy."
import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP, BIN = Path(__file__).resolve().parents[1], Path(sys.executable).parent


def different(a, b, pattern):
    "Files that are missing on one side or differ."
    names = {p.relative_to(r) for r in (a, b) for p in r.rglob(pattern) if ".ipynb_checkpoints" not in p.parts}
    return sorted(str(n) for n in names if not ((a / n).exists() and (b / n).exists() and filecmp.cmp(a / n, b / n, shallow=False)))


def main():
    with tempfile.TemporaryDirectory() as d:
        copy = Path(d) / TOP.name
        for name in ("covid_mtnet", "nbs"): shutil.copytree(TOP / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
        for name in ("pyproject.toml", "settings.ini", "setup.py"): shutil.copy(TOP / name, copy)
        for command in ("nbdev-export", "nbdev-clean"): subprocess.run([BIN / command], cwd=copy, check=True, stdout=subprocess.DEVNULL)
        stale, dirty = different(TOP / "covid_mtnet", copy / "covid_mtnet", "*.py"), different(TOP / "nbs", copy / "nbs", "*.ipynb")
    for n in stale: print(f"covid_mtnet/{n} is not what its notebook exports: run nbdev-export")
    for n in dirty: print(f"nbs/{n} is not clean: run nbdev-clean")
    return 1 if stale or dirty else 0


if __name__ == "__main__": sys.exit(main())
