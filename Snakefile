# The graph of run notebooks: one rule per task of a profile (config/<profile>.yaml).
# `covid-mtnet reproduce` is the usual way in; on a cluster the same graph takes an executor plug-in.
import shlex
import sys

from covid_mtnet import graph

PROFILE, RUNS, DATA = map(str, (config["profile"], config.get("runs", "runs"), config.get("data", "")))  # str: Snakemake makes a number of a folder named 2026
GRAPH = graph.rules(PROFILE, RUNS, DATA)
THREADS = graph.threads(PROFILE, workflow.cores)
RUN = "TF_NUM_INTRAOP_THREADS={threads} " + " ".join(map(shlex.quote, [sys.executable, "-m", "covid_mtnet.cli", "task", PROFILE, "--runs", RUNS, *(["--data", DATA] if DATA else [])]))


rule all:
    input: [o for r in GRAPH.values() for o in map(str, r["output"])]


for name, r in GRAPH.items():
    rule:
        name: name
        input: list(map(str, r["input"]))
        output: list(map(str, r["output"]))
        log: notebook=str(r["log"])
        threads: THREADS
        priority: r["priority"]
        params: name=name
        shell: RUN + " {params.name:q}"
