# SPDX-License-Identifier: GPL-2.0-or-later
"""A joulefarmd whose workers are fake_bench.py, in a directory of its own; and an ELF image to give it."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from tap import Tap  # noqa: E402, F401 - for the tests that use the farm

BUILD = os.environ.get("JF_BUILD", os.path.join(ROOT, "build"))
FAKE = os.path.join(ROOT, "tests", "contract", "fake_bench.py")
FINAL = {"done", "failed", "canceled"}


def elf(code=b"\x00\xbf" * 64, address=0x08000000, machine=40, kind=2, cls=1, data=1):
    """ELF for the Arm Architecture: one PT_LOAD with this code."""
    ident = b"\x7fELF" + bytes([cls, data, 1, 0]) + bytes(8)
    head = ident + struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, address, 52, 0, 0x05000200, 52, 32, 1, 40, 0, 0)
    return head + struct.pack("<IIIIIIII", 1, 84, address, address, len(code), len(code), 5, 4) + code


class Farm:
    def __init__(self, benches=("scope-a", "scope-b", "ppk2-c"), options="", **env):
        self.dir = tempfile.mkdtemp(prefix="jf-farm-")
        self.id = uuid.uuid4().hex
        self.data = os.path.join(self.dir, "data")
        self.env = dict(os.environ, JF_LAB=self.id, JF_PORT="0", JF_DATA=self.data, JF_BOARDS=os.path.join(ROOT, "config", "boards"), **env)
        self.config = os.path.join(self.dir, "farm.yaml")
        with open(os.path.join(ROOT, "config", "demo.yaml"), encoding="utf-8") as f:
            head, rest = f.read().split("benches:\n", 1)
        parts = ["  - name: " + p for p in rest.split("  - name: ")[1:]]
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(head + f"  jf_bench: {FAKE}\n{options}benches:\n" + "".join(p for p in parts if p.split()[2] in benches))
        self.proc, self.port = None, None

    def start(self, **env):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.data, "port"))
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen([os.path.join(BUILD, "joulefarmd"), "--config", self.config], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                     env=dict(self.env, **env), cwd=ROOT, start_new_session=True)
        until = time.monotonic() + 20
        while not self.port_now():
            if self.proc.poll() is not None or time.monotonic() > until:
                raise RuntimeError("joulefarmd did not start:\n" + self.text())
            time.sleep(0.02)
        self.port = self.port_now()
        return self

    def port_now(self):
        with contextlib.suppress(FileNotFoundError, ValueError):
            with open(os.path.join(self.data, "port"), encoding="utf-8") as f:
                return int(f.read())
        return None

    def text(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def request(self, method, path, body=None, headers=None, timeout=30):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        head = dict(headers or {})
        if data is not None and "Content-Type" not in head:
            head["Content-Type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, data, head)
            r = c.getresponse()
            return r.status, dict(r.getheaders()), r.read()
        finally:
            c.close()

    def api(self, method, path, body=None, headers=None):
        status, _, raw = self.request(method, "/api/v1" + path, body, headers)
        return status, json.loads(raw) if raw else None

    def firmware(self):
        return self.api("POST", "/firmware", elf())[1]["id"]

    def submit(self, do="result", **fields):
        job = {"firmware": self.firmware(), "labels": {"do": do}, **fields}
        if "bench" not in job:
            job["board_type"] = "nucleo-h7a3zi-q"
        return self.api("POST", "/jobs", job)[1]["id"]

    def job(self, job):
        return self.api("GET", f"/jobs/{job}")[1]

    def until(self, fn, timeout=20):
        end = time.monotonic() + timeout
        while True:
            v = fn()
            if v or time.monotonic() > end:
                return v
            time.sleep(0.05)

    def wait(self, job, timeout=20):
        self.until(lambda: self.job(job)["state"] in FINAL, timeout)
        return self.job(job)

    def bench(self, name):
        return self.api("GET", f"/benches/{name}")[1]

    def ready(self, *names, timeout=20):
        return self.until(lambda: all(self.bench(n)["state"] == "idle" for n in names), timeout)

    def stop(self, sig=signal.SIGTERM):
        code = None
        if self.proc:
            if self.proc.poll() is None:
                self.proc.send_signal(sig)
            try:
                code = self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait(5)
            self.proc = None
            self.log.close()
        return code

    def processes(self):
        mark = f"JF_LAB={self.id}".encode()
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark in f.read().split(b"\0"):
                        with open(f"/proc/{pid}/cmdline", "rb") as c:
                            found[int(pid)] = c.read().replace(b"\0", b" ").decode(errors="replace")
        return found

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
        if exc[0]:
            print("# " + "\n# ".join(self.text().splitlines()[-40:]))
        shutil.rmtree(self.dir, ignore_errors=True)
