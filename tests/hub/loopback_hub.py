"""A model Hub on 127.0.0.1: enough of the protocol for `huggingface_hub` and `diffusers` to push and load models.

    with LoopbackHub(folder) as hub:
        hub.add_repo("someone/model", {"config.json": b"{}"})
        subprocess.run([...], env=hub.env(home))

The clients find it by `HF_ENDPOINT`. Standard library only. It knows two users, who may write to the repositories under
their own names; private and gated repositories, branches, tags, commits, listings, downloads (also of ranges), and
uploads of large files by the basic LFS transfer. As the public Hub does, it sends the clients to another host (here:
another name of the same one) for large files. `fault` makes it fail.
"""

import base64
import fnmatch
import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

USER, TOKEN = "tester", "hf_loopback_tester"
STRANGER, STRANGER_TOKEN = "stranger", "hf_loopback_stranger"
USERS = {TOKEN: USER, STRANGER_TOKEN: STRANGER}
DATE = "2017-07-01T00:00:00.000Z"
LARGE_FILES = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.onnx")


class Reply(Exception):
    """Carries an HTTP answer out of any depth of the handler."""

    def __init__(self, status=200, payload=None, code=None, message=None, headers=None, data=None):
        self.status = status
        self.headers = dict(headers or {})
        if message:
            payload = (payload or {}) | {"error": message}
            self.headers["X-Error-Message"] = message
        if code:
            self.headers["X-Error-Code"] = code
        self.data = data if data is not None else b"" if payload is None else json.dumps(payload).encode()


@dataclass
class Fault:
    """What goes wrong with the next `times` requests for a path. The path is a glob and not quoted.

    Kinds: "unavailable" answers 503. The others serve a file: "truncate" only its first `after` bytes, as if they were
    all; "corrupt" flips the byte at `after`; "drop" closes the connection after `after` bytes; "stall" sends nothing
    more after them until `released` is set (`reached` says that it is so far), then closes the connection.
    """

    kind: str
    path: str
    method: str = "GET"
    after: int = 0
    times: int = 1
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        if self.kind not in ("unavailable", "truncate", "corrupt", "drop", "stall"):
            raise ValueError(self.kind)


class Repository:
    """One repository: every commit is a table of its files."""

    def __init__(self, name, private=False, gated_for=None):
        self.name, self.owner = name, name.split("/")[0]
        self.private, self.gated_for = private, gated_for
        self.commits = {}  # commit id -> {path: entry}
        self.branches, self.tags = {}, {}  # name -> commit id
        self.commit("main", {})

    def commit(self, branch, files):
        commit_id = hashlib.sha1(f"{self.name} {len(self.commits)}".encode()).hexdigest()
        self.commits[commit_id] = files
        self.branches[branch] = commit_id
        return commit_id

    def resolve(self, revision):
        commit_id = self.branches.get(revision) or self.tags.get(revision) or revision
        if commit_id not in self.commits:
            raise Reply(404, code="RevisionNotFound", message=f"Invalid rev id: {revision}")
        return commit_id, self.commits[commit_id]


class LoopbackHub:
    """The server. `requests` is the log of what it was asked.

    It holds dictionaries with "method", "path", "status", "range" (the header) and "token" (whether one was sent).
    """

    def __init__(self, folder):
        self.objects = Path(folder)
        self.objects.mkdir(parents=True)
        self.repositories, self.requests, self.faults, self.lock = {}, [], [], threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.large_file_url = self.url.replace("127.0.0.1", "localhost")

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()

    def env(self, home, anonymous=False):
        """Environment for a client process whose cache and settings are in the folder `home`."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        env |= {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1,localhost"}
        env |= {f"HF_HUB_DISABLE_{what}": "1" for what in ("XET", "TELEMETRY", "PROGRESS_BARS", "UPDATE_CHECK")}
        return env if anonymous else env | {"HF_TOKEN": TOKEN}

    def add_repo(self, name, files, private=False, gated_for=None):
        """Commit `files` (path -> bytes) to the repository, which is made when it does not exist.

        `private`: others than the owner do not learn that it exists. `gated_for`: the users who may read its files
        besides the owner; None is everybody.
        """
        with self.lock:
            repo = self.repositories.setdefault(name, Repository(name, private, gated_for))
            new = {path: self.entry(path, data) for path, data in files.items()}
            return repo.commit("main", repo.resolve("main")[1] | new)

    def files(self, name, revision="main"):
        """The contents of a repository: path -> bytes."""
        files = self.repositories[name].resolve(revision)[1]
        return {path: self.read(entry) for path, entry in files.items()}

    def fault(self, kind, path, **details):
        """Let the next matching requests fail, see `Fault`."""
        self.faults.append(Fault(kind, path, **details))
        return self.faults[-1]

    def take_fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and fnmatch.fnmatch(path, fault.path):
                    fault.times -= 1
                    return fault
        return None

    def entry(self, path, data):
        sha256 = hashlib.sha256(data).hexdigest()
        (self.objects / sha256).write_bytes(data)
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"sha256": sha256, "oid": oid, "size": len(data), "lfs": is_large(path)}

    def read(self, entry):
        return (self.objects / entry["sha256"]).read_bytes()


def is_large(path):
    return any(fnmatch.fnmatch(path, pattern) for pattern in LARGE_FILES)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests; `hub` is set by `LoopbackHub`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_any(self):
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        # Split first, unquote after: a revision such as refs%2Fpr%2F1 is one segment.
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        path = "/" + "/".join(parts)
        self.raw = self.body() if self.command in ("POST", "PUT", "DELETE") else b""
        fault = self.hub.take_fault(self.command, path)
        try:
            if fault and fault.kind == "unavailable":
                raise Reply(503, message="The Hub is not available at the moment")
            with self.hub.lock:
                self.route(parts)
            raise Reply(404, message=f"no such route: {self.command} {url.path}")
        except Reply as reply:
            asked = {"method": self.command, "path": path, "status": reply.status}
            asked |= {"range": self.headers.get("Range"), "token": "Authorization" in self.headers}
            self.hub.requests.append(asked)
            try:
                self.send(reply, fault)
            except ConnectionError:  # the client is gone
                self.close_connection = True

    def send(self, reply, fault):
        data, end = reply.data, len(reply.data)
        if fault and fault.kind == "truncate":
            data = data[: fault.after]
        elif fault and fault.kind == "corrupt":
            data = data[: fault.after] + bytes([data[fault.after] ^ 255]) + data[fault.after + 1 :]
        elif fault and fault.kind in ("drop", "stall"):
            end, self.close_connection = fault.after, True
        self.send_response(reply.status)
        for key, value in {**reply.headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:end])
        if fault and fault.kind == "stall":
            fault.reached.set()
            fault.released.wait(60)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def route(self, parts):
        match parts:
            case ["lfs", sha256, *_]:
                self.large_file(sha256)
            case ["api", "whoami-v2"]:
                user = self.user(required=True)
                raise Reply(200, {"type": "user", "id": user, "name": user, "fullname": user, "orgs": []})
            case ["api", "validate-yaml"]:
                raise Reply(200, {"errors": [], "warnings": []})
            case ["api", "repos", "create"]:
                self.create()
            case ["api", "models", owner, name, *rest]:
                self.api(f"{owner}/{name}", *rest)
            case [owner, name, "info", "lfs", "objects", "batch"]:
                self.large_files(f"{owner}/{name.removesuffix('.git')}")
            case [owner, name, "resolve", revision, *path]:
                self.download(f"{owner}/{name}", revision, "/".join(path))

    def user(self, required=False):
        """Who asks; None is anonymous."""
        header = self.headers.get("Authorization")
        user = USERS.get((header or "").removeprefix("Bearer "))
        if user is None and (header or required):
            raise Reply(401, message="Invalid username or password.")
        return user

    def repository(self, name, write=False, content=False):
        user, repo = self.user(required=write), self.hub.repositories.get(name)
        if repo is None or (repo.private and user != repo.owner):
            raise Reply(404 if user else 401, code="RepoNotFound", message="Repository not found")
        if write and user != repo.owner:
            raise Reply(403, message=f"You don't have the rights to write to {name}")
        if content and repo.gated_for is not None and user not in (repo.owner, *repo.gated_for):
            # the words of the public Hub
            message = f"Access to model {name} is restricted and you are not in the authorized list. "
            message += f"Visit {self.hub.url}/{name} to ask for access."
            if user is None:
                message = f"Access to model {name} is restricted. You must have access to it and be authenticated "
                message += "to access it. Please log in."
            raise Reply(403 if user else 401, code="GatedRepo", message=message)
        return repo

    def create(self):
        user, data = self.user(required=True), json.loads(self.raw)
        name = f"{data.get('organization') or user}/{data['name']}"
        answer = {"url": f"{self.hub.url}/{name}", "name": name, "id": name}
        if name in self.hub.repositories:
            raise Reply(409, answer, message="You already created this model repo")
        private = data.get("visibility") == "private" or bool(data.get("private"))
        self.hub.repositories[name] = Repository(name, private)
        raise Reply(200, answer)

    def api(self, name, action="revision", revision="main", *path):
        write = action in ("branch", "tag", "preupload", "commit")
        repo = self.repository(name, write)
        match action:
            case "branch":
                start = json.loads(self.raw or b"{}").get("startingPoint") or "main"
                repo.branches[revision] = repo.resolve(start)[0]
                raise Reply(200, {})
            case "tag":
                repo.tags[json.loads(self.raw)["tag"]] = repo.resolve(revision)[0]
                raise Reply(200, {})
            case "commit":
                self.commit(repo, revision)
            case "preupload":
                self.preupload(repo.resolve(revision)[1])
            case "revision":
                self.info(repo, revision)
            case "tree":
                self.tree(repo.resolve(revision)[1], "/".join(path))

    def info(self, repo, revision):
        commit_id, files = repo.resolve(revision)
        siblings = [{"rfilename": path, "blobId": files[path]["oid"], "size": files[path]["size"]} for path in files]
        facts = {"id": repo.name, "modelId": repo.name, "author": repo.owner, "sha": commit_id}
        facts |= {"private": repo.private, "gated": False if repo.gated_for is None else "manual", "disabled": False}
        facts |= {"downloads": 0, "likes": 0, "tags": []}
        raise Reply(200, facts | {"siblings": siblings, "createdAt": DATE, "lastModified": DATE, "cardData": {}})

    def tree(self, files, folder):
        prefix, recursive = f"{folder}/" if folder else "", self.query.get("recursive", [""])[0].lower() == "true"
        listed = {}
        for path, entry in sorted(files.items()):
            if not path.startswith(prefix):
                continue
            steps = path.removeprefix(prefix).split("/")
            for depth in range(1, len(steps) if recursive else min(2, len(steps))):
                name = prefix + "/".join(steps[:depth])
                listed[name] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
            if recursive or len(steps) == 1:
                listed[path] = {"type": "file", "oid": entry["oid"], "size": entry["size"], "path": path}
                if entry["lfs"]:
                    listed[path]["lfs"] = {"oid": entry["sha256"], "size": entry["size"], "pointerSize": 134}
        if prefix and not listed:
            raise Reply(404, code="EntryNotFound", message=f"{folder} does not exist")
        raise Reply(200, list(listed.values()))

    def preupload(self, files):
        answer = []
        for item in json.loads(self.raw)["files"]:
            path = item["path"]
            answer.append({"path": path, "uploadMode": "lfs" if is_large(path) else "regular", "shouldIgnore": False})
            if path in files:
                answer[-1]["oid"] = files[path]["sha256" if files[path]["lfs"] else "oid"]
        raise Reply(200, {"files": answer})

    def commit(self, repo, branch):
        files = dict(repo.resolve(branch)[1])
        for line in map(json.loads, self.raw.splitlines()):
            key, value = line["key"], line["value"]
            if key == "file":
                files[value["path"]] = self.hub.entry(value["path"], base64.b64decode(value["content"]))
            elif key == "lfsFile":
                sent = self.hub.objects / value["oid"]
                if not sent.exists():
                    raise Reply(400, message=f"{value['path']} was never uploaded")
                files[value["path"]] = self.hub.entry(value["path"], sent.read_bytes())
            elif key == "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise Reply(404, code="EntryNotFound", message=f"{value['path']} does not exist")
            elif key != "header":
                raise Reply(400, message=f"{key} is not known")
        commit_id = repo.commit(branch, files)
        url = f"{self.hub.url}/{repo.name}/commit/{commit_id}"
        raise Reply(200, {"success": True, "commitOid": commit_id, "commitUrl": url, "pullRequestUrl": None})

    def large_files(self, name):
        self.repository(name, write=True)
        answer = []
        for item in json.loads(self.raw)["objects"]:
            answer.append({"oid": item["oid"], "size": item["size"]})
            if not (self.hub.objects / item["oid"]).exists():
                answer[-1]["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{item['oid']}"}}
        raise Reply(200, {"transfer": "basic", "objects": answer})

    def large_file(self, sha256):
        path = self.hub.objects / sha256
        if self.command == "PUT":
            if hashlib.sha256(self.raw).hexdigest() != sha256:
                raise Reply(400, message="the content does not match its SHA-256")
            path.write_bytes(self.raw)
            raise Reply(200, {})
        if not path.exists():
            raise Reply(404, message="no such object")
        data, headers = path.read_bytes(), {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            if first > last:
                raise Reply(416, headers={"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            raise Reply(206, data=data[first : last + 1], headers=headers)
        raise Reply(200, data=data, headers=headers)

    def download(self, name, revision, path):
        commit_id, files = self.repository(name, content=True).resolve(revision)
        headers = {"X-Repo-Commit": commit_id}
        if path not in files:
            raise Reply(404, code="EntryNotFound", message="Entry not found", headers=headers)
        entry = files[path]
        headers["ETag"] = f'"{entry["oid"]}"'
        if entry["lfs"]:
            headers |= {"X-Linked-Etag": f'"{entry["sha256"]}"', "X-Linked-Size": str(entry["size"])}
            headers["Location"] = f"{self.hub.large_file_url}/lfs/{entry['sha256']}/{quote(f'{name}/{path}')}"
            raise Reply(302, headers=headers)
        raise Reply(200, data=self.hub.read(entry), headers=headers)
