#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Walks every path of openapi.json of a running daemon with what it must refuse: garbage, wrong types, unknown fields, absurd numbers, 100 MB
bodies, unknown ids, hostile Host and Origin. Each refusal is a problem document that names the field; nothing is stored; the daemon lives.
With --url it walks a daemon that runs already; else it starts one whose workers measure nothing."""
import http.client
import json
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from farm import BUILD, Farm, Tap, elf  # noqa: E402

tap = Tap()
ABSURD = [1e308, -1, 0.5, 2**63, 10**30, -(2**63), 1e-320]
NOT_JSON = [b"", b"{", b"[]", b"null", b"\x00\xff\xfe", b'{"firmware":"\xff"}', b'{"a":1,"a":2}', b"[" * 100000, b'{"firmware": "x\\u0000y"}', b'"text"', b'{"windows": 1e999}', b'{"windows": 123456789012345678901234567890}']


def stored(farm):
    """What the daemon holds, as its counts say."""
    text = farm.request("GET", "/metrics")[2].decode()
    rows = {k: farm.api("GET", f"/{k}?limit=500")[1]["items"] for k in ("firmware", "inputs", "jobs", "results")}
    return sorted(line for line in text.splitlines() if line.startswith("joulefarm_jobs")), rows, farm.api("GET", "/events?after=0&limit=500")[1]["next"]


def is_problem(status, head, raw, statuses=None):
    if head.get("Content-Type") != "application/problem+json" or (statuses and status not in statuses):
        return False
    doc = json.loads(raw)
    return {"type", "title", "status", "code", "detail", "pointer", "request_id"} <= set(doc) and doc["status"] == status and bool(doc["detail"])


def pointer_of(raw):
    doc = json.loads(raw)
    return doc.get("pointer", "") if isinstance(doc, dict) else ""


def refused(farm, name, method, path, body=None, headers=None, statuses=(400, 404, 405, 409, 415, 422), pointer=None):
    status, head, raw = farm.request(method, path, body, headers)
    good = is_problem(status, head, raw, statuses) and (pointer is None or json.loads(raw)["pointer"] == pointer)
    return tap.check(good, f"{name}: {method} {path[:60]}", (status, raw[:300]))


def quiet(farm, results, name):
    """One check for a whole batch: [(what, status, head, raw, pointer or None)]."""
    bad = [(w, s, r[:200]) for w, s, h, r, p in results if not is_problem(s, h, r, (400, 404, 405, 409, 413, 415, 422)) or (p is not None and json.loads(r)["pointer"] != p)]
    tap.check(not bad, f"{name}: {len(results)} requests refused, each naming what is wrong", "\n".join(map(str, bad[:10])))


def job_bodies(schema, good):
    """(what, body, pointer): one field wrong at a time, from the description's own schema."""
    for key, spec in schema["properties"].items():
        types = spec.get("type", [])
        types = [types] if isinstance(types, str) else types
        wrong = [[], {}, "text", True, 17, [[[]]], {"x": {}}, "x" * 5000]
        if not types and "enum" not in spec:
            wrong = [[], "text", True, 17]
        base = {k: v for k, v in good.items() if key != "board_type" or k != "bench"}
        wrong = [w for w in wrong if not ((isinstance(w, bool) and "boolean" in types) or (isinstance(w, int) and not isinstance(w, bool) and {"integer", "number"} & set(types))
                                          or (isinstance(w, dict) and "object" in types and not w)
                                          or (isinstance(w, dict) and key == "labels" and not w))]
        for w in wrong:
            yield f"{key}={str(w)[:20]!r}", {**base, key: w}, f"/{key}"
        if {"integer", "number"} & set(types):
            for w in ABSURD:
                if "number" in types and spec.get("minimum", 0) <= w <= spec.get("maximum", 0):
                    continue
                yield f"{key}={w}", {**good, key: w}, f"/{key}"
        if "null" not in types and "oneOf" not in spec:
            yield f"{key}=null", {**good, key: None}, f"/{key}"
    yield "unknown field", {**good, "wndows": 5}, "/wndows"
    yield "unknown field with a slash", {**good, "a/b~c": 5}, "/a~1b~0c"
    yield "unknown field inside", {**good, "requires": {"speed": 1}}, "/requires/speed"
    yield "label of the wrong type", {**good, "labels": {"a": 1}}, "/labels/a"
    yield "unknown input", {**good, "inputs": ["sha256:" + "0" * 64]}, "/inputs/0"
    yield "input of the wrong type", {**good, "inputs": ["sha256:" + "0" * 64, 7]}, "/inputs/1"
    yield "unknown firmware", {**good, "firmware": "sha256:" + "0" * 64}, "/firmware"
    yield "unknown bench", {**good, "bench": "nowhere"}, "/bench"
    yield "bench and board_type", {**good, "board_type": "nucleo-h7a3zi-q"}, "/bench"
    yield "unknown board type", {"firmware": good["firmware"], "board_type": "abacus"}, "/board_type"
    yield "neither bench nor board type", {"firmware": good["firmware"]}, "/board_type"
    yield "mlperf-tiny without inputs", {**good, "method": "mlperf-tiny"}, "/inputs"
    yield "a rate that no bench has", {**good, "requires": {"min_rate_hz": 5e8}}, "/requires"
    yield "expect without values", {**good, "expect_output": {"tolerance": 1}}, "/expect_output"
    yield "expect with an unknown key", {**good, "expect_output": {"crc": 1}}, "/expect_output/crc"


def walk_bodies(farm, doc):
    fw = farm.firmware()
    good = {"firmware": fw, "bench": "scope-a"}
    before = stored(farm)
    schema = doc["components"]["schemas"]["JobRequest"]
    for path in ("/api/v1/jobs", "/api/v1/jobs/validate"):
        batch = []
        for what, body, pointer in job_bodies(schema, good):
            if "bench" in what and what.startswith("bench=") and body["bench"] is None:
                continue
            batch.append((what, *farm.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"}), pointer))
        for raw in NOT_JSON:
            batch.append((raw[:20], *farm.request("POST", path, raw, {"Content-Type": "application/json"}), None))
        for ct in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"):
            batch.append((ct, *farm.request("POST", path, json.dumps(good).encode(), {"Content-Type": ct}), "#Content-Type"))
        # jansson reports the pointers of nested fields deeper than the field itself: those carry the field as their beginning
        batch = [(w, s, h, r, p if p is None or not pointer_of(r).startswith(p + "/") else pointer_of(r)) for w, s, h, r, p in batch]
        quiet(farm, batch, path)
    batch = [(str(b)[:30], *farm.request("POST", "/api/v1/jobs/cancel", json.dumps(b).encode(), {"Content-Type": "application/json"}), p) for b, p in
             (({}, "/ids"), ({"ids": 1}, "/ids"), ({"ids": []}, "/ids"), ({"ids": [1]}, "/ids/0"), ({"ids": ["a"] * 501}, "/ids"), ({"ids": ["a"], "all": True}, "/all"))]
    quiet(farm, batch, "/api/v1/jobs/cancel")
    batch = [(str(b)[:20], *farm.request("POST", "/api/v1/firmware", b), None) for b in (b"", b"\x7fELF", b"MZ" + bytes(200), os.urandom(5000), elf()[:90], elf(machine=3), elf(cls=2), elf(kind=3))]
    quiet(farm, batch, "/api/v1/firmware")
    refused(farm, "empty input", "POST", "/api/v1/inputs", b"")
    tap.check(stored(farm) == before, "nothing of it was stored", (before, stored(farm)))


def fill(path, value):
    return re.sub(r"{\w+}", value, path)


def walk_paths(farm, doc):
    before = stored(farm)
    for path, item in doc["paths"].items():
        methods = {m.upper() for m in item}
        batch = []
        if "{" in path:
            for value in ("nobody", "sha256:" + "0" * 64, "01a1fd9a-924e-7013-97de-083e4afeb743", "..%2f..%2fetc%2fpasswd", "%00", "%ff%fe", "'%20OR%201=1--", "a" * 1000):
                for m in sorted(methods):
                    batch.append((f"{m} {value[:30]}", *farm.request(m, fill(path, value)), None))
        for m in sorted({"GET", "POST", "PUT", "DELETE", "PATCH"} - methods):
            s, h, r = farm.request(m, fill(path, "nobody"))
            batch.append((f"{m}", s, h, r, None))
        for m in sorted(methods):
            s, h, r = farm.request(m, fill(path, "nobody") + "?nonsense=1", b"{}" if m == "POST" else None, {"Content-Type": "application/json"})
            batch.append((f"{m} with an unknown query name", s, h, r, "?nonsense"))
        for p in item.get("get", {}).get("parameters", []):
            if p["in"] == "query" and p["schema"].get("type") in ("integer", "number"):
                for v in ("-1" if p["schema"]["type"] == "integer" else "nan", "x", "1e99" if p["schema"]["type"] == "integer" else "1e999", "99999999999999999999" if p["schema"]["type"] == "integer" else "", "%20 1", ""):
                    s, h, r = farm.request("GET", fill(path, "nobody") + f"?{p['name']}={v.replace(' ', '%20')}")
                    batch.append((f"{p['name']}={v}", s, h, r, f"?{p['name']}"))
            elif p["in"] == "query" and "enum" in p["schema"]:
                batch.append((p["name"], *farm.request("GET", path + f"?{p['name']}=nonsense"), f"?{p['name']}"))
            elif p["in"] == "query" and p["name"] == "cursor":
                for v in ("!!!", "a", "A" * 400, "%00"):
                    batch.append((f"cursor={v[:8]}", *farm.request("GET", path + f"?cursor={v}"), "?cursor"))
        quiet(farm, batch, path)
    tap.check(stored(farm) == before, "no path stored anything", (before, stored(farm)))


def walk_hosts(farm, doc):
    bad_hosts, bad_origins = ("evil.example", "127.0.0.1.evil.example", "127.0.0.1:80:80", "localhost.", "[::2]", "", "127.0.0.1:x"), ("http://evil.example", "null", "http://127.0.0.1.evil.example", "file://", "")
    for path, item in doc["paths"].items():
        for m in (x.upper() for x in item):
            batch = []
            for h in bad_hosts:
                batch.append((f"Host {h!r}", *farm.request(m, fill(path, "x"), None, {"Host": h}), "#Host"))
            for o in bad_origins:
                batch.append((f"Origin {o!r}", *farm.request(m, fill(path, "x"), None, {"Origin": o}), "#Origin"))
            bad = [b[:4] for b in batch if b[1] != 403 or not is_problem(b[1], b[2], b[3]) or json.loads(b[3])["pointer"] != b[4]]
            tap.check(not bad, f"hostile Host and Origin: {m} {path}", bad[:3])
    tap.check(farm.request("GET", "/api/v1/version", headers={"Host": f"localhost:{farm.port}", "Origin": f"http://localhost:{farm.port}"})[0] == 200, "localhost is welcome")


def big_body(farm, path, chunked, size=100 << 20):
    """100 MB, sent as it is (or in chunks), reading the answer as soon as there is one."""
    s = socket.create_connection(("127.0.0.1", farm.port), timeout=60)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    s.sendall((head + ("Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {size}\r\n\r\n")).encode())
    piece, sent = b" " * (1 << 20), 0
    s.setblocking(True)
    try:
        while sent < size and chunked:
            s.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            sent += len(piece)
        if chunked:
            s.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass
    r = http.client.HTTPResponse(s)
    r.begin()
    raw = r.read()
    s.close()
    return r.status, dict(r.getheaders()), raw


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def walk_big(farm, doc):
    before = rss_kib(farm.proc.pid) if farm.proc else 0
    for path, item in doc["paths"].items():
        if "post" in item:
            status, head, raw = big_body(farm, fill(path, "x"), False)
            tap.check(status == 413 and is_problem(status, head, raw), f"100 MB announced, refused before it is read: {path}", (status, raw[:200]))
    for path in ("/api/v1/jobs", "/api/v1/inputs", "/api/v1/firmware"):
        status, head, raw = big_body(farm, path, True)
        tap.check(status == 413 and is_problem(status, head, raw), f"100 MB in chunks are counted: {path}", (status, raw[:200]))
    if farm.proc:
        grown = rss_kib(farm.proc.pid) - before
        most = 120 if BUILD.endswith("build") else 600  # MiB; the sanitizers keep freed memory
        tap.check(grown < most << 10, f"memory stays bounded ({grown} KiB more)", grown)


def walk_raw(farm):
    """Broken HTTP: whatever the answer, the daemon lives."""
    for text in (b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                 b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n", b"GET /api/v1/jobs HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
                 b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nZZZ\r\n"):
        s = socket.create_connection(("127.0.0.1", farm.port), timeout=5)
        try:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            s.recv(4096)
        except OSError:
            pass
        s.close()
    tap.check(farm.api("GET", "/livez")[0] == 200, "broken HTTP does no harm")


def answered(farm, doc):
    """Every path that needs no id answers as described."""
    for path, item in doc["paths"].items():
        if "get" in item and "{" not in path:
            status, head, _ = farm.request("GET", path)
            types = item["get"]["responses"]["200"]["content"]
            needed = [p["name"] for p in item["get"].get("parameters", []) if p.get("required")]
            if needed:
                refused(farm, "what it needs is missing", "GET", path, statuses=(400,), pointer=f"?{needed[0]}")
                continue
            tap.check(status == 200 and head["Content-Type"].split(";")[0] in types, f"described and there: {path}", (status, head))


def walk_keys(farm, doc):
    """An Idempotency-Key of 256 bytes is refused by exactly the requests whose description has the header."""
    wrong = []
    for path, item in doc["paths"].items():
        if "post" in item:
            described = any(p["name"] == "Idempotency-Key" for p in item["post"].get("parameters", []))
            kind = next(iter(item["post"].get("requestBody", {}).get("content", {})), None)
            at = re.sub(r"\{[a-z]+\}", "01a1fd9a-924e-7013-97de-083e4afeb743", path)
            _, _, raw = farm.request("POST", at, b"x" if kind else None, {"Idempotency-Key": "k" * 256, **({"Content-Type": kind} if kind else {})})
            if described != (json.loads(raw).get("pointer") == "#Idempotency-Key"):
                wrong.append((path, described, raw[:200]))
    tap.check(not wrong, "Idempotency-Key is described where it counts, and only there", wrong)


def walk(farm):
    status, doc = farm.api("GET", "/openapi.json")
    tap.check(status == 200 and doc["openapi"].startswith("3.1") and len(doc["paths"]) > 30, "openapi.json is served")
    answered(farm, doc)
    walk_bodies(farm, doc)
    walk_paths(farm, doc)
    walk_keys(farm, doc)
    walk_hosts(farm, doc)
    walk_big(farm, doc)
    walk_raw(farm)
    tap.check(farm.api("GET", "/readyz")[0] == 200 and (not farm.proc or farm.proc.poll() is None), "the daemon is alive")


class Running(Farm):
    def __init__(self, url):  # pylint: disable=super-init-not-called
        self.port, self.proc = int(url.rstrip("/").rsplit(":", 1)[1]), None


if len(sys.argv) > 2 and sys.argv[1] == "--url":
    walk(Running(sys.argv[2]))
else:
    with Farm() as f:
        f.start()
        f.ready("scope-a", "scope-b", "ppk2-c")
        walk(f)
sys.exit(tap.done())
