"The library is what the notebooks export, the notebooks are clean, and no line of code is too long."
import filecmp
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP, BIN = Path(__file__).resolve().parents[1], Path(sys.executable).parent
WIDTH = 120 # Of a line of code, in characters


def different(a, b, pattern):
    "Files that are missing on one side or differ."
    names = {p.relative_to(r) for r in (a, b) for p in r.rglob(pattern) if ".ipynb_checkpoints" not in p.parts}
    same = lambda n: (a / n).exists() and (b / n).exists() and filecmp.cmp(a / n, b / n, shallow=False)
    return sorted(str(n) for n in names if not same(n))


def exported(folder):
    "A copy of notebooks and library in `folder`, exported and cleaned."
    folder.mkdir()
    skipped = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("covid_mtnet", "nbs"): shutil.copytree(TOP / name, folder / name, ignore=skipped)
    for name in ("pyproject.toml", "settings.ini", "setup.py"): shutil.copy(TOP / name, folder)
    for command in ("nbdev-export", "nbdev-clean"):
        subprocess.run([BIN / command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def code():
    "Every line of code that readers meet: where it stands, and the line."
    for path in sorted(p for p in TOP.glob("nbs/**/*.ipynb") if ".ipynb_checkpoints" not in p.parts):
        for i, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "code":
                for line in "".join(cell["source"]).split("\n"): yield f"{path.relative_to(TOP)}, cell {i}", line
    for path in (TOP / "setup.py", *sorted(TOP.glob("docs/*.py")), *sorted(TOP.glob("tests/*.py"))):
        lines = path.read_text(encoding="utf-8").split("\n")
        for i, line in enumerate(lines, 1): yield f"{path.relative_to(TOP)}, line {i}", line


def main():
    with tempfile.TemporaryDirectory() as d:
        copy = exported(Path(d) / TOP.name)
        stale = different(TOP / "covid_mtnet", copy / "covid_mtnet", "*.py")
        dirty = different(TOP / "nbs", copy / "nbs", "*.ipynb")
    long = [(where, line) for where, line in code() if len(line) > WIDTH]
    for n in stale: print(f"covid_mtnet/{n} is not what its notebook exports: run nbdev-export")
    for n in dirty: print(f"nbs/{n} is not clean: run nbdev-clean")
    for where, line in long: print(f"{where}: {len(line)} characters, at most {WIDTH}: {line.strip()[:60]} ...")
    return 1 if stale or dirty or long else 0


if __name__ == "__main__": sys.exit(main())
