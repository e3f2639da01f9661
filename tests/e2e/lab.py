# SPDX-License-Identifier: GPL-2.0-or-later
"""A laboratory in a directory: virtual benches, a daemon, and the means to talk to both. Used by the demo and by the
end-to-end tests. Everything it starts carries JF_LAB=<id> in its environment, so that what is left over can be seen."""
import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from tap import Tap  # noqa: E402, F401 - for the tests that use the laboratory

BUILD = os.environ.get("JF_BUILD", os.path.join(ROOT, "build"))
FIRMWARE = os.path.join(ROOT, "build", "firmware", "nucleo-h7a3zi-q")
MODELS = ["ad01", "kws01", "ic01", "vww01"]
BENCHES = {"scope-a": ("a", "scope"), "scope-b": ("b", "scope"), "ppk2-c": ("c", "ppk2")}
FINAL = {"done", "failed", "canceled"}


def die_with_parent():
    """Called in a child between fork and exec: SIGTERM when the test's process ends, however that happens."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Problem(Exception):
    """The daemon answered with a problem document."""

    def __init__(self, status, doc):
        super().__init__(f"{status} {doc.get('code')}: {doc.get('detail') or doc.get('title')} {doc.get('pointer') or ''}")
        self.status, self.doc = status, doc


class VirtualBench:
    def __init__(self, lab, name, realistic=False, seed=1, extra=()):
        self.lab, self.name = lab, name
        self.short, self.kind = BENCHES[name]
        self.dir = os.path.join(lab.dir, self.short)
        os.makedirs(self.dir, exist_ok=True)
        self.truth_path = os.path.join(self.dir, "truth.jsonl")
        serial = f"VBOARD{'ABC'.index(self.short.upper()) + 1:018d}"
        argv = [os.path.join(ROOT, "build", "jf-vbench"), "--dir", self.dir, "--serial", serial, "--seed", str(seed),
                "--truth", self.truth_path, "--die-with-parent", "--scope" if self.kind == "scope" else "--ppk2", *extra]
        if realistic:
            argv.append("--realistic")
        ports = os.path.join(self.dir, "ports.json")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ports)
        self.log = open(os.path.join(self.dir, "vbench.log"), "ab")
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=lab.env, start_new_session=True)
        until = time.monotonic() + 15
        while not os.path.exists(ports):
            if self.proc.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"jf-vbench for {name} did not start; see {self.log.name}")
            time.sleep(0.02)
        with open(ports, encoding="utf-8") as f:
            self.ports = json.load(f)

    def control(self, **cmd):
        """One request to the bench's control socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect(os.path.join(self.dir, "control"))
            s.sendall((json.dumps(cmd) + "\n").encode())
            data = b""
            while not data.endswith(b"\n"):
                got = s.recv(65536)
                if not got:
                    break
                data += got
        answer = json.loads(data)
        if "error" in answer:
            raise RuntimeError(f"control: {answer}")
        return answer

    def fault(self, name, on=True, **params):
        return self.control(cmd="fault", name=name, on=on, params=params)

    def declared_limits(self):
        """What the oscilloscope's data sheet would say, as config/demo.yaml takes it."""
        d = self.control(cmd="profile")["declared"]
        return {"JF_SCOPE_GAIN": str(d["gain"]["limit"][0]), "JF_SCOPE_OFFSET_A": str(d["offset_a"]["limit"][0]),
                "JF_SCOPE_VOLTAGE_GAIN": str(d["voltage_gain"]["limit"][0]), "JF_SCOPE_VOLTAGE_OFFSET_V": str(d["voltage_offset_v"]["limit"][0]),
                "JF_SCOPE_CLOCK_PPM": str(1e6 * d["rate_error"]["limit"][0])}

    def truth(self, kind=None):
        with contextlib.suppress(Exception):
            self.control(cmd="truth")
        rows = []
        with open(self.truth_path, encoding="utf-8") as f:
            for line in f:
                if line.endswith("\n"):
                    rows.append(json.loads(line))
        return [r for r in rows if kind is None or r["type"] == kind]

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(5)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait(5)
        self.log.close()


class Lab:
    def __init__(self, directory, benches=("scope-a", "scope-b", "ppk2-c"), realistic=False, seed=1, config=None, env=None, extra=()):
        self.dir = os.path.abspath(directory)
        os.makedirs(self.dir, exist_ok=True)
        self.id = uuid.uuid4().hex
        self.env = dict(os.environ, JF_LAB=self.id, **(env or {}))
        self.data = os.path.join(self.dir, "data")
        self.config = config or self.config_of(benches)
        self.realistic = realistic
        self.benches, self.daemon, self.port, self.daemon_log = {}, None, None, None
        try:
            for i, name in enumerate(benches):
                self.benches[name] = VirtualBench(self, name, realistic, seed + i, extra)
            self.env.update(self.config_env())
        except BaseException:
            self.stop()
            raise

    def config_of(self, benches):
        """config/demo.yaml, cut down to the benches that this laboratory has."""
        with open(os.path.join(ROOT, "config", "demo.yaml"), encoding="utf-8") as f:
            head, *items = f.read().split("\n  - name: ")
        path = os.path.join(self.dir, "joulefarm.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join([head] + ["\n  - name: " + i for i in items if i.split()[0] in benches]) + "\n")
        return path

    def config_env(self):
        env = {"JF_DATA": self.data, "JF_BOARDS": os.path.join(ROOT, "config", "boards"), "JF_PORT": os.environ.get("JF_PORT", "0")}
        for b in self.benches.values():
            up = b.short.upper()
            env[f"JF_{up}_STLINK"] = str(b.ports["stlink"])
            env[f"JF_{up}_UART"] = os.path.join(b.dir, "uart")
            if b.kind == "scope":
                env[f"JF_{up}_SCOPE"] = str(b.ports["scope"])
                if self.realistic:
                    env.update(b.declared_limits())
            else:
                env[f"JF_{up}_PPK2"] = os.path.join(b.dir, "ppk2")
            if b.ports.get("logic"):
                env[f"JF_{up}_LOGIC"] = str(b.ports["logic"])
        return env

    def start_daemon(self, **extra_env):
        port_file = os.path.join(self.data, "port")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(port_file)
        self.daemon_log = open(os.path.join(self.dir, "joulefarmd.log"), "ab")
        self.daemon = subprocess.Popen([os.path.join(BUILD, "joulefarmd"), "--config", self.config], stdin=subprocess.DEVNULL,
                                       stdout=self.daemon_log, stderr=self.daemon_log, env=dict(self.env, **extra_env), cwd=ROOT,
                                       start_new_session=True, preexec_fn=die_with_parent)
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(FileNotFoundError, ValueError):
                with open(port_file, encoding="utf-8") as f:
                    self.port = int(f.read())
                    break
            if self.daemon.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"joulefarmd did not start; see {self.daemon_log.name}")
            time.sleep(0.02)
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, body=None, headers=None, content_type="application/json", timeout=30):
        """(status, headers, bytes) of one request; body: bytes, or something JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        head = dict(headers or {})
        if data is not None:
            head.setdefault("Content-Type", content_type)
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, data, head)
            r = c.getresponse()
            return r.status, dict(r.getheaders()), r.read()
        finally:
            c.close()

    def api(self, method, path, body=None, **kw):
        status, _, raw = self.request(method, "/api/v1" + path, body, **kw)
        doc = json.loads(raw) if raw else None
        if status >= 400:
            raise Problem(status, doc)
        return doc

    def upload_firmware(self, name):
        path = name if os.path.sep in name else os.path.join(FIRMWARE, name + ".elf")
        with open(path, "rb") as f:
            return self.api("POST", "/firmware", f.read(), content_type="application/octet-stream")["id"]

    def submit(self, firmware, bench=None, **fields):
        job = {"firmware": firmware, "method": "quick", "windows": 5, "window_s": 0.3, "warmup": 1, "retries": 0, **fields}
        if bench:
            job["bench"] = bench
        else:
            job["board_type"] = "nucleo-h7a3zi-q"
        return self.api("POST", "/jobs", job)["id"]

    def job(self, job_id):
        return self.api("GET", f"/jobs/{job_id}")

    def wait(self, job_id, timeout=120, until=None):
        end = time.monotonic() + timeout
        while True:
            j = self.job(job_id)
            if (until and until(j)) or (not until and j["state"] in FINAL):
                return j
            if time.monotonic() > end:
                raise TimeoutError(f"job {job_id} is still {j['state']} ({j.get('stage')}) after {timeout} s")
            time.sleep(0.1)

    def results_of(self, job_id):
        return self.api("GET", f"/results?job={job_id}")["items"]

    def stop_daemon(self, sig=signal.SIGTERM, timeout=20):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(sig)
            try:
                self.daemon.wait(timeout)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait(5)
        if self.daemon_log:
            self.daemon_log.close()
            self.daemon_log = None
        code = self.daemon.returncode if self.daemon else None
        self.daemon = None
        return code

    def processes(self):
        """What this lab started and still lives: {pid: command line}."""
        mark = f"JF_LAB={self.id}".encode()
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark not in f.read().split(b"\0"):
                        continue
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                    if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    found[int(pid)] = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    def stop(self):
        self.stop_daemon()
        for b in self.benches.values():
            b.stop()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


def median(values):
    v = sorted(values)
    n = len(v)
    return v[n // 2] if n % 2 else (v[n // 2 - 1] + v[n // 2]) / 2


def match_truth(windows, truth_windows):
    """The run of truth windows that belongs to a result's windows: same count of inferences, durations within 1e-3. The
    last such run, because a bench works in order and the caller asks right after the result appeared."""
    n = len(windows)
    for start in range(len(truth_windows) - n, -1, -1):
        run = truth_windows[start:start + n]
        if all(t.get("inferences") in (w["inferences"], None) and abs(t["duration_s"] / w["duration_s"] - 1) < 1e-3
               for w, t in zip(windows, run)):
            return run
    return None


def truth_energy_per_inference(windows, run):
    return median([t["energy_j"] / w["inferences"] for w, t in zip(windows, run)])


def idle_after(window, idles):
    """Power of the sleep behind a truth window: its stretch's first quiet part. A later one may be a warm-up, which is as quiet when it is long."""
    parts = [i["quiet"][0]["mean_power_w"] for i in idles if abs(i["from_s"] - window["to_s"]) < 1e-6 and i["quiet"]]
    return parts[-1] if parts else None


def net_truth(windows, run, bench):
    """E - P_idle*T per inference, P_idle from the truth's sleep before (but for the first) and after each window."""
    idles, nets, before = bench.truth("idle"), [], None
    for w, t in zip(windows, run):
        after = idle_after(t, idles)
        if after is None:
            return None
        p = after if before is None else (before + after) / 2
        nets.append((t["energy_j"] - p * t["duration_s"]) / w["inferences"])
        before = after
    return median(nets)


def si(value, unit):
    """As a person writes it: "5.71 mJ"."""
    if value is None:
        return "-"
    for scale, prefix in ((1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p")):
        if abs(value) >= scale:
            return f"{value / scale:.4g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
