"""Write the source of the site, `generate.py DIR`: pages from the notebooks, the library, results/,
data_manifests/ and weights/."""
import ast
import importlib
import inspect
import json
import os
import re
import shutil
import sys
from html import escape
from pathlib import Path

import pandas as pd
import yaml
from fastcore.docments import docments

from covid_mtnet import claims, manifests, packs, report, weights
from covid_mtnet.core import read_json, write_text
from covid_mtnet.evaluation import span
from covid_mtnet.graph import load_profile

TOP = Path(__file__).resolve().parents[1]
PROFILES = ("paper", "laptop", "compact") # whose account stands under the text, where several are committed
NOT_A_DIAGNOSIS = "**Research use, not a diagnosis.**"


# Markdown

def plain(value):
    "Text that Markdown leaves alone, but for `code` and [links](address)."
    parts = re.split(r"(`[^`]+`|\[[^\]]+\]\([^)]+\))", str(value))
    escaped = (p if i % 2 else re.sub(r"([\\*_<>\[\]$])", r"\\\1", p) for i, p in enumerate(parts))
    return "".join(escaped).replace("|", "\\|").replace("\n", " ")


def unbroken(text):
    "An interval, and n with its number, each on one line of a narrow column."
    text = re.sub(r"\bn = (?=\d)", "n\u00a0=\u00a0", text)
    text = re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", text)
    return re.sub(r"(?<=\d) to (?=−?\d)", "\u00a0to\u00a0", text)


def table(columns, rows):
    line = lambda cells: unbroken("| " + " | ".join(plain(c) for c in cells) + " |")
    return "\n".join([line(columns), "|" + " --- |" * len(columns), *map(line, rows)])


def folded(summary, text): return f"<details><summary>{escape(summary)}</summary>\n\n{text}\n\n</details>"


def toctree(names, caption="", depth=1, hidden=False):
    options = [f":caption: {caption}"] * bool(caption) + [":hidden:"] * hidden + [f":maxdepth: {depth}"]
    return "\n".join(["```{toctree}", *options, "", *names, "```"])


def text_of(path):
    "A text of docs/, its links into the checkout turned to the pages of the site."
    up = "../" * (path.relative_to(TOP / "docs").parent != Path("."))
    text = re.sub(r"\]\((?:\.\./)+nbs/", f"]({up}", path.read_text())
    return text.replace("](../data.md", "](../data/index.md") if up else text


def write_page(path, *parts):
    "Parts of a page, an empty line between any two."
    write_text(path, "\n\n".join(parts) + "\n")


# Notebooks

def markdown(text): return dict(cell_type="markdown", metadata={}, source=text)


def code(text, fold=False):
    tags = ["hide-input"] if fold else []
    return dict(cell_type="code", metadata=dict(tags=tags), source=text, outputs=[], execution_count=None)


def write_notebook(path, cells):
    about = dict(kernelspec=dict(name="python3", display_name="python3", language="python"),
                 language_info=dict(name="python", pygments_lexer="ipython3"))
    cells = [dict(c, id=f"cell-{i}") for i, c in enumerate(cells)]
    write_text(path, json.dumps(dict(cells=cells, metadata=about, nbformat=4, nbformat_minor=5)))


def cells(notebook): return [(c["cell_type"], "".join(c["source"])) for c in read_json(notebook)["cells"]]


def heading(notebook):
    "Title and subtitle."
    text = "\n".join(s for t, s in cells(notebook) if t == "markdown")
    subtitle = re.search(r"^> (.+)$", text, re.M)
    return re.search(r"^# (.+)$", text, re.M)[1], subtitle[1] if subtitle else ""


def listing(names, folder):
    "Each notebook of a folder, with its subtitle."
    rows = [(f"[{title}]({p.stem}.ipynb)", subtitle) for p in names for title, subtitle in [heading(p)]]
    return table(("notebook", "what for"), rows)


# The library

def parameters(thing):
    "Docments as a table."
    found = docments(thing, full=True)
    missing = inspect.Parameter.empty
    said = lambda n, p: n != "self" and (n != "return" or p.anno is not missing or p.docment)
    title = lambda n: "*returns*" if n == "return" else f"`{n}`"
    shown = lambda a: "" if a is missing else a.__name__ if isinstance(a, type) else str(a)
    is_function = lambda d: callable(d) and not isinstance(d, type)
    default = lambda d: "" if d is missing else "a function" if is_function(d) else f"`{d!r}`"
    rows = [(title(n), shown(p.anno), default(p.default), p.docment or "") for n, p in found.items() if said(n, p)]
    if not rows: return ""
    return table(("parameter", "type", "default", "shape, unit, range"), rows).replace(r"\*returns\*", "*returns*")


def bare(node):
    "The signature on one line."
    args = ast.parse(ast.unparse(node)).body[0].args
    for group in (args.posonlyargs, args.args): group[:] = [a for a in group if a.arg != "self"]
    return f"{node.name}({ast.unparse(args)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def described(kind, module, signature, thing, inside=()):
    fence = ":::" + ":" * bool(inside)
    text = plain(inspect.getdoc(thing) or ""), "", parameters(thing) if kind != "property" else ""
    return "\n".join([f"{fence}{{py:{kind}}} {signature}", f":module: {module}", "", *text, "", *inside, fence])


def definition(node, module):
    "A function or class, as Sphinx knows it: with an anchor, an entry in the index and a link to its source."
    thing = getattr(importlib.import_module(module), node.name)
    if isinstance(node, ast.FunctionDef): return described("function", module, bare(node), thing)
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    start = next((n for n in methods if n.name == "__init__"), None)
    signature = node.name + (bare(start)[len("__init__"):] if start else "")
    def member(n):
        kind, name = ("property", n.name) if is_property(n) else ("method", bare(n))
        return described(kind, module, f"{node.name}.{name}", getattr(thing, n.name))
    inside = [member(n) for n in methods if not n.name.startswith("_")]
    return described("class", module, signature, thing, inside)


def is_property(node): return any(getattr(d, "id", "") == "property" for d in node.decorator_list)


def exports(text):
    "The public functions and classes that a cell exports."
    if not text.startswith("#| export"): return []
    made = [n for n in ast.parse(re.sub(r"^#\|.*\n", "", text)).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return [n for n in made if not n.name.startswith("_")]


def lesson(notebook, out):
    "Page of one module."
    made, module = [], None
    for kind, text in cells(notebook):
        if kind == "markdown": made.append(markdown(text)); continue
        if found := re.match(r"#\| default_exp (\w+)", text): module = f"covid_mtnet.{found[1]}"; continue
        if text.startswith("#| hide"): continue
        public = exports(text)
        made += [markdown(definition(n, module)) for n in public] + [code(re.sub(r"^#\|.*\n", "", text), bool(public))]
    first = next(i for i, c in enumerate(made) if re.match("# ", c["source"]) and c["cell_type"] == "markdown")
    imports, made = made[:first], made[first:]
    source = f"`from {module} import ...`, exported from `nbs/api/{notebook.name}`."
    made[0]["source"] += f"\n\n```{{py:module}} {module}\n```\n\n{source}"
    write_notebook(out / "api" / notebook.name, made[:1] + [code(c["source"], True) for c in imports] + made[1:])


# Results

def number(row):
    v = row.get("value")
    return "" if v is None else f"{v:,}" if isinstance(v, int) else f"{v:.4f}".replace("-", "−")


def numbers(rows):
    def cells(r):
        name = ", ".join(filter(None, (r["name"], r.get("unit"))))
        interval = span(r) if r.get("low") is not None else ""
        return name, number(r), interval, r.get("n") or "", r["method"]
    return table(("number", "value", "95 % interval", "n", "method"), map(cells, rows))


def accounts(task):
    "Profile -> folder of each committed account of a task, the best first."
    return {p: d for p in PROFILES if (d := TOP / "results" / p / task).joinpath("metrics.json").exists()}


def figure_title(path):
    "What the paper's list of figures calls it, or its own name."
    if not path.name.startswith("fig"): return path.stem.replace("_", " ").capitalize()
    return claims.figure_list().set_index("number")["title"].get(int(path.name[3:5]), path.stem)


def picture(profile, task, path, out):
    "A committed figure, with the images that it shows."
    kept = out / "figures" / profile / task / path.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, kept)
    caption = f"{figure_title(path)}. Task {task}, profile {profile}."
    image, shown = f"![{caption}](/{kept.relative_to(out).as_posix()})", attribution(path)
    return f"{image}\n\n*{plain(caption)}* {NOT_A_DIAGNOSIS}" + (f"\n\n{shown}" if shown else "")


def attribution(path):
    listed = path.parent / "attribution.csv"
    if not listed.exists(): return ""
    rows = pd.read_csv(listed, dtype=str, keep_default_na=False)
    rows = rows[rows["figure"] == path.stem]
    if rows.empty: return ""
    rows = rows.reindex(columns=["upstream_name", "source_repo", "licence"], fill_value="not listed").to_numpy()
    return folded(f"Images shown ({len(rows)}) and their licences", table(("image", "from", "licence"), rows))


def seeds(profile, task):
    "What the seeds of a task spread over, where there are several."
    finished, tasks = report.finished(profile, further=True), load_profile(profile)["tasks"]
    rows = [(r["name"], r["n"], f"{r['mean']:.4f}", f"{r['sd']:.4f}", r["each"])
            for r in report.spread(finished, tasks) if r["task"] == task]
    if not rows: return ""
    columns = "number", "n", "mean", "standard deviation", "each seed, with its interval"
    return "Nothing but the seed changed:\n\n" + table(columns, rows)


def account(profile, task, folder, other=False):
    "What one run found."
    m, p = read_json(folder / "metrics.json"), read_json(folder / "provenance.json")
    given = yaml.safe_load((folder / "parameters.yaml").read_text()) or {}
    known = " ".join(f"[{s}](../data/{s}.md)" for s in sorted(p.get("manifests", {})))
    device = f"Device: {p['device']}, {p.get('backend', '')} {p.get('precision', '')}"
    how = f"Data: {known or 'none'}. {device}, seed {p.get('seed', '')}, commit `{str(p.get('commit'))[:10]}`."
    kept = [(f"`{k}`", f"`{v}`") for k, v in given.items() if k not in ("out_dir", "data_root")]
    name = f"Result of {task}, profile {profile}" if other else f"Result, profile {profile}"
    return "\n\n".join([
        f"## {name}", f"{NOT_A_DIAGNOSIS} {how}", numbers(claims.headlines(task, m)), seeds(profile, task),
        folded(f"All {len(m['rows'])} numbers of this run", numbers(m["rows"])),
        folded("Parameters of this run", table(("parameter", "value"), kept))])


def tasks_of(notebook):
    "The tasks that run a notebook, the one of the paper first."
    path = notebook.relative_to(TOP).as_posix()
    profiles = sorted((p.stem for p in (TOP / "config").glob("*.yaml")), key=lambda p: p != "paper")
    tasks = ((t, v) for p in profiles for t, v in load_profile(p)["tasks"].items())
    return list(dict.fromkeys(t for t, v in tasks if v["notebook"] == path and "of" not in v))


def state(task, best):
    "What a page of a run notebook shows: whose figures, or that there are none."
    if best:
        shown = f"Below: this notebook's text and code, with the figures of profile `{best}`."
        return f"{NOT_A_DIAGNOSIS} Task `{task}`. {shown} [The numbers](#result-profile-{best}) stand at the end."
    real = f", and `covid-mtnet reproduce --profile laptop --only {task}` on real images"
    more = real if task in load_profile("laptop")["tasks"] else ""
    what = f"task `{task}`" if task else "this notebook"
    return (f"```{{admonition}} Not run yet\nNo account of {what} on real images is committed. "
            f"`make reproduce` runs it on phantoms{more}.\n```\n\n{NOT_A_DIAGNOSIS}")


def run_page(notebook, out):
    "A run notebook with the figures that its committed run left, each under the cell that makes it."
    task, *others = tasks_of(notebook) or [None]
    found, made, shown = accounts(task) if task else {}, [], set()
    best = next(iter(found), None)
    for kind, text in cells(notebook):
        made.append(markdown(text) if kind == "markdown" else code(text))
        if len(made) == 1: made.append(markdown(state(task, best)))
        for name in re.findall(r'"(\w+)"', text) if kind == "code" and best else ():
            path = found[best] / "figures" / f"{name}.png"
            if not path.exists() or path in shown: continue
            shown.add(path)
            made.append(markdown(picture(best, task, path, out)))
    for t in (task, *others):
        for profile, folder in (accounts(t) if t else {}).items():
            rest = [p for p in sorted((folder / "figures").glob("*.png")) if p not in shown]
            pictures = (picture(profile, t, p, out) for p in rest)
            made.append(markdown("\n\n".join([account(profile, t, folder, t != task), *pictures])))
    write_notebook(out / notebook.parent.name / notebook.name, made)
    return task, list(found)


def folder_pages(name, title, about, out):
    "All run notebooks of a folder."
    books, rows = sorted((TOP / "nbs" / name).glob("*.ipynb")), []
    for p in books:
        task, found = run_page(p, out)
        called, what = heading(p)
        what = what.replace("Research use, not a diagnosis.", "")
        rows.append((f"[{called}]({p.name})", what, ", ".join(found) or "not run yet"))
    write_page(out / name / "index.md", f"# {title}", f"{about} {NOT_A_DIAGNOSIS}",
               table(("notebook", "what for", "committed runs"), rows), toctree([p.stem for p in books], hidden=True))


def claims_page(out):
    "The claims table of every profile with results, and its report."
    parts = []
    for profile in PROFILES:
        if not any((TOP / "results" / profile).glob("*/metrics.json")): continue
        page, _ = report.report(profile, out / "_reports")
        (out / "_extra" / "reports").mkdir(parents=True, exist_ok=True)
        shutil.move(page, out / "_extra" / "reports" / f"{profile}.html")
        finished = report.finished(profile, out / "_reports")
        t = claims.claims_table({k: read_json(f / "metrics.json") for k, f in finished.items()})
        counted = ", ".join(f"{n} {v}" for v, n in t["verdict"].value_counts().items())
        link = f'<a class="reference external" href="reports/{profile}.html">The whole report of profile {profile}</a>'
        t = t.drop(columns=["id", "profile"], errors="ignore")
        about = f"{counted}. {link}: one page with every figure, the data and the provenance."
        parts += [f"## Profile {profile}", about, table(t.columns, t.to_numpy())]
    shutil.rmtree(out / "_reports", ignore_errors=True)
    nothing = ["No run on real images is committed."]
    write_page(out / "claims.md", text_of(TOP / "docs" / "claims.md"), *(parts or nothing))


# Cards

def counts(rows):
    t = rows.assign(label=rows["label"].replace("", "(none)")).groupby(["label", "split"]).size().unstack(fill_value=0)
    t = t[[s for s in manifests.SPLITS if s in t]]
    rows = [(label, *map(int, r), int(sum(r))) for label, r in zip(t.index, t.to_numpy())]
    return table(("label", *t.columns, "all"), [*rows, ("all", *map(int, t.sum()), int(t.to_numpy().sum()))])


def flagged(rows):
    "Columns that mark faults, with how many rows they mark."
    for c in ("duplicate_of", "near_duplicate_of", "label_conflict", "mask_suspect", "colour_marks", "note"):
        if c not in rows: continue
        marked = rows[c].fillna(0).astype(str).replace({"": "0", "0.0": "0"}) != "0"
        if marked.any(): yield f"`{c}`", int(marked.sum())


def facts_of(m, published):
    "Facts of a set, each with its name."
    rows, meta = m.files, m.meta
    people = rows.groupby("split")["group"].nunique()
    sizes = sorted({f"{int(w)}x{int(h)}" for w, h in zip(rows["width"], rows["height"])})
    masks = ", ".join(f"`{c}` ({int((rows[c] != '').sum())})" for c in m.masks)
    packed = ", ".join(f"`{p}.zip`" for p in sorted(set(rows["pack"])) if p)
    return [("licence of the set", meta["licence"]), ("published at", f"[{meta['url']}]({meta['url']})"),
            ("published", published), ("images", f"{len(rows):,}"),
            ("pixels", sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes"), ("masks", masks or "none"),
            ("groups (patients, where known)", ", ".join(f"{s} {people[s]}" for s in manifests.SPLITS if s in people)),
            ("packs", packed or "none"), ("hash of files.csv", f"`{m.digest}`")]


GET_IT = """```sh
covid-mtnet data fetch {0}     # from the upstream addresses, resumable, checked where a hash is known
covid-mtnet data verify {0}    # every file against its hash
```"""


def data_card(name, out):
    m = manifests.load(name)
    rows, meta, about = m.files, m.meta, read_json(m.folder / "croissant.json")
    licences, marks = rows["licence"].value_counts(), list(flagged(rows))
    addresses = dict.fromkeys(u.split("#")[0] for u in meta["sources"])
    by_hand = packs.describe_sets()[name].get("by_hand")
    write_page(
        out / "data" / f"{name}.md", f"# {name}", f"> {about['alternateName']}", meta["description"],
        table(("fact", "value"), facts_of(m, about["datePublished"])),
        "## What for", meta["use"], "Splits are by group and stored; no run draws them.", counts(rows),
        "## Known faults", "\n".join(f"- {plain(f)}" for f in meta["faults"]),
        *(["Columns of `files.csv` that mark them:", table(("column", "images"), marks)] if marks else []),
        "## Licences per image", table(("licence", "images"), list(licences.items())),
        "The images are not part of this project.",
        "## Source", plain(meta["citeAs"] if "citeAs" in meta else meta["citation"]),
        "\n".join(f"- [{u}]({u})" for u in addresses),
        "## Get it", *([plain(by_hand)] if by_hand else []), GET_IT.format(name))
    return f"[{name}]({name}.md)", about["alternateName"], f"{len(rows):,}", meta["licence"], len(meta["faults"])


NETWORKS = {
    "irrcnn": ("IRRCNN", "classification", "covid_mtnet.irrcnn"),
    "nabla3": ("NABLA-3", "segmentation", "covid_mtnet.nabla"),
    "unet": ("U-Net", "segmentation", "covid_mtnet.nabla")}


def model_card(name, out):
    "Card of one network: what it is from the built model, what it reached from results/."
    title, kind, module = NETWORKS[name]
    build = getattr(importlib.import_module(module), name)
    model, narrow = build(), build(width=.25)
    gives, task = "probability of the region at every pixel", "image → mask"
    if kind == "classification": gives, task = "softmax probabilities of the classes", "image → class probabilities"
    facts = [("parameters", f"{model.count_params():,}; at a quarter of the width {narrow.count_params():,}"),
             ("input", f"{model.input_shape[1:]}, float32 in [0, 1]; any side that 32 divides"),
             ("output", f"{model.output_shape[1:]}, {gives}"),
             ("layers with weights", sum(bool(l.weights) for l in model.layers)),
             ("built by", f"{{py:func}}`{module}.{name}`")]
    trained, reached = trained_and_reached(name)
    columns = "task", "profile", "number", "value", "95 % interval", "n"
    before, after = text_of(TOP / "docs" / "models" / f"{name}.md").split("<!-- facts -->")
    write_page(
        out / "models" / f"{name}.md", before + raw_table(("fact", "value"), facts),
        "## Trained and tested on", table(("task", "data"), trained),
        "## What it reached", f"{NOT_A_DIAGNOSIS} On real images; n and a 95 % interval beside every number.",
        (table(columns, reached) if reached else "No run on real images is committed.") + "\n" + after.rstrip("\n"))
    return f"[{title}]({name}.md)", f"{model.count_params():,}", task, len({r[0] for r in reached}) or "none yet"


def trained_and_reached(name):
    "The tasks that train a network, with their data, and its headline numbers in results/."
    tasks = {t: v for t, v in load_profile("paper")["tasks"].items() if "of" not in v and used_in(t, name)}
    link = lambda t: f"[{t}](../{task_pages()[t]})"
    trained = [(link(t), ", ".join(f"[{s}](../data/{s}.md)" for s in v["data"]))
               for t, v in tasks.items() if "history.csv" in v["outputs"]]
    found = [(t, p, read_json(d / "metrics.json")) for t in tasks for p, d in accounts(t).items()]
    reached = [(link(t), p, r["name"], number(r), span(r), r["n"]) for t, p, m in found
               for r in m["rows"] if r.get("low") is not None and chosen(name, r["id"])]
    return trained, reached


def raw_table(columns, rows):
    "A table whose cells are Markdown already."
    return "\n".join("| " + " | ".join(map(str, r)) + " |" for r in (columns, ["---"] * len(columns), *rows))


def chosen(name, i):
    "Is this row a headline of that network?"
    one, several = r"test\.(auc|(accuracy|sensitivity|specificity)@val)", r".+\.test\.(auc|balanced_accuracy@val)"
    if name == "irrcnn": return bool(re.fullmatch(f"{one}|{several}", i))
    lungs = name in i and "refined" in i and bool(re.search(r"\.(dice|iou|hd95)$", i))
    return lungs or name == "nabla3" and bool(re.fullmatch(r"network\.\w+\.dice\.pooled", i))


def task_pages():
    "Task -> page of its notebook."
    return {t: re.sub("^nbs/", "", v["notebook"]) for t, v in load_profile("paper")["tasks"].items()}


def used_in(task, name):
    "Does the notebook of a task build this network?"
    text = "\n".join(s for t, s in cells(TOP / "nbs" / task_pages()[task]) if t == "code")
    sign = {"irrcnn": r"\birrcnn\(", "nabla3": r"segmentation\.(build|learner)|infection\.", "unet": r'"unet"'}[name]
    return bool(re.search(sign, text))


def weight_cards(out):
    "The cards of the networks that come with the library."
    names = []
    for path in sorted((TOP / "weights").glob("*/*/card.md")):
        kept, task = path.parent.parent.name, path.parent.name
        text = re.sub(r"^# .*", f"# Weights {kept}: {task}", path.read_text(), count=1)
        size = sum(p.stat().st_size for p in path.parent.rglob("*.h5")) / 1e6
        about = f"Part of the set `{kept}`: {size:.1f} MB in half precision, checked against `weights/registry.csv`."
        names.append(f"{kept}-{task}")
        write_text(out / "models" / f"{names[-1]}.md", f"{text}\n{about}\n")
    return names


# The site

def front(out):
    "The first page: the README's notebook, with its code run."
    text, ran = [], {}
    for kind, source in cells(TOP / "nbs" / "index.ipynb"):
        if kind == "code":
            exec(source.replace("Markdown(", "result = ("), ran)
            source = ran["result"]
        text.append(source)
    badges = r"^(!\[[^\]]*\]\([^)]+\.svg\)\s*)+$" # For the README
    text = re.sub(badges, "", "\n\n".join(text), flags=re.M).replace("](../docs/", "](")
    text = re.sub(r"^\|.*$", lambda line: unbroken(line[0]), text, flags=re.M)
    for path in sorted(set(re.findall(r"\]\(\.\./(results/[^)]+)\)", text))):
        kept = Path("figures", *Path(path).parts[1:3], Path(path).name)
        (out / kept).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / path, out / kept)
        text = text.replace(f"../{path}", f"/{kept.as_posix()}")
    for name in ("CONTRIBUTING", "CHANGELOG"): text = text.replace(f"](../{name}.md)", f"]({name.lower()}.md)")
    parts = {"Results": ["claims", "paper/index", "beyond/index", "tutorials/index"],
             "Use": ["howto/index", "data/index", "models/index"], "Inside": ["api/index", "contributing", "changelog"]}
    trees = (toctree(names, caption, hidden=True) for caption, names in parts.items())
    write_page(out / "index.md", text.replace("](../nbs/", "]("), *trees)


LIBRARY = """One notebook is one module; numbers are the order of dependence. What the paper prints is marked [P], \
what third parties show [T], what we chose [C]. Lesson cells are run by `make test`; open the notebook to see what \
they print."""


def library_pages(out):
    lessons = sorted((TOP / "nbs" / "api").glob("*.ipynb"))
    for p in lessons: lesson(p, out)
    write_page(out / "api" / "index.md", "# Library", LIBRARY, listing(lessons, "api"),
               toctree([p.stem for p in lessons], hidden=True))


def tutorial_pages(out):
    tutorials = sorted((TOP / "nbs" / "tutorials").glob("*.ipynb"))
    for p in tutorials:
        made = [markdown(s) if t == "markdown" else code(s) for t, s in cells(p)]
        write_notebook(out / "tutorials" / p.name, made)
    about = f"Each runs in a few minutes on phantoms. {NOT_A_DIAGNOSIS}"
    write_page(out / "tutorials" / "index.md", "# Tutorials", about,
               listing(tutorials, "tutorials"), toctree([p.stem for p in tutorials], hidden=True))


def data_pages(out):
    sets = [data_card(n, out) for n in manifests.SETS]
    text = text_of(TOP / "docs" / "data.md").replace("](howto/", "](../howto/")
    write_page(out / "data" / "index.md", "# Data", text,
               table(("set", "what", "images", "licence", "known faults"), sets), toctree(manifests.SETS, hidden=True))


def network_pages(out):
    networks, cards = [model_card(n, out) for n in NETWORKS], weight_cards(out)
    ready = "No set of trained weights is published yet: `covid-mtnet weights status` says what is."
    if cards: ready = "Weights of each task, with a card of its own:\n\n" + "\n".join(f"- [{n}]({n}.md)" for n in cards)
    write_page(out / "models" / "index.md", "# Networks", NOT_A_DIAGNOSIS,
               table(("network", "parameters", "from, to", "tasks with results"), networks),
               "## Trained weights", ready, toctree([*NETWORKS, *cards], hidden=True))


def main(out):
    out = Path(out).resolve()
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(TOP / "docs" / "howto", out / "howto")
    for path in (TOP / "docs" / "howto").glob("*.md"): write_text(out / "howto" / path.name, text_of(path))
    os.chdir(out)  # no folder of runs is here: what the site shows is committed
    for name in ("CONTRIBUTING", "CHANGELOG"): write_text(out / f"{name.lower()}.md", (TOP / f"{name}.md").read_text())
    front(out)
    library_pages(out)
    folder_pages("paper", "What the paper did", "One run notebook for each task of the paper.", out)
    folder_pages("beyond", "What the paper lacks", "Questions that the paper leaves open.", out)
    tutorial_pages(out)
    claims_page(out)
    data_pages(out)
    network_pages(out)


if __name__ == "__main__": main(sys.argv[1])
