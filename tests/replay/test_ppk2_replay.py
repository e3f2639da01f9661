#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Replays tests/replay/ppk2/damaged.bin through the codec. What the file holds is known from how it was made: words 0..999,
1030..1529 (30 lost), 1530..2029 with one byte missing in word 1730, 2030..2329 in range 3, word 2330 in range 7 (there is
none), 2331..2530 in range 4, word 2531 saturated, 2532..2631. The field of word i is (800 + 7 i) mod 16383. Expected sums
are computed here with exact fractions from the documented conversion, gains 1, offsets 0, nominal resistances."""
import os
import subprocess
import sys
from fractions import Fraction as F

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("JF_BUILD", os.path.join(ROOT, "build"))
R = [F("1031.64"), F("101.65"), F("10.15"), F("0.94"), F("0.043")]
failed = 0
count = 0


def check(name, good, detail=""):
    global failed, count
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {name}{'' if good else f' ({detail})'}")


def current(field, rng):
    x = 4 * field * F("1.8") / 163840 / R[rng]
    return x + x * x


def word(i):
    """(field, range) of sample i, or None where it cannot be known."""
    # Where a byte is missing, the words before and after overlap in the stream, and either may be the damaged one.
    if 1000 <= i < 1030 or i in (1729, 1730, 2330):
        return None
    if i == 2531:
        return 0x3FFF, 4
    return (800 + 7 * i) % 16383, 2 if i < 2030 else 3 if i < 2331 else 4 if i < 2531 else 2


with open(os.path.join(ROOT, "tests", "replay", "ppk2", "damaged.bin"), "rb") as f:
    out = subprocess.run([os.path.join(BUILD, "contract", "ppk2_decode")], stdin=f, stdout=subprocess.PIPE, timeout=30, check=False).stdout.decode()
rows = [line.split() for line in out.splitlines()]
holes, cell, wrong, clipped, seen = [], 0, [], 0, 0
for row in rows:
    if row[0] == "hole":
        holes.append((cell, int(row[1])))
        cell += int(row[1])
    elif row[0] == "samples":
        n = int(row[2])
        known = [word(i) for i in range(cell, cell + n)]
        if None in known:
            wrong.append((cell, n, "a sample that does not exist"))
        else:
            want = float(sum((current(*k) for k in known), F(0)))
            if abs(float(row[3]) - want) > 2e-7 * abs(want):  # single precision samples
                wrong.append((cell, n, row[3], want))
        clipped += int(row[4])
        cell += n
        seen += n
check("the holes are where words are missing or damaged", [h for h in holes] == [(1000, 30), (1729, 2), (2330, 1)], holes)
check("every run of samples has the sum of its true currents", not wrong, wrong)
check("one sample is clipped", clipped == 1, clipped)
check("nothing but the last unconfirmed words is left over", rows[-1][0] == "left" and cell >= 2632 - 18, rows[-1])
sys.exit(1 if failed else 0)
