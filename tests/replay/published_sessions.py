#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs `jf-trace import` over every energy session below the given folders (clones of the MLPerf Tiny result repositories) and counts the windows
whose figures are all as printed. Usage: published_sessions.py DIR... Exit status 1 when one differs or cannot be read."""
import hashlib
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JF_TRACE = os.path.join(os.environ.get("JF_BUILD", os.path.join(ROOT, "build")), "jf-trace")


def is_session(names):
    return "results.txt" in names and ("trace1-energy.bin" in names or "results.json" in names)


def samples(folder, names):
    name = "trace1-energy.bin" if "trace1-energy.bin" in names else "results.json"
    with open(os.path.join(folder, name), "rb") as f:
        return hashlib.sha256(f.read()).digest()


def main(tops):
    found = agreeing = windows = good = new_windows = 0
    seen = set()
    for top in tops:
        for folder, dirs, names in os.walk(top):
            dirs.sort()
            if not is_session(names):
                continue
            p = subprocess.run([JF_TRACE, "import", folder, "--json"], capture_output=True, text=True, check=False)
            found += 1
            if not p.stdout:
                print(p.stderr.strip())
                continue
            doc, key = json.loads(p.stdout), samples(folder, names)
            agreeing += doc["agrees"]
            windows += len(doc["windows"])
            good += sum(all(f["agrees"] is not False for f in w["figures"].values()) for w in doc["windows"])
            new_windows += len(doc["windows"]) if key not in seen else 0
            seen.add(key)
            for text in doc["differences"]:
                print(f"{folder}: {text}")
    print(f"{found} sessions ({len(seen)} with samples of their own), {agreeing} agree; {windows} windows ({new_windows}), {good} as printed")
    return 0 if found > 0 and found == agreeing else 1


sys.exit(main(sys.argv[1:]) if len(sys.argv) > 1 else 2)
