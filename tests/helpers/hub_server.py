"""A Hub on this machine: what is committed to a repository can be downloaded from it."""

import base64
import hashlib
import json

from helpers.web_server import Handler, Server

COMMIT = "c0ffee" + 34 * "0"


class HubServer(Server):
    """A `Server` that also takes new repositories and commits of small files."""

    def __init__(self):
        super().__init__()
        self.RequestHandlerClass = HubHandler
        self.created = []

    def store(self, repository, path, content):
        """Keep a file of a repository, on its branch and as its commit."""
        for revision in ("main", COMMIT):
            address = f"/{repository}/resolve/{revision}/{path}"
            self.files[address] = content
            self.headers[address] = {
                "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
            }


class HubHandler(Handler):
    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.requests.append((self.command, self.path, None, dict(self.headers)))
        repository = "/".join(self.path.split("/")[3:5])
        if self.path == "/api/repos/create":
            server.created.append(json.loads(body))
            asked = server.created[-1]
            answer = {"url": f"{server.url}/{asked.get('organization')}/{asked['name']}"}
        elif self.path == "/api/validate-yaml":
            answer = {"errors": [], "warnings": []}
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            answer = {
                "files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            }
        else:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    server.store(
                        repository, line["value"]["path"], base64.b64decode(line["value"]["content"])
                    )
            answer = {"commitUrl": f"{server.url}/{repository}/commit/{COMMIT}", "commitOid": COMMIT}
        self.send_json(answer)

    def send_json(self, answer):
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
