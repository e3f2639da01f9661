# SPDX-License-Identifier: GPL-2.0-or-later
"""Foreign energy sessions and the archives that hold them, made by Python's own tarfile: good ones, and every kind that must be refused."""
import gzip
import io
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


def zstd_rle(n):
    """A zstd frame of n * 65536 zero bytes in 4 bytes each: a bomb."""
    return struct.pack("<IBQ", 0xFD2FB528, 0xE0, n * 65536) + b"".join(struct.pack("<I", 65536 << 3 | 1 << 1 | (k == n - 1))[:3] + b"\0" for k in range(n))


def pattern(n):
    """n bytes that do not compress."""
    return b"".join(struct.pack("<I", (k * 2654435761 ^ k >> 3) & 0xFFFFFFFF) for k in range((n + 3) // 4))[:n]


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
    yield "a way out at the end", tar(files, [entry("a/..", tarfile.DIRTYPE)]), ("a/..", '".."')
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
    yield "a bomb of zstd", zstd_rle(2000), ()
    yield "a giant that is announced", tar({})[:0] + giant(), ("giant", "bytes")


def giant():
    info = tarfile.TarInfo("giant")
    info.size = 1 << 40
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(10240)
