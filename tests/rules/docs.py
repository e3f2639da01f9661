#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents as checks: what they name must exist. Options of --help against the man pages, relative links, make
targets, file names, the places of the numbered invariants. Each rule is first run on a small tree with planted faults,
every one of which it must report (else the rule itself is the failure), then on the real tree. Prints TAP."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAN = "docs/man"
PAGES = ["joulefarm.1", "joulefarmd.8", "jf-bench.1", "jf-trace.1", "jf-model.1", "jf-vbench.1"]
COMMON = {"--help", "--version"}  # every program has them, not every usage text lists them
WITH_COMMANDS = {"joulefarm": {"--json"}, "jf-model": set()}  # commands with a --help each -> what the list of commands only mentions
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
MAKE = re.compile(r"^(?:\$ )?make((?: [^\s#;&|]+)*)")
PATH = re.compile(r"^[A-Za-z0-9_.{},/+-]+$")
TOP = ("base", "bench", "cli", "compiler", "config", "daemon", "db", "docs", "drivers", "firmware", "measure", "sim", "tests", "web", ".ci")
AT_ROOT = ("Makefile", "COPYING", "setup.sh", "ARCHITECTURE.md", "CONTRIBUTING.md")
INVARIANT = re.compile(r"^\| ([A-Z]+[0-9]+(?:[, ]+[A-Z]+[0-9]+)*) \| ((?:`[^`]+`(?:, )?)+) \|", re.M)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def documents(root):
    for base, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if d not in ("build", ".git", "node_modules")]
        for n in sorted(names):
            if n.endswith(".md"):
                yield os.path.relpath(os.path.join(base, n), root)


def output(argv):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
    return p.stdout.decode("utf-8", "replace")


def man_text(root, page):
    lines = [x for x in read(root, f"{MAN}/{page}").splitlines() if not x.startswith('.\\"')]
    return "\n".join(lines).replace("\\-", "-").replace("\\&", "")


def compare(what, told, written):
    bad = [f"{what}: {o} is in --help, not in the man page" for o in sorted(told - written)]
    return bad + [f"{what}: {o} is in the man page, not in --help" for o in sorted(written - told)]


def rule_options(root):
    bad = []
    for page in PAGES:
        name = page.rsplit(".", 1)[0]
        exe = os.path.join(root, "build", name)
        if not os.path.exists(exe) or not os.path.exists(os.path.join(root, MAN, page)):
            bad.append(f"{name}: the program or its page {MAN}/{page} is missing")
            continue
        told, text = output([exe, "--help"]), man_text(root, page)
        if name not in WITH_COMMANDS:
            bad += compare(name, set(OPTION.findall(told)) - COMMON, set(OPTION.findall(text)) - COMMON)
            continue
        # one subsection per command; the page's other text holds the global options
        parts = re.split(r'^\.SS "?([a-z]+)[^\n]*\n', text, flags=re.M)
        written = {parts[i]: re.split(r"^\.SH", parts[i + 1], flags=re.M)[0] for i in range(1, len(parts), 2)}
        commands = re.findall(r"^  ([a-z]+)  +\S", told, flags=re.M)
        bad += [f"{name}: no command {c}" for c in written if c not in commands]
        bad += compare(name, set(OPTION.findall(told)) - WITH_COMMANDS[name] - COMMON, set(OPTION.findall(parts[0])) - COMMON)
        for c in commands:
            if c not in written:
                bad.append(f"{name}: the command {c} has no subsection")
                continue
            bad += compare(f"{name} {c}", set(OPTION.findall(output([exe, c, "--help"]))) - COMMON, set(OPTION.findall(written[c])) - COMMON)
    return bad


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


def rule_links(root):
    bad = []
    for path in documents(root):
        text = re.sub(r"^```.*?^```", "", read(root, path), flags=re.M | re.S)
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(os.path.join(root, full)):
                bad.append(f"{path}: {target} does not exist")
            elif anchor and full.endswith(".md"):
                if anchor not in {slug(h) for h in re.findall(r"^#+ (.*)$", read(root, full), flags=re.M)}:
                    bad.append(f"{path}: {target}: there is no such heading")
    return bad


def targets(root):
    names = set()
    for base, dirs, files in os.walk(root):
        dirs[:] = [d for d in dirs if d not in ("build", ".git")]
        for f in files:
            if f == "Makefile" or f.endswith(".mk"):
                text = re.sub(r"\\\n", " ", read(root, os.path.relpath(os.path.join(base, f), root)))
                for line in re.findall(r"^([A-Za-z0-9 ._-]+):(?!=)", text, flags=re.M):
                    names.update(line.split())
    return names


def rule_make_targets(root):
    bad, known = [], targets(root)
    for path in documents(root):
        text = read(root, path)
        said = [x for b in re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.M | re.S) for x in b.splitlines()] + CODE.findall(text)
        for line in said:
            m = MAKE.match(line.strip())
            for word in m.group(1).split() if m else []:
                if re.fullmatch(r"[a-z][a-z-]*", word) and word not in known:
                    bad.append(f"{path}: make {word}: there is no such target")
    return bad


def expand(name):
    m = re.match(r"(.*)\{([^{}]*)\}(.*)$", name)
    return [e for w in m.group(2).split(",") for e in expand(m.group(1) + w + m.group(3))] if m else [name]


def rule_files_exist(root):
    """A word in code quotes that begins with a folder of the tree, or is a file of the root, is a claim that it exists."""
    bad = []
    for path in documents(root):
        for word in CODE.findall(re.sub(r"^```.*?^```", "", read(root, path), flags=re.M | re.S)):
            first = word.split("/")[0]
            if not PATH.match(word) or not (("/" in word and first in TOP) or word in AT_ROOT):
                continue
            places = [root, os.path.join(root, os.path.dirname(path))]
            bad += [f"{path}: {w} does not exist" for w in expand(word) if not any(os.path.exists(os.path.join(p, w)) for p in places)]
    return bad


def rule_invariants(root):
    bad, path = [], "ARCHITECTURE.md"
    rows = INVARIANT.findall(read(root, path)) if os.path.exists(os.path.join(root, path)) else []
    if not rows:
        return [f"{path}: no table of invariants"]
    for labels, places in rows:
        for place in CODE.findall(places):
            if not os.path.exists(os.path.join(root, place)):
                bad.append(f"{path}: {place} does not exist")
                continue
            text = read(root, place)
            bad += [f"{path}: {x} is not in {place}" for x in re.split(r"[, ]+", labels) if not re.search(rf"\b{x}\b", text)]
    return bad


def rule_configuration(root):
    """Every field of the checker's tables is on the page, and the page's first columns name no other."""
    keys = set(re.findall(r'(?:\b[A-Z_]+\(|\.key = )"([a-z_]+)"', read(root, "daemon/conf_tables.c")))
    page = read(root, "docs/configuration.md")
    named = {w for c in re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", page, flags=re.M) for w in CODE.findall(c)}
    bad = [f"{k} is checked in daemon/conf_tables.c, not explained in docs/configuration.md" for k in sorted(keys) if f"`{k}`" not in page]
    return bad + [f"{k} is explained in docs/configuration.md, unknown to daemon/conf_tables.c" for k in sorted(named - keys)]


def rule_state_tables(root):
    """The tables of job, lease and bench in ARCHITECTURE.md have exactly the rows of db/states.c."""
    source, page, bad = read(root, "db/states.c"), read(root, "ARCHITECTURE.md"), []
    row = r"ROW\(STORE_{0}_(\w+),\s*STORE_{0}_(\w+),\s*STORE_{0}_(\w+)\)"
    for machine in ("job", "lease", "bench"):
        rows = re.findall(row.format(machine.upper()), source)
        real = {tuple(w.lower().replace("_", " ") for w in r) for r in rows}
        told, m = set(), re.search(rf"^\*\*{machine.capitalize()}\*\*[^\n]*\n\n\|([^\n]*)\|\n[^\n]*\n((?:\|[^\n]*\n)+)", page, flags=re.M)
        for line in m.group(2).splitlines() if m else []:
            states, *to = [c.strip() for c in line.strip("|").split("|")]
            events = [c.strip() for c in m.group(1).split("|")][1:]
            told |= {(s, e, t) for s in states.split(", ") for e, t in zip(events, to) if t}
        bad += [f"{machine}: {' -'.join(r[:2])}-> {r[2]} is in db/states.c, not in ARCHITECTURE.md" for r in sorted(real - told)]
        bad += [f"{machine}: {' -'.join(r[:2])}-> {r[2]} is in ARCHITECTURE.md, not in db/states.c" for r in sorted(told - real)]
        bad += [] if real else [f"{machine}: no rows in db/states.c"]
    return bad


# ---- planted faults: rule -> (files of a small tree, what must be reported) --------------------------------------------
FAKE = "#!/bin/sh\n[ \"$1\" = sub ] && echo '  --deep N  text' && exit 0\n"
GOOD_PAGES = {f"{MAN}/{p}": ".TH X 1\n" for p in PAGES}
GOOD_PROGRAMS = {f"build/{p.rsplit('.', 1)[0]}": "#!/bin/sh\necho\n" for p in PAGES}
PLANTED = {
    rule_options: ({**GOOD_PAGES, **GOOD_PROGRAMS, "build/jf-bench": "#!/bin/sh\necho '  --told  x'\n", f"{MAN}/jf-bench.1": "\\-\\-written\n",
                    "build/joulefarm": FAKE + "echo '  sub    text'; echo '  other  text'\n",
                    f"{MAN}/joulefarm.1": ".SS \"sub X\"\n\\-\\-shallow\n.SS gone\n.SH END\n"},
                   ["jf-bench: --told is in --help", "jf-bench: --written is in the man", "joulefarm sub: --deep", "joulefarm sub: --shallow",
                    "the command other has no", "no command gone"]),
    rule_links: ({"a/b.md": "# One Two\n[x](c.md) [y](#one-two) [z](#three) [w](https://x.invalid/) [v](d.md#four)", "a/d.md": "# Five\n"},
                 ["c.md does not exist", "#three: there is no", "d.md#four: there is no"]),
    rule_make_targets: ({"Makefile": "all check: x\nV := 1\n", "README.md": "`make check` `make V=1` `make missing`\n```\nmake all absent\n```\n"},
                        ["make missing", "make absent"]),
    rule_files_exist: ({"README.md": "`base/ring.{c,h}` `Makefile` `COPYING` `/etc/x` `build/x` `a/b` `bench/`", "base/ring.c": "",
                        "Makefile": ""}, ["base/ring.h does not", "COPYING does not", "bench/ does not"]),
    rule_configuration: ({"daemon/conf_tables.c": 'TEXT("told", 1), {.key = "mute"}, WORD("also_told", "a")',
                          "docs/configuration.md": "| `told`, `gone` | - | x |\nand `also_told`\n"},
                         ["mute is checked", "gone is explained"]),
    rule_state_tables: ({"db/states.c": "".join(f"ROW(STORE_{m}_UP, STORE_{m}_GIVE_UP,\n  STORE_{m}_DOWN), ROW(STORE_{m}_UP, STORE_{m}_GO, STORE_{m}_UP)"
                                                for m in ("JOB", "LEASE", "BENCH")),
                         "ARCHITECTURE.md": "**Job** (x)\n\n| state | give up | go |\n|---|---|---|\n| up, odd | down | |\n\n**Lease**\n\n| state | give up | go |\n"
                                            "|---|---|---|\n| up | down | up |\n\n"},
                        ["job: up -go-> up is in db", "job: odd -give up-> down is in ARCH", "bench: up -go-> up is in db", "bench: up -give up-> down is in db"]),
    rule_invariants: ({"ARCHITECTURE.md": "| A1, A2 | `x.h` | text |\n| B1 | `y.h` | text |\n", "x.h": "/* A1 a, A20 b */"},
                      ["A2 is not in x.h", "y.h does not exist"]),
}


def planted(rule):
    files, expected = PLANTED[rule]
    root = tempfile.mkdtemp(prefix="jf-docs-")
    try:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
            if path.startswith("build/"):
                os.chmod(full, 0o755)
        found = rule(root)
        missed = [e for e in expected if not any(e in b for b in found)]
        surplus = [b for b in found if not any(e in b for e in expected)]
        return [f"planted fault not caught: {e}" for e in missed] + [f"false alarm on the planted tree: {b}" for b in surplus]
    finally:
        shutil.rmtree(root)


def main():
    rules = list(PLANTED)
    print(f"1..{2 * len(rules)}")
    n = failed = 0
    for rule in rules:
        for text, bad in (("catches planted faults", planted(rule)), ("holds", rule(ROOT))):
            n += 1
            failed += bool(bad)
            print(f"{'not ok' if bad else 'ok'} {n} - docs: {rule.__name__[5:].replace('_', ' ')}: {text}")
            for b in bad:
                print(f"# {b}")
    return 1 if failed else 0


sys.exit(main())
