#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs test programs and adds up their checks. A program speaks TAP (cmocka with CMOCKA_MESSAGE_OUTPUT=TAP, or any
script that prints `ok N - name` / `not ok N - name`); one that exits non-zero without a failing line counts as one
failure, one that prints no check at all as one failure too. Closes with `N passed, N failed`."""
import argparse
import os
import re
import subprocess
import sys
import time

LINE = re.compile(r"^(not )?ok\b(?:\s+\d+)?(?:\s*-\s*)?(.*)$")


def run_one(path, timeout_s):
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    began = time.monotonic()
    try:
        p = subprocess.run([path], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=timeout_s)
        code, out = p.returncode, p.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as e:
        code, out = -1, (e.stdout or b"").decode("utf-8", "replace") + f"\nended after {timeout_s} s\n"
    except OSError as e:
        code, out = -1, f"cannot start: {e}\n"
    good, skipped, bad = 0, 0, []
    for line in out.splitlines():
        m = LINE.match(line)
        if not m:
            continue
        if "# SKIP" in line.upper():  # cmocka says "not ok 3 # SKIP name"
            skipped += 1
        elif m.group(1):
            bad.append(m.group(2).strip() or "?")
        else:
            good += 1
    if code != 0 and not bad:
        bad.append(f"exit status {code}")
    if code == 0 and good + skipped == 0 and not bad:
        bad.append("no check was run")
    return good, skipped, bad, out, time.monotonic() - began


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--label", default="tests")
    ap.add_argument("--timeout", type=float, default=300.0, help="seconds per program")
    ap.add_argument("--tally", help="append 'passed failed skipped' to this file")
    ap.add_argument("programs", nargs="*")
    a = ap.parse_args()
    good = skipped = failed = 0
    for path in a.programs:
        g, s, bad, out, secs = run_one(path, a.timeout)
        good, skipped, failed = good + g, skipped + s, failed + len(bad)
        print(f"  {'FAIL' if bad else 'ok':4} {path} ({g} checks{f', {s} skipped' if s else ''}, {secs:.1f} s)", flush=True)
        if bad:
            for name in bad:
                print(f"       not ok: {name}")
            print("       " + "\n       ".join(out.splitlines()[-60:]), flush=True)
    if not a.programs:
        print(f"{a.label}: there is no test program", file=sys.stderr)
        failed = 1
    if a.tally:
        with open(a.tally, "a", encoding="utf-8") as f:
            f.write(f"{good} {failed} {skipped}\n")
    print(f"{a.label}: {good} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


sys.exit(main())
