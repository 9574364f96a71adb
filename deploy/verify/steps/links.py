#!/usr/bin/env python3
"""Holds the documents against what they speak of.

    deploy/verify/steps/links.py [DIR]      DIR holds the programs; ~/.cache/windlass/target/release unless given

* Each relative link names a file that exists, and each anchor a heading in it.
* Each `windlass ...` and `windlass-worker ...` in a code block or in `code` uses commands and flags that --help knows.
* Each alert has a runbook, each runbook an alert, and each runbook_url a heading.
"""
# needs: programs

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/windlass/target")
PROGRAMS = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(TARGET) / "release"
RULES = ROOT / "deploy/prometheus/rules.yml"

LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\S*)")
CODE = re.compile(r"(`+)(.+?)\1", re.S)
# Where another command begins within a line.
BREAKS = {"|", "||", "&&", ";", "&", "(", ")", "$"}
# After these words of docker the name of a program is that of an image.
NAMES = {"-t", "--tag", "--target", "--name", "--network"}
# These start the program that comes next.
RUNNERS = {"sudo", "exec", "nohup", "nice", "env", "time"}
# What people need not call, and what has no --help.
INTERNAL = {("windlass-worker", "sandbox-exec")}


def documents():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


@functools.cache
def parts(path):
    """The lines of a document outside of code blocks, with their numbers, and its code blocks."""
    prose, blocks, fence = [], [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            fence = mark[1]
            blocks.append((mark[2], number + 1, []))
        elif fence is not None and mark and mark[1].startswith(fence) and not mark[2]:
            fence = None
        elif fence is not None:
            blocks[-1][2].append(line)
        else:
            prose.append((number, line))
    return prose, blocks


@functools.cache
def anchors(path):
    """As GitHub makes them of headings."""
    found, seen = set(), {}
    for _, line in parts(path)[0]:
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        for name in re.findall(r'<a (?:id|name)="([^"]+)"', line):
            found.add(name)
        if heading:
            text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = "".join(c for c in text.lower() if c.isalnum() or c in " -_").replace(" ", "-")
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            found.add(f"{slug}-{count}" if count else slug)
    return found


def target_fault(path, link):
    """What is wrong with a relative link, or None."""
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return f"no such file: {link}"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return f"no such heading: {link}"
    return None


def link_faults(path):
    for number, line in parts(path)[0]:
        for link in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if not re.match(r"[a-z]+:", link) and (fault := target_fault(path, link)):
                yield number, fault


@functools.cache
def help_of(command):
    """The flags and subcommands of a command, or None if there is none of this name."""
    if command in INTERNAL:
        return {"--help"}, set()
    program = PROGRAMS / command[0]
    done = subprocess.run([program, *command[1:], "--help"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    if done.returncode != 0:
        return None
    flags, commands, section = {"--help", "-h"}, set(), ""
    for line in done.stdout.splitlines():
        if re.match(r"\S.*:$", line):
            section = line
        elif section == "Commands:" and (name := re.match(r"  ([a-z][\w-]*)(?:\s|$)", line)):
            commands.add(name[1])
        elif section.endswith("ptions:") and (option := re.match(r"\s+((?:-\w|--[\w-]+)(?:, (?:-\w|--[\w-]+))*)", line)):
            flags.update(option[1].split(", "))
    return flags, commands


def call_faults(words):
    """What is wrong with a call, given as words."""
    command, positional = (words[0],), False
    flags, commands = help_of(command)
    for word in words[1:]:
        if word == "--":
            return
        if word.startswith("-") and len(word) > 1:
            name = word.split("=")[0]
            # -o json, and -ojson.
            short = re.match(r"-\w", word)[0] if re.match(r"-\w", word) else None
            if name not in flags and short not in flags and not re.match(r"-\d", word):
                yield f"`{' '.join(command)}` has no {name}"
        elif not positional and (word in commands or (len(command) == 1 and re.fullmatch(r"[a-z][a-z-]+", word))):
            known = help_of((*command, word))
            if known is None:
                yield f"`{' '.join(command)}` has no command {word}"
                return
            command, (flags, commands) = (*command, word), known
        elif not word.startswith("-"):
            positional = bool(commands) is False


def starts_program(lead):
    """Whether the word after these is a program, and not the name of a package, a service or a namespace."""
    if lead and lead[0] == "docker":
        return lead[-1] not in NAMES
    return all(re.match(r"[A-Za-z_]+=", word) or word in RUNNERS for word in lead)


def calls(text):
    """The calls of our programs in a line of a shell, or in a piece of code, as lists of words."""
    text = re.sub(r"[\[\]]", " ", text) if not re.search(r"""['"{]""", text) else text
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        words = text.split()
    call, lead = None, []
    for word in words:
        # A drawing is no command.
        if word in BREAKS or re.fullmatch(r"[|&;()<>]+", word) or not word.isascii() and call and len(call) == 1:
            if call:
                yield call
            call, lead = None, []
        elif call is not None:
            call += [part for part in word.split("|") if part][:1] if "|" in word else [word]
        elif word.split("/")[-1] in ("windlass", "windlass-worker") and starts_program(lead):
            call = [word.split("/")[-1]]
        else:
            lead.append(word)
    if call:
        yield call


def command_faults(path):
    prose, blocks = parts(path)
    for language, start, lines in blocks:
        if language not in ("", "sh", "bash", "shell", "console"):
            continue
        joined, number = "", start
        for offset, line in enumerate(lines):
            if not joined:
                number = start + offset
            joined += line.removesuffix("\\")
            if not line.endswith("\\"):
                for call in calls(re.sub(r"(^|\s)#.*", "", joined)):
                    yield from ((number, fault) for fault in call_faults(call))
                joined = ""
    for number, line in prose:
        for _, code in CODE.findall(line):
            if re.match(r"(\S+/)?windlass(-worker)? ", code):
                for call in calls(code.replace("\\|", "|")):
                    yield from ((number, fault) for fault in call_faults(call))


def runbook_faults():
    if not RULES.exists():
        return
    text = RULES.read_text(encoding="utf-8")
    alerts = set(re.findall(r"^\s*- alert:\s*(\S+)", text, re.M))
    urls = re.findall(r"runbook_url:\s*['\"]?(?:https?://\S+?/)?(docs/[^\s'\"]+)", text)
    for url in urls:
        if fault := target_fault(ROOT / "README.md", url):
            yield f"runbook_url: {fault}"
    headed = set(re.findall(r"^### [Aa]lert[ -](\w+)$", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.M))
    yield from (f"{name} has no runbook in docs/operations.md" for name in sorted(alerts - headed))
    yield from (f"docs/operations.md has a runbook for {name}, which is no alert" for name in sorted(headed - alerts))
    if len(urls) != len(re.findall(r"^\s*- alert:", text, re.M)):
        yield "an alert has no runbook_url"


def main():
    faults, links, called = [], 0, 0
    programs = all((PROGRAMS / name).exists() for name in ("windlass", "windlass-worker"))
    for path in documents():
        name = path.relative_to(ROOT)
        faults += [f"{name}:{number}: {fault}" for number, fault in link_faults(path)]
        links += sum(len(LINK.findall(line)) for _, line in parts(path)[0])
        # What was true of a version, a decision or the past need not be true of this one.
        if programs and name.name != "CHANGELOG.md" and "decisions" not in name.parts:
            faults += [f"{name}:{number}: {fault}" for number, fault in command_faults(path)]
            called += 1
    faults += [f"deploy/prometheus/rules.yml: {fault}" for fault in runbook_faults()]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not programs:
        print(f"links: no programs in {PROGRAMS}: commands were not looked at (make build)", file=sys.stderr)
        return 1
    print(f"links: {links} links, the commands of {called} documents and the runbooks: {len(faults) or 'no'} fault{'s' if len(faults) > 1 else ''}")
    return 1 if faults else 0


sys.exit(main())
