#!/usr/bin/env python3
"""The action of action.yml: submits a file of tasks, waits, and shows what came of them.

It needs Python 3.8, the program `windlass` on PATH or in an image that docker can fetch, and nothing of GitHub but the variables that a runner sets; without
them it prints the same to the terminal:

    INPUT_FILE=tasks.jsonl WINDLASS_REDIS_URL=redis://127.0.0.1:6379 deploy/github/run.py

Exit code: 0; 1 if a task failed or a line was rejected; else that of the command that failed (README.md, exit codes).
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# A runner shows so many annotations of a kind for a step; what is beyond stands in the summary.
SHOWN = 10
# How GitHub calls the severities that a review may use.
LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def given(name, default=""):
    return os.environ.get(f"INPUT_{name}", "").strip() or default


PROGRAM = ["windlass"]


def windlass(*words, **options):
    return subprocess.run([*PROGRAM, *words], **options)


def find_program(folder):
    """The one on PATH, else that of the image."""
    if shutil.which(PROGRAM[0]):
        return
    if not given("IMAGE"):
        sys.exit("windlass: there is no program `windlass` on PATH; install it, or give the input `image`")
    made = subprocess.run(["docker", "create", given("IMAGE")], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    PROGRAM[0] = str(folder / "windlass")
    subprocess.run(["docker", "cp", f"{made}:/usr/local/bin/windlass", PROGRAM[0]], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["docker", "rm", made], check=True, stdout=subprocess.DEVNULL)


def escape(text, more=""):
    """As workflow commands want it. What a task says must not become a command."""
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


class Annotations:
    def __init__(self):
        self.counts = collections.Counter()

    def add(self, level, message, title="", file="", line=None):
        self.counts[level] += 1
        if self.counts[level] > SHOWN:
            return
        where = {"title": title, "file": file, "line": str(line or "") if file else ""}
        properties = ",".join(f"{key}={escape(value, ':,')}" for key, value in where.items() if value)
        print(f"::{level} {properties}::{escape(message)}" if properties else f"::{level}::{escape(message)}", flush=True)

    def hidden(self):
        return sum(max(0, count - SHOWN) for count in self.counts.values())


def batch_name():
    """The same for each attempt of a job, so that running it again submits nothing twice."""
    made = "-".join(os.environ.get(name, "") for name in ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_JOB"))
    name = given("BATCH") or (f"gh-{made}" if made.strip("-") else f"local-{os.getpid()}")
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def submit(batch, folder, notes):
    """Submits the file. Gives the counts, and whether the fleet may be asked further."""
    rejects = folder / "rejects.jsonl"
    words = ["submit", "--file", given("FILE"), "--batch", batch, "--rejects", str(rejects), "--output", "json"]
    for flag, name in (("--queue", "QUEUE"), ("--budget", "BUDGET"), ("--config", "CONFIG")):
        if given(name):
            words += [flag, given(name)]
    done = windlass(*words, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        notes.add("error", f"windlass submit ended with exit code {done.returncode}; the log says why", "Windlass")
        sys.exit(done.returncode)
    for text in rejects.read_text(encoding="utf-8").splitlines() if rejects.exists() else []:
        line = json.loads(text)
        notes.add("error", line["error"]["message"], f"rejected: {line['error']['class']}", given("FILE"), line["line"])
    counts = json.loads(done.stdout)
    # Somebody runs the job again: what failed gets another life, what is finished is kept.
    if counts["duplicates"] and int(os.environ.get("GITHUB_RUN_ATTEMPT") or 1) > 1:
        windlass("retry", "--batch", batch, stdout=subprocess.DEVNULL)
    return counts


def wait(batch, notes):
    """Waits as long as was said. True if all of the batch is finished."""
    patience = given("WAIT", "30m")
    if patience in ("0", "0s", "false", "no"):
        return False
    done = windlass("wait", "--batch", batch, "--timeout", patience, stdout=subprocess.DEVNULL)
    if done.returncode == 5:
        notes.add("error", f"not finished within {patience}; what was submitted goes on: windlass wait --batch {batch}", "Windlass")
    elif done.returncode not in (0, 1):
        notes.add("error", f"windlass wait ended with exit code {done.returncode}; the log says why", "Windlass")
        sys.exit(done.returncode)
    return done.returncode != 5


def source_of(task):
    """The file that a task is about, if it says so."""
    for place, name in (("metadata", "file"), ("payload", "target_file")):
        value = (task.get(place) or {}).get(name) if isinstance(task.get(place), dict) else None
        if isinstance(value, str):
            return value
    return ""


def annotate(task, notes):
    """A failed task is an error at its file; what a review found stands at its lines."""
    file = source_of(task)
    if task["state"] != "completed":
        error = task.get("error") or {"class": task["state"], "message": task.get("reason") or ""}
        notes.add("error", f"{task['ref']}: {error['message']}", f"{task['type']}: {error['class']}", file)
        return
    answer = (task.get("result") or {}).get("json") if isinstance(task.get("result"), dict) else None
    findings = answer.get("findings") if isinstance(answer, dict) else None
    for finding in findings if isinstance(findings, list) else []:
        if isinstance(finding, dict) and finding.get("severity") in LEVELS and file:
            text = "\n".join(str(finding[key]) for key in ("message", "advice") if finding.get(key))
            notes.add(LEVELS[finding["severity"]], text, task["type"], file, finding.get("line"))


def cost_of(task):
    cost = (task.get("result") or task.get("ledger") or {})
    cost = cost.get("cost_usd") if isinstance(cost, dict) else None
    return cost if isinstance(cost, (int, float)) else 0


def results(batch, path, notes):
    """Writes the finished tasks into a file. Gives counts by state and by type, and the cost."""
    states, types, cost = collections.Counter(), collections.defaultdict(collections.Counter), 0
    words = [*PROGRAM, "results", "--batch", batch, *(["--write", given("WRITE")] if given("WRITE") else [])]
    # What the lay-down of files says of files that it leaves alone goes to the log.
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as asked, path.open("w", encoding="utf-8") as kept:
        for line in asked.stdout:
            kept.write(line)
            task = json.loads(line)
            states[task["state"]] += 1
            types[task["type"]][task["state"]] += 1
            cost += cost_of(task)
            annotate(task, notes)
    if asked.returncode not in (0, 1):
        notes.add("error", f"windlass results ended with exit code {asked.returncode}; the log says why", "Windlass")
        sys.exit(asked.returncode)
    return states, types, cost


def append(variable, text):
    if os.environ.get(variable):
        with open(os.environ[variable], "a", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="")


def summary(batch, outputs, types, notes):
    lines = [f"### Windlass: batch `{batch}`", "", "| type | completed | failed | cancelled | expired |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in sorted(types):
        counts = types[name]
        lines.append(f"| `{name}` | {counts['completed']} | {counts['failed']} | {counts['cancelled']} | {counts['expired']} |")
    said = f"{outputs['accepted']} accepted, {outputs['duplicates']} known already, {outputs['rejected']} rejected"
    lines += ["", f"{said}; {outputs['unfinished']} not finished; ${outputs['cost-usd']}"]
    if notes.hidden():
        lines += ["", f"{notes.hidden()} more annotations are not shown: `windlass results --batch {batch}` has all."]
    append("GITHUB_STEP_SUMMARY", "\n".join(lines) + "\n")


def main():
    if not given("FILE"):
        sys.exit("windlass: the input `file` is missing")
    notes = Annotations()
    folder = Path(tempfile.mkdtemp(prefix="windlass-", dir=os.environ.get("RUNNER_TEMP")))
    find_program(folder)
    batch = batch_name()
    counts = submit(batch, folder, notes)
    total = counts["accepted"] + counts["duplicates"]
    # A batch without tasks is not known, and there is nothing to wait for.
    finished = total == 0 or wait(batch, notes)
    path = folder / "results.jsonl"
    path.touch()
    states, types, cost = results(batch, path, notes) if total else (collections.Counter(), {}, 0)
    outputs = {
        "batch": batch,
        **{name: counts[name] for name in ("accepted", "duplicates", "rejected")},
        "completed": states["completed"],
        "failed": sum(states.values()) - states["completed"],
        "unfinished": max(0, total - sum(states.values())),
        "cost-usd": f"{cost:.4f}",
        "results": path,
    }
    append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in outputs.items()))
    summary(batch, outputs, types, notes)
    if given("FAIL_ON", "failed") == "never":
        return 0
    if outputs["failed"] or outputs["rejected"]:
        return 1
    return 5 if not finished and given("WAIT", "30m") not in ("0", "0s", "false", "no") else 0


if __name__ == "__main__":
    sys.exit(main())
