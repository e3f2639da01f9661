#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The page without a browser: what is served and how, that script and markup agree, and that every answer of the API which
the script reads has the shape that it expects (with one real result behind it)."""
import html.parser
import json
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ROOT, Lab, Tap  # noqa: E402

WEB = os.path.join(ROOT, "web")


class Markup(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.inline, self.refs, self.script = [], [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids += [a["id"]] if "id" in a else []
        self.refs += (a.get("aria-labelledby") or "").split() + (a.get("aria-describedby") or "").split()
        self.links += [a[k] for k in ("src", "href") if a.get(k)]
        self.inline += [f"<{tag} {k}>" for k in a if k.startswith("on") or k == "style"]
        self.inline += ["<style>"] if tag == "style" else []
        self.script = tag == "script"
        if self.script and "src" not in a:
            self.inline.append("<script> without src")

    def handle_data(self, data):
        if self.script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag):
        self.script = False


def assets(lab, tap):
    status, head, body = lab.request("GET", "/")
    page = Markup(body.decode())
    csp = dict((d.split()[0], d.split()[1:]) for d in head.get("Content-Security-Policy", "").split(";") if d.strip())
    tap.check(status == 200 and head["Content-Type"].startswith("text/html"), "the page is served")
    tap.check(csp.get("default-src") == ["'self'"] and not any("unsafe" in w for v in csp.values() for w in v), "its policy allows only what the daemon itself serves", csp)
    tap.check(head.get("X-Content-Type-Options") == "nosniff", "nosniff")
    tap.check(not page.inline, "no inline script, handler or style", page.inline)
    tap.check(len(page.ids) == len(set(page.ids)), "every id once", page.ids)
    tap.check(set(page.refs) <= set(page.ids), "every label that is pointed to exists", set(page.refs) - set(page.ids))
    scripts, todo, seen = "", list(page.links), set()
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    while todo:
        link = todo.pop()
        if link in seen:
            continue
        seen.add(link)
        tap.check(link.startswith("/assets/"), f"{link} comes from the daemon")
        status, head, body = lab.request("GET", link)
        with open(os.path.join(WEB, os.path.basename(link)), "rb") as f:
            tap.check(status == 200 and body == f.read() and head["Content-Type"].startswith(kinds[link.rsplit(".")[-1]]), f"{link} is served as it stands in web/", f"{status} {head}")
        if link.endswith(".js"):
            scripts += body.decode()
            todo += ["/assets/" + m for m in re.findall(r'from "\./([\w.]+)"', body.decode())]
    served = {os.path.basename(s) for s in seen} | {"index.html"}
    tap.check(served == set(os.listdir(WEB)), "every file of web/ is reached from the page", served ^ set(os.listdir(WEB)))
    wanted = set(re.findall(r'\$\("([\w-]+)"\)', scripts))
    for group in re.findall(r'for \(const id of \[([^\]]+)\]\)', scripts):
        wanted |= set(re.findall(r'"([\w-]+)"', group))
    tap.check(len(wanted) > 10 and wanted <= set(page.ids), "every element that the script wants exists", wanted - set(page.ids))
    tap.check(not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", scripts), "nothing makes markup or code out of text")
    tap.check(not re.search(r"https?://(?!www\.w3\.org/2000/svg)", scripts), "no address of another server in the scripts")
    for bad in ("/assets/../daemon/openapi.json", "/assets/none.js", "/assets/", "/assets/%2e%2e/daemon/main.c"):
        tap.check(lab.request("GET", bad)[0] == 404, f"{bad}: 404")


# The members that web/*.js read, by answer: dotted, "[]" goes into a list's first item, "?" ends one that may be null.
SHAPES = {
    "/benches": "items[].name items[].state items[].health items[].reason? items[].job? items[].virtual items[].streaming items[].board.type items[].analyzer.driver",
    "/jobs?limit=50": "items[].id items[].state items[].stage items[].method items[].labels items[].cause? items[].position? items[].on_bench items[].cancel_requested items[].created_at",
    "/results?limit=50": "next? items[].id items[].bench items[].verdict items[].reasons items[].trace items[].created_at items[].board.model_id items[].energy_per_inference_j.median "
                         "items[].energy_per_inference_j.u95 items[].net_energy_per_inference_j.median items[].latency_per_inference_s.median items[].power_w.mean items[].origin items[].source_result? items[].labels",
    "/results/{result}": "notes scheme method window_rule inferences windows job idle_power_w memory.flash_bytes memory.ram_bytes clock.device_over_trace clock.by supply.voltage_v supply.plane "
                         "supply.provenance analyzer.model analyzer.shape analyzer.rate_hz board.serial board.core_hz provenance.numerics stages[].name stages[].duration_s stages[].energy_j "
                         "stages[].net_energy_j stages[].share energy_per_inference_j.budget[].component energy_per_inference_j.budget[].u energy_per_inference_j.u_c energy_per_inference_j.k",
    "/results/{result}/windows": "items[].index items[].inferences items[].from_s items[].to_s items[].duration_s items[].energy_j items[].net_energy_j items[].usable items[].reasons",
    "/traces/{trace}/view?points=300": "from_s to_s period_s segments gaps edges[].t_s edges[].line edges[].level edges_truncated current_a.min current_a.mean current_a.max power_w.mean",
    "/traces/{trace}/stats": "energy_j charge_c current_mean_a current_min_a current_max_a power_mean_w recorded_s gap_s",
}


def missing(doc, path):
    """Whether doc lacks the member."""
    maybe_null = path.endswith("?")
    for part in path.rstrip("?").split("."):
        name = part.removesuffix("[]")
        if not isinstance(doc, dict) or name not in doc:
            return True
        doc = doc[name]
        if part.endswith("[]"):
            if not isinstance(doc, list) or not doc:
                return True
            doc = doc[0]
    return doc is None and not maybe_null


def shapes(lab, tap, result):
    for path, members in SHAPES.items():
        doc = lab.api("GET", path.format(result=result["id"], trace=result["trace"]))
        lacking = [m for m in members.split() if missing(doc, m)]
        tap.check(not lacking, f"{path} has what the page reads", f"{lacking}\n{json.dumps(doc)[:1500]}")
    view = lab.api("GET", f"/traces/{result['trace']}/view?points=300")
    tap.check(all(len(view["current_a"][k]) == 300 for k in ("min", "mean", "max")), "a view has the points that were asked for")


def comparison(lab, tap, result):
    again = lab.api("POST", f"/results/{result['id']}/reanalyze", {"rule": "eembc"})
    tap.check(not [m for m in ("id", "source_result", "window_rule", "provenance.reanalysis.set") if missing(again, m)], "a re-analysis has what the page reads", again)
    status, _, raw = lab.request("GET", f"/api/v1/compare?results={result['id']},{again['id']}")
    doc = json.loads(raw)
    tap.check(status == 409 and not [m for m in ("detail", "a", "b", "unlike[].text", "unlike[].allow", "unlike[].net_only") if missing(doc, m)], "a refusal has what the page reads", doc)
    doc = lab.api("GET", f"/compare?results={result['id']},{again['id']}&allow={doc['unlike'][0]['allow']}")
    members = "a b net_refused unlike gross.a gross.b gross.difference gross.u95 gross.u95_unshared gross.ratio gross.u_known gross.differs gross.shared net latency".split()
    tap.check(not [m for m in members if missing(doc["pairs"][0], m)], "a comparison has what the page reads", doc)
    for layout in ("eembc", "mlcommons", "sr", "csv", "npy"):
        status, _, body = lab.request("GET", f"/api/v1/results/{result['id']}/export?as={layout}")
        tap.check(status == 200 and body, f"the page's export link works: {layout}", (status, body[:200]))


def stream_of(lab, job_wanted):
    """Names of the events on the stream until the wanted job is over, beside one body of each."""
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=60)
    c.request("GET", "/api/v1/events", headers={"Accept": "text/event-stream"})
    r = c.getresponse()
    job, seen, name = job_wanted(), {}, "message"
    try:
        while True:
            line = r.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                doc = json.loads(line[6:])
                seen.setdefault(name, doc)
                name = "message"
                if doc.get("job") == job and doc.get("type") in ("job.done", "job.failed"):
                    return job, r.getheader("Content-Type"), seen
    finally:
        c.close()


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="jf-page-") as scratch, Lab(scratch, ("ppk2-c",)) as lab:
        lab.start_daemon()
        assets(lab, tap)
        job, kind, seen = stream_of(lab, lambda: lab.submit(lab.upload_firmware("ad01"), "ppk2-c", windows=2))
        tap.check(kind.startswith("text/event-stream") and {"live", "progress", "message"} <= set(seen), "the stream has stored, live and progress events", f"{kind} {seen}")
        live, progress = seen.get("live", {}), seen.get("progress", {})
        tap.check(live.get("bench") == "ppk2-c" and live.get("job") == job and isinstance(live.get("power_w"), float), "live tells bench, job and power", live)
        tap.check(progress.get("job") == job and "fraction" in progress and progress.get("text"), "progress tells job, fraction and text", progress)
        results = lab.results_of(job)
        if tap.check(len(results) == 1, "the job has a result", lab.job(job)):
            shapes(lab, tap, results[0])
            comparison(lab, tap, results[0])
    return tap.done()


sys.exit(main())
