#!/usr/bin/env python3
"""A second implementation of docs/ingot-format.md, writing only: tools/make_ingot_files.py tests/formats/data

Makes the conformance files and expected.json, which says of each what a reader must find or refuse. Needs the openssl program
for the one signed file."""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

PAGE = 65536
out = pathlib.Path(sys.argv[1])
expected = {}


def sha(data):
    return hashlib.sha256(data).digest()


class Ingot:
    def __init__(self, prefix=b""):
        self.data = bytearray(prefix)
        self.entries = []

    def put(self, name, body, at=None):
        fixed = 30 + len(name) + 4
        padding = -(len(self.data) + fixed) % PAGE
        if padding + 4 > 0xFFFF:
            self.data += bytes(64)
            padding -= 64
        header = len(self.data)
        self.data += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0x21, zlib.crc32(body), len(body), len(body), len(name), padding + 4)
        self.data += name.encode("latin-1") + struct.pack("<HH", 0x6749, padding) + bytes(padding)
        self.entries.append([name, zlib.crc32(body), header, len(self.data), len(body)])
        self.data += body

    def directory(self):
        result = b""
        for name, crc, header, _, size in self.entries:
            result += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45 | 3 << 8, 20, 0, 0, 0, 0x21, crc, size, size, len(name), 0, 0, 0, 0,
                                  0o100644 << 16, header) + name.encode("latin-1")
        n = len(self.entries)
        return result + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, n, n, len(result), len(self.data), 0)


def tree_of(data):
    level = b"".join(sha(data[i:i + PAGE]) for i in range(0, len(data), PAGE))
    tree = level
    while len(level) > PAGE:
        level = b"".join(sha(level[i:i + PAGE]) for i in range(0, len(level), PAGE))
        tree += level
    return tree, sha(level)


def sign(seed, message):
    with tempfile.TemporaryDirectory() as folder:
        key, text = pathlib.Path(folder, "key"), pathlib.Path(folder, "text")
        key.write_bytes(bytes.fromhex("302e020100300506032b657004220420") + seed)
        text.write_bytes(message)
        run = lambda *a: subprocess.run(["openssl", *a], check=True, capture_output=True).stdout
        public = run("pkey", "-inform", "DER", "-in", str(key), "-pubout", "-outform", "DER")[-32:]
        return public, run("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", str(key), "-in", str(text))


def content_hash(members):
    text = "triage\nbugs\n" + "".join(f"{n} {sha(b).hex()}\n" for n, b in members)
    return sha(text.encode()).hex()


MEMBERS = [("recipe.toml", b'name = "bugs"\n')]


def ingot(members=MEMBERS, prefix=b"", seed=None, change=None, extra_entries=None, manifest_text=None, own=("tree.bin", "manifest.json", "signature")):
    z = Ingot(prefix)
    for name, body in members:
        z.put(name, body)
    if extra_entries:
        z.entries += extra_entries(z)
    z.data += bytes(-len(z.data) % PAGE)
    tail = len(z.data)
    tree, root = tree_of(bytes(z.data))
    z.put(own[0], tree)
    manifest = {"format": 1, "kind": "triage", "name": "bugs", "root": root.hex(), "prefix": len(prefix), "provenance": {},
                "members": [{"name": e[0], "size": e[4], "sha256": sha(bytes(z.data[e[3]:e[3] + e[4]])).hex()} for e in z.entries[:-1]]}
    if change:
        change(manifest)
    z.put(own[1], manifest_text or json.dumps(manifest, indent=2).encode())
    z.put(own[2], bytes(136))
    entry = z.entries[-1]
    # The seal's digest: everything from tree.bin's header on, without the seal's bytes and with both copies of its CRC as zero.
    entry[1] = 0
    struct.pack_into("<I", z.data, entry[2] + 14, 0)
    digest = sha(bytes(z.data[tail:entry[3]]) + z.directory())
    public, signature = bytes(32), bytes(64)
    if seed:
        public, signature = sign(seed, b"ingot archive 1\n" + digest)
    seal = b"IngotSg1" + digest + public + signature
    z.data[entry[3]:] = seal
    entry[1] = zlib.crc32(seal)
    struct.pack_into("<I", z.data, entry[2] + 14, entry[1])
    return bytes(z.data) + z.directory(), public.hex()


def good(name, members=MEMBERS, **more):
    data, public = ingot(members, **more)
    (out / name).write_bytes(data)
    expected[name] = {"hash": content_hash(members), "signer": public if more.get("seed") else None, "members": [n for n, _ in members],
                      "prefix": len(more.get("prefix", b""))}


def refused(name, data, kind, says):
    (out / name).write_bytes(data)
    expected[name] = {"refused": kind, "says": says}


out.mkdir(parents=True, exist_ok=True)
good("plain.ingot")
good("signed.ingot", seed=bytes(range(32)))
good("prefixed.ingot", prefix=b"#!an executable part\n")
good("unknown_member.ingot", MEMBERS + [("notes/later.bin", b"of a later version")])
plain = ingot()[0]
refused("newer_format.ingot", ingot(change=lambda m: m.update(format=2))[0], "input", "format 2")
refused("duplicate_name.ingot", ingot(MEMBERS + MEMBERS)[0], "altered", "two members")
refused("path_traversal.ingot", ingot([("../recipe.toml", b"x")])[0], "altered", "part")
refused("absolute_name.ingot", ingot([("/etc/recipe", b"x")])[0], "altered", "part")
refused("backslash_name.ingot", ingot([("a\\b", b"x")])[0], "altered", "character")
refused("overlapping.ingot", ingot(extra_entries=lambda z: [["triage.bin", *z.entries[0][1:]]])[0], "altered", "disagrees")


def inside(z):  # a second member whose header and bytes lie in the first one's
    outer = z.entries[0]
    return [["in", 0, outer[3], outer[3] + PAGE, 0]]


inner = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0x21, 0, 0, 0, 2, PAGE - 32) + b"in" + struct.pack("<HH", 0x6749, PAGE - 36) + bytes(PAGE)
refused("nested.ingot", ingot([("recipe.toml", inner)], extra_entries=inside)[0], "altered", "does not lie")
refused("trailing_bytes.ingot", plain + b"\0", "altered", "does not end")
refused("wrong_root.ingot", ingot(change=lambda m: m.update(root="00" * 32))[0], "altered", "root")
refused("wrong_size.ingot", ingot(change=lambda m: m["members"][0].update(size=1))[0], "altered", "disagrees")
refused("no_tree.ingot", ingot(own=("forest.bin", "manifest.json", "signature"))[0], "altered", "lacks")
refused("manifest_not_json.ingot", ingot(manifest_text=b"{")[0], "altered", "manifest")
refused("empty.ingot", b"", "altered", "")
(out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
