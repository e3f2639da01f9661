#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""clang-tidy over the given sources, two at a time; every warning is an error. Usage: tidy.py SRC... -- FLAGS..."""
import concurrent.futures
import os
import subprocess
import sys

at = sys.argv.index("--")
sources, flags = sys.argv[1:at], sys.argv[at + 1:]


def tidy(src):
    p = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", src, "--", *flags], capture_output=True, text=True)
    return src, p.returncode, p.stdout


bad = 0
with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
    for src, code, out in pool.map(tidy, sources):
        if code != 0:
            bad += 1
            print(out, end="")
            print(f"tidy: {src} failed")
print(f"tidy: {len(sources) - bad} of {len(sources)} files clean")
sys.exit(1 if bad else 0)
