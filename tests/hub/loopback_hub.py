"""A model Hub on 127.0.0.1: enough of the protocol for `huggingface_hub` and `diffusers` to push and load models.

    with LoopbackHub(folder) as hub:
        hub.add_repo("someone/model", {"config.json": b"{}"})
        subprocess.run([...], env=hub.env(home))

The clients find it by `HF_ENDPOINT`. Standard library only. It knows one user, who may write to the repositories under
her own name; branches, tags, commits, listings, downloads, and uploads of large files by the basic LFS transfer. As the
public Hub does, it sends the clients to another host (here: another name of the same one) for large files.
"""

import base64
import fnmatch
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

USER, TOKEN = "tester", "hf_loopback_tester"
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


class Repository:
    """One repository: every commit is a table of its files."""

    def __init__(self, name):
        self.name = name
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
    """The server. `requests` is the log of what it was asked: dictionaries with "method", "path" and "status"."""

    def __init__(self, folder):
        self.objects = Path(folder)
        self.objects.mkdir(parents=True)
        self.repositories, self.requests, self.lock = {}, [], threading.RLock()
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

    def add_repo(self, name, files):
        """Commit `files` (path -> bytes) to the repository, which is made when it does not exist."""
        with self.lock:
            repo = self.repositories.setdefault(name, Repository(name))
            new = {path: self.entry(path, data) for path, data in files.items()}
            return repo.commit("main", repo.resolve("main")[1] | new)

    def files(self, name, revision="main"):
        """The contents of a repository: path -> bytes."""
        files = self.repositories[name].resolve(revision)[1]
        return {path: self.read(entry) for path, entry in files.items()}

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
        self.raw = self.body() if self.command in ("POST", "PUT", "DELETE") else b""
        try:
            with self.hub.lock:
                self.route(parts)
            raise Reply(404, message=f"no such route: {self.command} {url.path}")
        except Reply as reply:
            self.hub.requests.append({"method": self.command, "path": "/" + "/".join(parts), "status": reply.status})
            self.send_response(reply.status)
            for key, value in {**reply.headers, "Content-Length": str(len(reply.data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.data)

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
            case ["lfs", sha256]:
                self.large_file(sha256)
            case ["api", "whoami-v2"]:
                self.check_user()
                raise Reply(200, {"type": "user", "id": USER, "name": USER, "fullname": USER, "orgs": []})
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

    def check_user(self):
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Reply(401, message="Invalid username or password.")

    def repository(self, name, write=False):
        if write:
            self.check_user()
        if name not in self.hub.repositories:
            raise Reply(404 if "Authorization" in self.headers else 401, code="RepoNotFound", message="Not found")
        if write and not name.startswith(f"{USER}/"):
            raise Reply(403, message=f"You don't have the rights to write to {name}")
        return self.hub.repositories[name]

    def create(self):
        self.check_user()
        data = json.loads(self.raw)
        name = f"{data.get('organization') or USER}/{data['name']}"
        answer = {"url": f"{self.hub.url}/{name}", "name": name, "id": name}
        if name in self.hub.repositories:
            raise Reply(409, answer, message="You already created this model repo")
        self.hub.repositories[name] = Repository(name)
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
        facts = {"id": repo.name, "modelId": repo.name, "author": repo.name.split("/")[0], "sha": commit_id}
        facts |= {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
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
        raise Reply(200, data=path.read_bytes(), headers={"ETag": f'"{sha256}"'})

    def download(self, name, revision, path):
        commit_id, files = self.repository(name).resolve(revision)
        headers = {"X-Repo-Commit": commit_id}
        if path not in files:
            raise Reply(404, code="EntryNotFound", message="Entry not found", headers=headers)
        entry = files[path]
        headers["ETag"] = f'"{entry["oid"]}"'
        if entry["lfs"]:
            headers |= {"X-Linked-Etag": f'"{entry["sha256"]}"', "X-Linked-Size": str(entry["size"])}
            headers["Location"] = f"{self.hub.large_file_url}/lfs/{entry['sha256']}"
            raise Reply(302, headers=headers)
        raise Reply(200, data=self.hub.read(entry), headers=headers)
