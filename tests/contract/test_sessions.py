#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Published sessions in archives: what comes out is what results.txt prints, and what must be refused is, with the entry's name."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from farm import BUILD, Tap  # noqa: E402
from sessions import EEMBC, MLCOMMONS, bad_archives, files_of, good_archives  # noqa: E402

tap = Tap()


def jf_trace(*args):
    return subprocess.run([os.path.join(BUILD, "jf-trace"), *args], capture_output=True, text=True, timeout=60, check=False)


def printed(files, label):
    """The numbers behind a label of results.txt, as text."""
    return re.findall(re.escape(label) + r"\s*([\d.]+)", files["results.txt"].decode())


def archives(folder):
    with tempfile.TemporaryDirectory(prefix="jf-sessions-") as tmp:
        path, files = os.path.join(tmp, "session"), files_of(folder)
        for what, raw in good_archives(files):
            with open(path, "wb") as f:
                f.write(raw)
            p = jf_trace("import", path, "--json")
            doc = json.loads(p.stdout or "null")
            good = p.returncode == 0 and doc["agrees"] and [w["figures"]["energy_uj"]["computed"] for w in doc["windows"]] == (printed(files, "Energy       :") or printed(files, "Total Energy  :"))
            tap.check(good, f"a session as {what}", p.stderr)
        for what, raw, words in bad_archives(files):
            with open(path, "wb") as f:
                f.write(raw)
            p = jf_trace("import", path)
            tap.check(p.returncode == 1 and not p.stdout and all(w in p.stderr for w in words), f"refused: {what}", (p.returncode, p.stderr[:300]))
        tap.check(os.listdir(tmp) == ["session"], "nothing was written beside it")


archives(EEMBC)
archives(MLCOMMONS)
sys.exit(tap.done())
