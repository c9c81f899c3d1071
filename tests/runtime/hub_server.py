"""A model hub, its content network and a package index on loopback, with the faults that real ones have. Prints its port."""
import base64, hashlib, http.server, io, json, socket, socketserver, sys, threading, time, urllib.parse, zipfile


def noise(name, size):
    out, state = bytearray(), hashlib.sha256(name.encode()).digest()
    while len(out) < size:
        out += state
        state = hashlib.sha256(state).digest()
    return bytes(out[:size])


def blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


COMMIT = "0123456789abcdef0123456789abcdef01234567"
BIG = noise("big", 900_000)
REPOS = {
    "maker/folder": {"config.json": b'{"model_type":"llama"}', "model.safetensors": BIG, "tokenizer.json": b"{}", "pytorch_model.bin": b"never", "README.md": b"# card"},
    "maker/ggufs": {"a.Q4_0.gguf": noise("q4", 50_000), "a.Q8_0.gguf": noise("q8", 60_000)},
    "maker/split": {"m-00001-of-00002.gguf": noise("s1", 30_000), "m-00002-of-00002.gguf": noise("s2", 20_000)},
    "maker/lying": {"x.gguf": noise("x", 40_000)},
}
LARGE = (".gguf", ".safetensors", ".bin")
lock, log, seen, version = threading.Lock(), [], {}, {"n": 1}


def wheel(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items():
            z.writestr(name, data)
        z.writestr("pkg/stored.bin", b"as it is", compress_type=zipfile.ZIP_STORED)
    return out.getvalue()


JOINED = b"the first half, " * 3000 + b"and the second" * 2000
CUT = len(JOINED) // 2
WHEELS = {
    "pack-part1": ("pack_part1-1.0.0-py3-none-any.whl", wheel({"pkg/part1": JOINED[:CUT]})),
    "pack-part2": ("pack_part2-1.0.0-py3-none-any.whl", wheel({"pkg/part2": JOINED[CUT:]})),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def first(self, key):
        with lock:
            seen[key] = seen.get(key, 0) + 1
            return seen[key] == 1

    def file(self, data, tag, drop_at=None, slow=False):
        begin, status = 0, 200
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked and (condition is None or condition == tag):
            begin, status = int(asked[6:].split("-")[0]), 206
            if begin >= len(data):
                return self.answer(416, Content_Range="bytes */%d" % len(data))
        body = data[begin:]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if tag:
            self.send_header("ETag", tag)
        if status == 206:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(data) - 1, len(data)))
        self.end_headers()
        if drop_at is not None:
            self.wfile.write(body[:drop_at])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        for at in range(0, len(body), 65536):
            self.wfile.write(body[at:at + 65536])
            if slow:
                time.sleep(0.03)

    def do_GET(self):
        path = urllib.parse.urlparse(self.path).path
        with lock:
            log.append({"path": path, "host": self.headers["Host"].split(":")[0], "range": self.headers.get("Range"), "auth": self.headers.get("Authorization")})
        parts = path.strip("/").split("/")
        port = self.server.server_address[1]
        if path == "/log":
            return self.answer(200, json.dumps(log).encode())
        if path == "/change":
            version["n"] += 1
            return self.answer(200)
        if parts[:2] == ["api", "models"]:
            repo = "/".join(parts[2:4])
            if repo not in REPOS:
                return self.answer(404, b"{}")
            if parts[4] == "revision":
                if parts[5] not in ("main", COMMIT, "v1"):
                    return self.answer(404, b"{}")
                return self.answer(200, json.dumps({"sha": COMMIT, "gated": False, "cardData": {"license": "apache-2.0"}}).encode(), Content_Type="application/json")
            entries = []
            for name, data in REPOS[repo].items():
                entry = {"type": "file", "path": name, "size": len(data), "oid": blob(data)}
                if name.endswith(LARGE):
                    entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
                entries.append(entry)
            entries.append({"type": "directory", "path": "onnx", "size": 0, "oid": "0"})
            entries.append({"type": "file", "path": "../outside.gguf", "size": 3, "oid": "0"})
            if "cursor" not in self.path:  # two pages
                return self.answer(200, json.dumps(entries[:2]).encode(), Link='<http://127.0.0.1:%d%s&cursor=x>; rel="next"' % (port, self.path))
            return self.answer(200, json.dumps(entries[2:]).encode())
        if len(parts) >= 5 and parts[2] == "resolve":
            name = "/".join(parts[4:])
            data = REPOS.get("/".join(parts[:2]), {}).get(name)
            if data is None:
                return self.answer(404)
            if name.endswith(LARGE):  # to the content network: another host
                return self.answer(302, Location="http://localhost:%d/cdn/%s/%s/%s" % (port, parts[0], parts[1], name))
            return self.file(data, '"%s"' % blob(data))
        if parts[0] == "cdn":
            data = REPOS["/".join(parts[1:3])]["/".join(parts[3:])]
            if parts[2] == "lying":
                data = data[:-1] + b"?"
            return self.file(data, '"%s"' % hashlib.sha256(data).hexdigest(), 300_000 if data is BIG and self.first("big") else None)
        if parts[0] == "plain":  # plain/KIND/NAME
            data = noise("plain%d" % version["n"], 400_000)
            if parts[1] == "slow":
                return self.file(data, '"v%d"' % version["n"], slow=True)
            if parts[1] == "dropped":
                return self.file(data, '"v%d"' % version["n"], 100_000 if self.first(path) else None)
            if parts[1] == "untagged":
                return self.file(data, None, 100_000 if self.first(path) else None)
            if parts[1] == "busy" and self.first(path):
                return self.answer(429, b"slow down", Retry_After="1")
            if parts[1] == "ill" and self.first(path):
                return self.answer(503, b"restarting")
            if parts[1] == "closed":
                return self.answer(503, b"come back tomorrow", Retry_After="90000")
            if parts[1] == "gone":
                return self.answer(404)
            return self.file(data, '"v%d"' % version["n"])
        if parts[0] in ("simple", "html", "liar"):
            if parts[1] not in WHEELS:
                return self.answer(404)
            name, data = WHEELS[parts[1]]
            digest = hashlib.sha256(data).hexdigest() if parts[0] != "liar" else "0" * 64
            if parts[0] == "html":
                page = '<!DOCTYPE html><a href="../../files/other-1.tar.gz">other-1.tar.gz</a><a data-x="1" href="../../files/%s#sha256=%s">%s</a>' % (name, digest, name)
                return self.answer(200, page.encode(), Content_Type="text/html")
            page = {"files": [{"filename": name.replace("1.0.0", "0.9"), "url": "x"}, {"filename": name, "url": "http://127.0.0.1:%d/files/%s" % (port, name), "hashes": {"sha256": digest}, "size": len(data)}]}
            return self.answer(200, json.dumps(page).encode(), Content_Type="application/vnd.pypi.simple.v1+json")
        if parts[0] == "files":
            return self.file(dict(WHEELS.values())[parts[1]], '"w"')
        self.answer(404)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], hashlib.sha256(JOINED).hexdigest(), len(JOINED), flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()  # ends with the test
server.serve_forever()
