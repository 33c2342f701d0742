"Sphinx configuration; docs/generate.py writes the pages."
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

TOP = Path(__file__).resolve().parents[1]
project, author = "COVID_MTNet, reproduced", "The covid_mtnet authors"
copyright = "The covid_mtnet authors, Apache-2.0. Research use, not a diagnosis"
extensions = ["myst_nb", "sphinx.ext.viewcode"]
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_code_prompt_show, nb_code_prompt_hide = "Source", "Source"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
viewcode_follow_imported_members = False
python_maximum_signature_line_length = 88
add_module_names = False
html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_context = dict(default_mode="auto")
html_theme_options = dict(
    navbar_persistent=[], use_download_button=False, use_fullscreen_button=False, use_repository_button=False,
    show_navbar_depth=1, show_toc_level=2)


def source(app, module):
    "Source of a module for viewcode, without importing it."
    path = TOP / f"{module.replace('.', '/')}.py"
    if not path.exists(): return None
    analyzer = ModuleAnalyzer.for_string(path.read_text(encoding="utf-8"), module)
    analyzer.analyze()
    return analyzer.code, analyzer.tags


def setup(app):
    app.connect("config-inited", lambda app, config: config.html_extra_path.append(str(Path(app.srcdir) / "_extra")))
    app.connect("viewcode-find-source", source)
