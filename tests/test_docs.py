"The built site as a reader meets it, offline; and the commands that the texts name."
import functools
import http.server
import re
import shlex
import shutil
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from covid_mtnet.cli import parser

TOP = Path(__file__).resolve().parents[1]
SITE = TOP / "_docs"
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
LOOK = ("index.html", "claims.html", "api/index.html", "api/45_nabla.html",
        "api/50_training.html", "paper/20_chest_seg_xray.html", "beyond/index.html", "tutorials/50_claims.html",
        "data/covid_xray.html", "models/nabla3.html", "howto/slurm.html",
        "contributing.html", "genindex.html", "_modules/covid_mtnet/nabla.html", "reports/laptop.html")
TEXTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]


class Page(HTMLParser):
    "Anchors of a page, its links, and what it loads by itself."
    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.anchors |= {a[k] for k in ("id", "name") if a.get(k)}
        if tag in ("a", "area") and a.get("href"): self.links.append(a["href"])
        elif tag == "link" and a.get("rel") not in ("canonical", "author"): self.loads.append(a.get("href", ""))
        else: self.loads += [a[k] for k in ("src", "data", "poster") if a.get(k) and tag != "div"]


def html(site):
    return [p for p in sorted(site.rglob("*.html"))
            if "_static" not in p.relative_to(site).parts]  # the theme's templates lie there


def dead(site):
    "Links inside the site that lead nowhere, `page -> link`."
    pages = {p: Page(p.read_text(encoding="utf-8")) for p in html(site)}
    for p, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc: continue
            target = (p.parent / unquote(parts.path)).resolve() if parts.path else p
            if target.is_dir(): target /= "index.html"
            if not target.is_file() or (parts.fragment and target in pages
                                        and unquote(parts.fragment) not in pages[target].anchors):
                yield f"{p.relative_to(site)} -> {link}"


@pytest.fixture(scope="module")
def site():
    if not (SITE / "index.html").exists(): pytest.skip("no site here: make docs")
    return SITE


@pytest.fixture(scope="module")
def browse(site):
    "Opens pages of the served site at a width; what was asked of anybody else is listed."
    if not CHROMIUM: pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *a: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}/"
    with sync_playwright() as p:
        browser, abroad = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]), []

        def opened(path, width, start=home):
            page = browser.new_page(viewport={"width": width, "height": 844})
            page.on("request",
                    lambda r: abroad.append(r.url) if not r.url.startswith((start, "data:", "blob:")) else None)
            page.goto(start + path, wait_until="load")
            return page

        yield opened, abroad
        browser.close()
    server.shutdown()


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.relative_to(TOP).as_posix())
def test_links_of_the_checkout_lead_somewhere(path):
    links = [l.split("#")[0] for l in re.findall(r"\]\(([^)\s]+)\)", path.read_text()) if not urlsplit(l).scheme]
    assert [l for l in links if l and not (path.parent / unquote(l)).exists()] == []


def test_no_link_inside_the_site_is_dead(site):
    assert len(html(site)) > 80
    assert not list(dead(site))


def test_no_markup_is_left_over(site):
    for p in html(site):
        article = p.read_text(encoding="utf-8").partition("<article")[2].partition("</article")[0]
        assert article or p.name == "search.html" or p.parent.name == "reports", p
        assert not re.search(r"`{3}\{|:::|\{py:", article), p


def test_a_dead_link_would_be_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a><a href="b.html#gone">2</a><a href="c.html">3</a><img src="d.png">'
        '<a href="https://example.org">4</a>')
    (tmp_path / "b.html").write_text('<p id="here">')
    assert list(dead(tmp_path)) == ["a.html -> b.html#gone", "a.html -> c.html", "a.html -> d.png"]


def test_no_page_asks_for_anything_elsewhere(site):
    pages = {p: Page(p.read_text(encoding="utf-8")).loads for p in html(site)}
    assert not [f"{p.relative_to(site)}: {u}" for p, loads in pages.items() for u in loads if urlsplit(u).netloc]
    css = {p: re.findall(r"url\(\s*['\"]?((?:https?:)?//[^)]+)", p.read_text(encoding="utf-8"))
           for p in site.rglob("*.css")}
    assert not {p: u for p, u in css.items() if u}


@pytest.mark.parametrize("path", LOOK)
def test_a_page_fits_a_phone_and_asks_nobody(browse, path):
    opened, abroad = browse
    page = opened(path, 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not abroad
    page.close()


@pytest.mark.parametrize("start", ["served", "files"])
def test_search_finds_the_page(browse, start):
    opened, abroad = browse
    page = opened("search.html?q=hausdorff", 900, *([f"file://{SITE}/"] if start == "files" else []))
    page.wait_for_selector("#search-results li a", timeout=20_000)
    found = page.eval_on_selector_all("#search-results li a", "a => a.map(x => x.getAttribute('href'))")
    assert any("62_masks" in f for f in found) and not abroad
    page.close()


def test_every_function_of_the_library_has_an_entry_with_its_source(site):
    import ast
    for module in sorted((TOP / "covid_mtnet").glob("[a-z]*.py")):
        public = [n.name for n in ast.parse(module.read_text(encoding="utf-8")).body
                  if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")]
        notebook = re.search(r"nbs/api/(\w+)\.ipynb", module.read_text(encoding="utf-8"))[1]
        page = Page((site / "api" / f"{notebook}.html").read_text(encoding="utf-8"))
        for name in public:
            assert f"covid_mtnet.{module.stem}.{name}" in page.anchors
            assert f"../_modules/covid_mtnet/{module.stem}.html#{name}" in page.links


def test_every_run_notebook_shows_its_committed_figures_or_says_that_there_is_none(site):
    from covid_mtnet.graph import load_profile
    for name, task in load_profile("laptop")["tasks"].items():
        page = (site / re.sub("^nbs/", "", task["notebook"])).with_suffix(".html").read_text(encoding="utf-8")
        figures = [p.name for p in (TOP / "results" / "laptop" / name / "figures").glob("*.png")]
        assert "not a diagnosis" in page
        if (TOP / "results" / "laptop" / name / "metrics.json").exists():
            assert "95 %" in page and all(f[:-4] in page for f in figures), name


def commands():
    "Every `covid-mtnet` line of a shell block, whole; every span that begins so, which may stop early."
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.M | re.S):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                at = next((i for i, w in enumerate(words) if re.fullmatch(r"(.*/)?covid-mtnet|covid-mtnet:\w+", w)),
                          None)
                if at is not None and "build" not in words[:at]:
                    yield pytest.param(words[at + 1:], True, id=f"{path.name}: {line.strip()[:60]}")
        for span in re.findall(r"`(?:\.venv/bin/)?covid-mtnet ([^`]+)`", text):
            yield pytest.param(re.split(r"\[| \| ", span)[0].split(), False, id=f"{path.name}: `{span[:40]}`")


@pytest.mark.parametrize("words, whole", list(commands()))
def test_a_documented_command_exists(words, whole, capsys):
    try: parser().parse_args(words)
    except SystemExit as e:
        said = capsys.readouterr().err
        assert e.code == 0 or (not whole and "arguments are required" in said), said
