"Write the source of the site, `generate.py DIR`: pages from the notebooks, the library, results/, data_manifests/ and weights/."
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
    return "".join(p if i % 2 else re.sub(r"([\\*_<>\[\]$])", r"\\\1", p) for i, p in enumerate(parts)).replace("|", "\\|").replace("\n", " ")


def unbroken(text):
    "An interval, and n with its number, each on one line of a narrow column."
    for pattern, kept in ((r"\bn = (?=\d)", "n\u00a0=\u00a0"), (r"(?<=\d)–(?=\d)", "\u2060–\u2060"), (r"(?<=\d) to (?=−?\d)", "\u00a0to\u00a0")): text = re.sub(pattern, kept, text)
    return text


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


# Notebooks

def markdown(text): return dict(cell_type="markdown", metadata={}, source=text)


def code(text, fold=False): return dict(cell_type="code", metadata=dict(tags=["hide-input"] if fold else []), source=text, outputs=[], execution_count=None)


def write_notebook(path, cells):
    about = dict(kernelspec=dict(name="python3", display_name="python3", language="python"), language_info=dict(name="python", pygments_lexer="ipython3"))
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
    shown = lambda a: "" if a is inspect.Parameter.empty else a.__name__ if isinstance(a, type) else str(a)
    default = lambda d: "" if d is inspect.Parameter.empty else "a function" if callable(d) and not isinstance(d, type) else f"`{d!r}`"
    rows = [("*returns*" if n == "return" else f"`{n}`", shown(p.anno), default(p.default), p.docment or "") for n, p in found.items()
            if n != "self" and not (n == "return" and p.anno is inspect.Parameter.empty and not p.docment)]
    return table(("parameter", "type", "default", "shape, unit, range"), rows).replace(r"\*returns\*", "*returns*") if rows else ""


def bare(node):
    "The signature on one line."
    args = ast.parse(ast.unparse(node)).body[0].args
    for group in (args.posonlyargs, args.args): group[:] = [a for a in group if a.arg != "self"]
    return f"{node.name}({ast.unparse(args)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def described(kind, module, signature, thing, inside=()):
    fence = ":::" + ":" * bool(inside)
    return "\n".join([f"{fence}{{py:{kind}}} {signature}", f":module: {module}", "", plain(inspect.getdoc(thing) or ""), "", parameters(thing) if kind != "property" else "", "", *inside, fence])


def definition(node, module):
    "A function or class, as Sphinx knows it: with an anchor, an entry in the index and a link to its source."
    thing = getattr(importlib.import_module(module), node.name)
    if isinstance(node, ast.FunctionDef): return described("function", module, bare(node), thing)
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    start = next((n for n in methods if n.name == "__init__"), None)
    signature = node.name + (bare(start)[len("__init__"):] if start else "")
    inside = [described("property" if is_property(n) else "method", module, f"{node.name}.{n.name}" if is_property(n) else f"{node.name}.{bare(n)}", getattr(thing, n.name)) for n in methods if not n.name.startswith("_")]
    return described("class", module, signature, thing, inside)


def is_property(node): return any(getattr(d, "id", "") == "property" for d in node.decorator_list)


def lesson(notebook, out):
    "Page of one module."
    made, module = [], None
    for kind, text in cells(notebook):
        if kind == "markdown": made.append(markdown(text)); continue
        if found := re.match(r"#\| default_exp (\w+)", text): module = f"covid_mtnet.{found[1]}"; continue
        if text.startswith("#| hide"): continue
        source = re.sub(r"^#\|.*\n", "", text)
        public = [n for n in ast.parse(source).body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")] if text.startswith("#| export") else []
        made += [markdown(definition(n, module)) for n in public] + [code(source, bool(public))]
    first = next(i for i, c in enumerate(made) if re.match("# ", c["source"]) and c["cell_type"] == "markdown")
    imports, made = made[:first], made[first:]
    made[0]["source"] += f"\n\n```{{py:module}} {module}\n```\n\n`from {module} import ...`, exported from `nbs/api/{notebook.name}`."
    write_notebook(out / "api" / notebook.name, made[:1] + [code(c["source"], True) for c in imports] + made[1:])


# Results

def number(row):
    v = row.get("value")
    return "" if v is None else f"{v:,}" if isinstance(v, int) else f"{v:.4f}".replace("-", "−")


def numbers(rows):
    return table(("number", "value", "95 % interval", "n", "method"), [(f"{r['name']}{', ' + r['unit'] if r.get('unit') else ''}", number(r), span(r) if r.get("low") is not None else "", r.get("n") or "", r["method"]) for r in rows])


def accounts(task):
    "Profile -> folder of each committed account of a task, the best first."
    return {p: d for p in PROFILES if (d := TOP / "results" / p / task).joinpath("metrics.json").exists()}


def picture(profile, task, path, out):
    "A committed figure, with the images that it shows."
    kept = out / "figures" / profile / task / path.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, kept)
    title = claims.figure_list().set_index("number")["title"].get(int(path.name[3:5]), path.stem) if path.name.startswith("fig") else path.stem.replace("_", " ").capitalize()
    caption = f"{title}. Task {task}, profile {profile}."
    shown = attribution(path)
    return f"![{caption}](/{kept.relative_to(out).as_posix()})\n\n*{plain(caption)}* {NOT_A_DIAGNOSIS}" + (f"\n\n{shown}" if shown else "")


def attribution(path):
    listed = path.parent / "attribution.csv"
    rows = pd.read_csv(listed, dtype=str, keep_default_na=False) if listed.exists() else pd.DataFrame(columns=["figure"])
    rows = rows[rows["figure"] == path.stem]
    if rows.empty: return ""
    return folded(f"Images shown ({len(rows)}) and their licences", table(("image", "from", "licence"), rows.reindex(columns=["upstream_name", "source_repo", "licence"], fill_value="not listed").to_numpy()))


def account(profile, task, folder, other=False):
    "What one run found."
    m, p = read_json(folder / "metrics.json"), read_json(folder / "provenance.json")
    given = yaml.safe_load((folder / "parameters.yaml").read_text()) or {}
    known = " ".join(f"[{s}](../data/{s}.md)" for s in sorted(p.get("manifests", {})))
    how = f"Data: {known or 'none'}. Device: {p['device']}, {p.get('backend', '')} {p.get('precision', '')}, seed {p.get('seed', '')}, commit `{str(p.get('commit'))[:10]}`."
    settings = folded("Parameters of this run", table(("parameter", "value"), [(f"`{k}`", f"`{v}`") for k, v in given.items() if k not in ("out_dir", "data_root")]))
    seeds = [(r["name"], r["n"], f"{r['mean']:.4f}", f"{r['sd']:.4f}", r["each"]) for r in report.spread(report.finished(profile, further=True), load_profile(profile)["tasks"]) if r["task"] == task]
    seeds = "Nothing but the seed changed:\n\n" + table(("number", "n", "mean", "standard deviation", "each seed, with its interval"), seeds) if seeds else ""
    name = f"Result of {task}, profile {profile}" if other else f"Result, profile {profile}"
    return f"## {name}\n\n{NOT_A_DIAGNOSIS} {how}\n\n{numbers(claims.headlines(task, m))}\n\n{seeds}\n\n{folded('All ' + str(len(m['rows'])) + ' numbers of this run', numbers(m['rows']))}\n\n{settings}"


def tasks_of(notebook):
    "The tasks that run a notebook, the one of the paper first."
    path, profiles = notebook.relative_to(TOP).as_posix(), sorted((p.stem for p in (TOP / "config").glob("*.yaml")), key=lambda p: p != "paper")
    return list(dict.fromkeys(t for p in profiles for t, v in load_profile(p)["tasks"].items() if v["notebook"] == path and "of" not in v))


def run_page(notebook, out):
    "A run notebook with the figures that its committed run left, each under the cell that makes it."
    task, *others = tasks_of(notebook) or [None]
    found, made, shown = accounts(task) if task else {}, [], set()
    best = next(iter(found), None)
    on_real = f", and `covid-mtnet reproduce --profile laptop --only {task}` on real images" if task in load_profile("laptop")["tasks"] else ""
    state = (f"{NOT_A_DIAGNOSIS} Task `{task}`. Below: this notebook's text and code, with the figures of profile `{best}`. [The numbers](#result-profile-{best}) stand at the end." if best else
             f"```{{admonition}} Not run yet\nNo account of {'task `' + task + '`' if task else 'this notebook'} on real images is committed. `make reproduce` runs it on phantoms{on_real}.\n```\n\n{NOT_A_DIAGNOSIS}")
    for kind, text in cells(notebook):
        made.append(markdown(text) if kind == "markdown" else code(text))
        if len(made) == 1: made.append(markdown(state))
        for name in re.findall(r'"(\w+)"', text) if kind == "code" and best else ():
            path = found[best] / "figures" / f"{name}.png"
            if path.exists() and path not in shown: shown.add(path); made.append(markdown(picture(best, task, path, out)))
    for t in (task, *others):
        for profile, folder in (accounts(t) if t else {}).items():
            rest = [p for p in sorted((folder / "figures").glob("*.png")) if p not in shown]
            made.append(markdown("\n\n".join([account(profile, t, folder, t != task), *(picture(profile, t, p, out) for p in rest)])))
    write_notebook(out / notebook.parent.name / notebook.name, made)
    return task, list(found)


def folder_pages(name, title, about, out):
    "All run notebooks of a folder."
    books, rows = sorted((TOP / "nbs" / name).glob("*.ipynb")), []
    for p in books:
        task, found = run_page(p, out)
        rows.append((f"[{heading(p)[0]}]({p.name})", heading(p)[1].replace("Research use, not a diagnosis.", ""), ", ".join(found) or "not run yet"))
    write_text(out / name / "index.md", f"# {title}\n\n{about} {NOT_A_DIAGNOSIS}\n\n{table(('notebook', 'what for', 'committed runs'), rows)}\n\n{toctree([p.stem for p in books], hidden=True)}\n")


def claims_page(out):
    "The claims table of every profile with results, and its report."
    parts = []
    for profile in PROFILES:
        if not any((TOP / "results" / profile).glob("*/metrics.json")): continue
        page, _ = report.report(profile, out / "_reports")
        (out / "_extra" / "reports").mkdir(parents=True, exist_ok=True)
        shutil.move(page, out / "_extra" / "reports" / f"{profile}.html")
        t = claims.claims_table({k: read_json(f / "metrics.json") for k, f in report.finished(profile, out / "_reports").items()})
        counts = ", ".join(f"{n} {v}" for v, n in t["verdict"].value_counts().items())
        parts.append(f'## Profile {profile}\n\n{counts}. <a class="reference external" href="reports/{profile}.html">The whole report of profile {profile}</a>: one page with every figure, the data and the provenance.\n\n'
                     + (lambda t: table(t.columns, t.to_numpy()))(t.drop(columns=["id", "profile"], errors="ignore")))
    shutil.rmtree(out / "_reports", ignore_errors=True)
    text = text_of(TOP / "docs" / "claims.md")
    write_text(out / "claims.md", text + "\n\n" + ("\n\n".join(parts) or "No run on real images is committed.") + "\n")


# Cards

def counts(rows):
    t = rows.assign(label=rows["label"].replace("", "(none)")).groupby(["label", "split"]).size().unstack(fill_value=0)
    t = t[[s for s in manifests.SPLITS if s in t]]
    return table(("label", *t.columns, "all"), [*((l, *map(int, r), int(sum(r))) for l, r in zip(t.index, t.to_numpy())), ("all", *map(int, t.sum()), int(t.to_numpy().sum()))])


def flagged(rows):
    "Columns that mark faults, with how many rows they mark."
    for c in ("duplicate_of", "near_duplicate_of", "label_conflict", "mask_suspect", "colour_marks", "note"):
        if c in rows and (n := int((rows[c].fillna(0).astype(str).replace({"": "0", "0.0": "0"}) != "0").sum())): yield f"`{c}`", n


def data_card(name, out):
    m = manifests.load(name)
    rows, meta, about = m.files, m.meta, read_json(m.folder / "croissant.json")
    people = rows.groupby("split")["group"].nunique()
    sizes = sorted({f"{int(w)}x{int(h)}" for w, h in zip(rows["width"], rows["height"])})
    facts = [("licence of the set", meta["licence"]), ("published at", f"[{meta['url']}]({meta['url']})"), ("published", about["datePublished"]), ("images", f"{len(rows):,}"), ("pixels", sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes"),
             ("masks", ", ".join(f"`{c}` ({int((rows[c] != '').sum())})" for c in m.masks) or "none"), ("groups (patients, where known)", ", ".join(f"{s} {people[s]}" for s in manifests.SPLITS if s in people)),
             ("packs", ", ".join(f"`{p}.zip`" for p in sorted(set(rows["pack"])) if p) or "none"), ("hash of files.csv", f"`{m.digest}`")]
    licences, marks = rows["licence"].value_counts(), list(flagged(rows))
    text = [f"# {name}", f"> {about['alternateName']}", meta["description"], table(("fact", "value"), facts), "## What for", meta["use"], "Splits are by group and stored; no run draws them.", counts(rows),
            "## Known faults", "\n".join(f"- {plain(f)}" for f in meta["faults"]), *(["Columns of `files.csv` that mark them:", table(("column", "images"), marks)] if marks else []),
            "## Licences per image", table(("licence", "images"), list(licences.items())), "The images are not part of this project.",
            "## Source", plain(meta["citeAs"] if "citeAs" in meta else meta["citation"]), "\n".join(f"- [{u}]({u})" for u in dict.fromkeys(u.split("#")[0] for u in meta["sources"])),
            "## Get it", *([plain(by_hand)] if (by_hand := packs.describe_sets()[name].get("by_hand")) else []), f"```sh\ncovid-mtnet data fetch {name}     # from the upstream addresses, resumable, checked where a hash is known\ncovid-mtnet data verify {name}    # every file against its hash\n```"]
    write_text(out / "data" / f"{name}.md", "\n\n".join(text) + "\n")
    return f"[{name}]({name}.md)", about["alternateName"], f"{len(rows):,}", meta["licence"], len(meta["faults"])


NETWORKS = {"irrcnn": ("IRRCNN", "classification", "covid_mtnet.irrcnn"), "nabla3": ("NABLA-3", "segmentation", "covid_mtnet.nabla"), "unet": ("U-Net", "segmentation", "covid_mtnet.nabla")}


def model_card(name, out):
    "Card of one network: what it is from the built model, what it reached from results/."
    title, kind, module = NETWORKS[name]
    build = getattr(importlib.import_module(module), name)
    model, narrow = build(), build(width=.25)
    facts = [("parameters", f"{model.count_params():,}; at a quarter of the width {narrow.count_params():,}"), ("input", f"{model.input_shape[1:]}, float32 in [0, 1]; any side that 32 divides"), ("output", f"{model.output_shape[1:]}, " + ("softmax probabilities of the classes" if kind == "classification" else "probability of the region at every pixel")),
             ("layers with weights", sum(bool(l.weights) for l in model.layers)), ("built by", f"{{py:func}}`{module}.{name}`")]
    tasks = {t: v for t, v in load_profile("paper")["tasks"].items() if "of" not in v}
    found = {(p, t): read_json(d / "metrics.json") for t in tasks for p, d in accounts(t).items()}
    rows = [(t, p, r) for (p, t), m in found.items() if used_in(t, name) for r in m["rows"] if r.get("low") is not None and chosen(name, r["id"])]
    reached = [(f"[{t}](../{task_pages()[t]})", p, r["name"], number(r), span(r), r["n"]) for t, p, r in rows]
    trained = [(f"[{t}](../{task_pages()[t]})", ", ".join(f"[{s}](../data/{s}.md)" for s in tasks[t]["data"])) for t in tasks if "history.csv" in tasks[t]["outputs"] and used_in(t, name)]
    text = text_of(TOP / "docs" / "models" / f"{name}.md").split("<!-- facts -->")
    write_text(out / "models" / f"{name}.md", text[0] + raw_table(("fact", "value"), facts) + "\n\n## Trained and tested on\n\n" + table(("task", "data"), trained) + "\n\n## What it reached\n\n" + NOT_A_DIAGNOSIS + " On real images; n and a 95 % interval beside every number.\n\n"
               + (table(("task", "profile", "number", "value", "95 % interval", "n"), reached) if reached else "No run on real images is committed.") + "\n" + text[1])
    return f"[{title}]({name}.md)", f"{model.count_params():,}", "image → class probabilities" if kind == "classification" else "image → mask", len({t for t, _, _ in rows}) or "none yet"


def raw_table(columns, rows):
    "A table whose cells are Markdown already."
    return "\n".join("| " + " | ".join(map(str, r)) + " |" for r in (columns, ["---"] * len(columns), *rows))


def chosen(name, i):
    "Is this row a headline of that network?"
    if name == "irrcnn": return bool(re.fullmatch(r"test\.(auc|accuracy@val|sensitivity@val|specificity@val)|.+\.test\.(auc|balanced_accuracy@val)", i))
    return name in i and "refined" in i and bool(re.search(r"\.(dice|iou|hd95)$", i)) or (name == "nabla3" and bool(re.fullmatch(r"network\.\w+\.dice\.pooled", i)))


def task_pages():
    "Task -> page of its notebook."
    return {t: re.sub("^nbs/", "", v["notebook"]) for t, v in load_profile("paper")["tasks"].items()}


def used_in(task, name):
    "Does the notebook of a task build this network?"
    text = "\n".join(s for t, s in cells(TOP / "nbs" / task_pages()[task]) if t == "code")
    return bool(re.search({"irrcnn": r"\birrcnn\(", "nabla3": r"segmentation\.(build|learner)|infection\.", "unet": r'"unet"'}[name], text))


def weight_cards(out):
    "The cards of the networks that come with the library."
    rows = []
    for path in sorted((TOP / "weights").glob("*/*/card.md")):
        name = f"{path.parent.parent.name}-{path.parent.name}"
        size = sum(p.stat().st_size for p in path.parent.rglob("*.h5")) / 1e6
        write_text(out / "models" / f"{name}.md", re.sub(r"^# .*", f"# Weights {path.parent.parent.name}: {path.parent.name}", path.read_text(), count=1) + f"\nPart of the set `{path.parent.parent.name}`: {size:.1f} MB in half precision, checked against `weights/registry.csv`.\n")
        rows.append((name, path))
    return [n for n, _ in rows]


# The site

def front(out):
    "The first page: the README's notebook, with its code run."
    text, ran = [], {}
    for kind, source in cells(TOP / "nbs" / "index.ipynb"):
        if kind == "code":
            exec(source.replace("Markdown(", "result = ("), ran)
            source = ran["result"]
        text.append(source)
    text = re.sub(r"^(!\[[^\]]*\]\([^)]+\.svg\)\s*)+$", "", "\n\n".join(text), flags=re.M).replace("](../docs/", "](")  # badges are for the README
    text = re.sub(r"^\|.*$", lambda line: unbroken(line[0]), text, flags=re.M)
    for path in sorted(set(re.findall(r"\]\(\.\./(results/[^)]+)\)", text))):
        kept = Path("figures", *Path(path).parts[1:3], Path(path).name)
        (out / kept).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / path, out / kept)
        text = text.replace(f"../{path}", f"/{kept.as_posix()}")
    for name, target in (("CONTRIBUTING.md", "contributing.md"), ("CHANGELOG.md", "changelog.md")): text = text.replace(f"](../{name})", f"]({target})")
    text = text.replace("](../nbs/", "](")
    parts = toctree(["claims", "paper/index", "beyond/index", "tutorials/index"], "Results", hidden=True), toctree(["howto/index", "data/index", "models/index"], "Use", hidden=True), toctree(["api/index", "contributing", "changelog"], "Inside", hidden=True)
    write_text(out / "index.md", "\n\n".join([text, *parts]) + "\n")


def main(out):
    out = Path(out).resolve()
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(TOP / "docs" / "howto", out / "howto")
    for path in (TOP / "docs" / "howto").glob("*.md"): write_text(out / "howto" / path.name, text_of(path))
    os.chdir(out)  # no folder of runs is here: what the site shows is committed
    for name in ("CONTRIBUTING", "CHANGELOG"): write_text(out / f"{name.lower()}.md", (TOP / f"{name}.md").read_text())
    front(out)
    lessons = sorted((TOP / "nbs" / "api").glob("*.ipynb"))
    for p in lessons: lesson(p, out)
    write_text(out / "api" / "index.md", f"# Library\n\nOne notebook is one module; numbers are the order of dependence. What the paper prints is marked [P], what third parties show [T], what we chose [C]. Lesson cells are run by `make test`; open the notebook to see what they print.\n\n{listing(lessons, 'api')}\n\n{toctree([p.stem for p in lessons], hidden=True)}\n")
    folder_pages("paper", "What the paper did", "One run notebook for each task of the paper.", out)
    folder_pages("beyond", "What the paper lacks", "Questions that the paper leaves open.", out)
    tutorials = sorted((TOP / "nbs" / "tutorials").glob("*.ipynb"))
    for p in tutorials: write_notebook(out / "tutorials" / p.name, [markdown(s) if t == "markdown" else code(s) for t, s in cells(p)])
    write_text(out / "tutorials" / "index.md", f"# Tutorials\n\nEach runs in a few minutes on phantoms. {NOT_A_DIAGNOSIS}\n\n{listing(tutorials, 'tutorials')}\n\n{toctree([p.stem for p in tutorials], hidden=True)}\n")
    claims_page(out)
    sets = [data_card(n, out) for n in manifests.SETS]
    write_text(out / "data" / "index.md", f"# Data\n\n{text_of(TOP / 'docs' / 'data.md').replace('](howto/', '](../howto/')}\n\n{table(('set', 'what', 'images', 'licence', 'known faults'), sets)}\n\n{toctree(manifests.SETS, hidden=True)}\n")
    networks, cards = [model_card(n, out) for n in NETWORKS], weight_cards(out)
    ready = "Weights of each task, with a card of its own:\n\n" + "\n".join(f"- [{n}]({n}.md)" for n in cards) if cards else "No set of trained weights is published yet: `covid-mtnet weights status` says what is."
    write_text(out / "models" / "index.md", f"# Networks\n\n{NOT_A_DIAGNOSIS}\n\n{table(('network', 'parameters', 'from, to', 'tasks with results'), networks)}\n\n## Trained weights\n\n{ready}\n\n{toctree([*NETWORKS, *cards], hidden=True)}\n")


if __name__ == "__main__": main(sys.argv[1])
