# SPDX-License-Identifier: GPL-2.0-or-later
"""Foreign energy sessions and the archives that hold them, made by Python's own tarfile: good ones, and every kind that must be refused."""
import gzip
import io
import json
import os
import struct
import tarfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FIXTURES = os.path.join(ROOT, "tests", "replay", "mlperf-tiny")
EEMBC = os.path.join(FIXTURES, "eembc", "v1.2", "NUCLEO_L4R5ZI_kws")
MLCOMMONS = os.path.join(FIXTURES, "mlcommons", "v1.3", "NUCLEO_U385RG_Q_kws")


def files_of(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            out[name] = f.read()
    return out


def tar(files, links=(), fmt=tarfile.PAX_FORMAT):
    """files: {path: bytes}; links: tarfile.TarInfo objects put behind them."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=fmt) as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        for info in links:
            t.addfile(info)
    return raw.getvalue()


def entry(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zstd_raw(data):
    """A zstd frame of uncompressed blocks (RFC 8878, 3.1.1): content size in 8 bytes, a single segment."""
    out = struct.pack("<IBQ", 0xFD2FB528, 0xE0, len(data))
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += struct.pack("<I", len(piece) << 3 | (at + 65536 >= len(data)))[:3] + piece
    return out


def zstd_bomb(head, n):
    """head, then n * 65536 zero bytes in 4 bytes each."""
    out = struct.pack("<IBQ", 0xFD2FB528, 0xE0, len(head) + n * 65536) + struct.pack("<I", len(head) << 3)[:3] + head
    return out + b"".join(struct.pack("<I", 65536 << 3 | 1 << 1 | (k == n - 1))[:3] + b"\0" for k in range(n))


def announced(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def good_archives(files):
    plain = tar(files)
    yield "tar", plain
    yield "tar, GNU", tar(files, fmt=tarfile.GNU_FORMAT)
    yield "tar, ustar, in a folder", tar({f"a/b/{k}": v for k, v in files.items()}, fmt=tarfile.USTAR_FORMAT)
    yield "tar with ./ and a directory", tar({f"./{k}": v for k, v in files.items()}, [entry("./more", tarfile.DIRTYPE)])
    yield "tar with other files", tar({**files, "notes/README.md": b"text", "energy_inf_000.png": b"\x89PNG"})
    yield "tar.gz", gzip.compress(plain)
    yield "tar.zst", zstd_raw(plain)


def bad_archives(files):
    """(what, bytes, words of which the error must hold every one)"""
    plain, any_name = tar(files), "log.txt"
    without = {k: v for k, v in files.items() if k != any_name}
    yield "a symbolic link", tar(without, [entry(any_name, tarfile.SYMTYPE, "/etc/passwd")]), (any_name, "symbolic link")
    yield "a hard link", tar(files, [entry("again.txt", tarfile.LNKTYPE, any_name)]), ("again.txt", "hard link")
    yield "a device", tar(files, [entry("null", tarfile.CHRTYPE)]), ("null", "neither a regular file")
    yield "a FIFO", tar(files, [entry("pipe", tarfile.FIFOTYPE)]), ("pipe", "neither a regular file")
    yield "an absolute path", tar({**without, "/tmp/log.txt": files[any_name]}), ("/tmp/log.txt", "absolute")
    yield "a way out", tar({**without, "../log.txt": files[any_name]}), ("../log.txt", '".."')
    yield "a way out further in", tar({**without, "a/../../log.txt": files[any_name]}), ("a/../../log.txt", '".."')
    yield "a way out at the end", tar({**files, "a/..": b"x"}), ("a/..", '".."')
    yield "one file twice", plain[:-1024].rstrip(b"\0") + bytes(-len(plain[:-1024].rstrip(b"\0")) % 512) + tar({any_name: b"another"}), (any_name, "twice")
    yield "two sessions", tar({**{f"a/{k}": v for k, v in files.items()}, **{f"b/{k}": v for k, v in files.items()}}), ("b/", "two folders")
    yield "too many entries", tar({**files, **{f"x{k}": b"" for k in range(300)}}), ("x", "more entries")
    yield "a missing file", tar(without), (any_name, "lacks")
    yield "an empty file", tar({**files, any_name: b""}), (any_name, "empty")
    yield "cut off", plain[:len(plain) // 2], ("rchive",)
    yield "no archive", b"neither tar nor anything" * 100, ("not a readable tar archive",)
    yield "nothing", b"", ()
    yield "empty archive", bytes(10240), ("empty",)
    yield "a bomb of gzip", gzip.compress(tar({**files, "zeros": bytes(60 << 20)})), ("zeros", "times its size")
    yield "a bomb of zstd", zstd_bomb(announced("zeros", 50 << 20), 800), ("zeros", "times its size")
    yield "a giant that is announced", announced("giant", 1 << 40) + bytes(10240), ("giant", "bytes")



def bad_sessions():
    """(what, files, words): a good session with one thing wrong in it, of each runner."""
    files, floats = files_of(EEMBC), lambda at, value: files["trace1-energy.bin"][:at] + struct.pack("<f", value) + files["trace1-energy.bin"][at + 4:]
    t = json.loads(files["trace1-timestamps.json"])
    stamps = lambda x: {**files, "trace1-timestamps.json": json.dumps(x).encode()}  # noqa: E731
    text = files["results.txt"].decode()
    yield "a NaN among the energies", {**files, "trace1-energy.bin": floats(5 + 4 * 77, float("nan"))}, ("trace1-energy.bin", "sample 77")
    yield "an infinity among the energies", {**files, "trace1-energy.bin": floats(5 + 4 * 78, float("inf"))}, ("trace1-energy.bin", "sample 78")
    yield "a rate of 0", {**files, "trace1-energy.bin": floats(1, 0.0)}, ("trace1-energy.bin", "0 Hz")
    yield "a negative rate", {**files, "trace1-energy.bin": floats(1, -1000.0)}, ("trace1-energy.bin", "-1000 Hz")
    yield "half a sample", {**files, "trace1-energy.bin": files["trace1-energy.bin"][:-2]}, ("trace1-energy.bin", "cut off")
    yield "another trace", {**files, "trace1-energy.bin": b"JFTRACE1" + bytes(1000)}, ("trace1-energy.bin", "0x4A")
    yield "half a trace", {**files, "trace1-energy.bin": files["trace1-energy.bin"][:5 + 4 * 20000]}, ("trace1-timestamps.json", "outside the trace")
    yield "a timestamp behind the trace", stamps(t[:-1] + [1e6]), ("trace1-timestamps.json", "outside the trace")
    yield "a negative timestamp", stamps([-1.0] + t[1:]), ("trace1-timestamps.json element 0", "outside the trace")
    yield "unsorted timestamps", stamps(t[:3] + [t[4], t[3]] + t[5:]), ("trace1-timestamps.json element 4", "not in order")
    yield "a window of no duration", stamps(t[:2] + [t[1]] + t[3:]), ("trace1-timestamps.json element 2", "not in order")
    yield "too few timestamps", stamps(t[:-2]), ("trace1-timestamps.json", "do not hold")
    yield "cut off timestamps", {**files, "trace1-timestamps.json": files["trace1-timestamps.json"][:-9]}, ("trace1-timestamps.json line", "JSON")
    yield "another energy printed", {**files, "results.txt": text.replace("1820.454", "1820.455").encode()}, ("1820.455",)
    yield "another count in the log", {**files, "log.txt": files["log.txt"].replace(b"m-infer-start-300", b"m-infer-start-299")}, ("log.txt line",)
    yield "no median", {**files, "results.txt": text[:text.index("Median energy")].encode()}, ("results.txt", "cut off")
    files = files_of(MLCOMMONS)
    runs = json.loads(files["results.json"])
    changed = lambda fn: {**files, "results.json": json.dumps([fn(json.loads(json.dumps(r))) if k == 2 else r for k, r in enumerate(runs)]).encode()}  # noqa: E731

    def put(key, value):
        def fn(run):
            run["power" if key in run["power"] else "infer"][key] = value
            return run
        return fn
    samples = runs[2]["power"]["samples"]
    yield "a NaN in results.json", changed(put("samples", [float("nan")] + samples[1:])), ("results.json line",)
    yield "a text among the samples", changed(put("samples", samples[:9] + ["1"] + samples[10:])), ("results.json run 2 sample 9",)
    yield "events out of order", changed(put("timestamps", runs[2]["power"]["timestamps"][::-1])), ("results.json run 2 timestamp", "order")
    yield "an event behind the samples", changed(put("timestamps", [["00", 1], ["01", len(samples) + 1]])), ("results.json run 2 timestamp 1", "outside")
    yield "one event", changed(put("timestamps", [["00", 1]])), ("results.json run 2 timestamps", "two events")
    yield "no inferences", changed(put("iterations", 0)), ("results.json run 2 infer.iterations",)
    yield "two voltages", changed(put("voltage", 3.3)), ("results.json run 2 power.voltage", "another voltage")
    yield "a run less", {**files, "results.json": json.dumps(runs[:-1]).encode()}, ("results.json", "4 runs")
    yield "no array", {**files, "results.json": b"{}"}, ("results.json", "array")
    yield "files of two runners", {**files_of(EEMBC), "results.json": files["results.json"]}, ("two runners",)
