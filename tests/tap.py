# SPDX-License-Identifier: GPL-2.0-or-later
"""How the Python tests say what they found."""


class Tap:
    """Test Anything Protocol on stdout."""

    def __init__(self):
        self.n = self.failed = 0

    def check(self, good, name, detail=""):
        self.n += 1
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)
        if not good:
            self.failed += 1
            for line in str(detail).splitlines()[-40:]:
                print(f"#   {line}", flush=True)
        return good

    def done(self):
        print(f"1..{self.n}", flush=True)
        return 1 if self.failed else 0
