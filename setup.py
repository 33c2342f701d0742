"""Packaging: metadata from settings.ini, version from covid_mtnet/__init__.py, and the
files a run needs beside the library (manifests, notebooks, profiles) as package data."""
import re
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
SHARED = (  # a folder not there yet is passed over
    "data_manifests", "config", "nbs/paper", "nbs/beyond", "nbs/tutorials", "Snakefile", "results", "weights")
IGNORED = shutil.ignore_patterns(".*", "__pycache__")


class BuildWithShare(build_py):
    "Copy the shared files into covid_mtnet/share, where core.resource finds them."
    def run(self):
        super().run()
        if self.editable_mode: return
        for name in SHARED:
            src, dst = HERE / name, Path(self.build_lib) / "covid_mtnet" / "share" / name
            if src.is_dir(): shutil.copytree(src, dst, dirs_exist_ok=True, ignore=IGNORED)
            elif src.exists(): dst.parent.mkdir(parents=True, exist_ok=True); shutil.copy2(src, dst)


cfg = ConfigParser(delimiters=["="])
cfg.read(HERE / "settings.ini", encoding="utf-8")
cfg = cfg["DEFAULT"]
lines = lambda key: [o for o in cfg.get(key, "").split("\n") if o.strip()]
version = re.search(r'__version__ = "([^"]+)"', (HERE / "covid_mtnet/__init__.py").read_text())[1]
readme = HERE / "README.md"

setup(
    version=version, description=cfg["description"], keywords=cfg["keywords"].split(),
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    author=cfg["author"], author_email=cfg["author_email"],
    packages=["covid_mtnet"], include_package_data=True,
    install_requires=lines("requirements"),
    extras_require={name: lines(f"{name}_requirements") for name in ("dev", "kaggle", "jpeg")},
    entry_points={
        "console_scripts": ["covid-mtnet=covid_mtnet.cli:main"], "nbdev": ["covid_mtnet=covid_mtnet._modidx:d"]},
    cmdclass={"build_py": BuildWithShare})
