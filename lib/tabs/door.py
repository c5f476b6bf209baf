"""The door of the app: what gradio never gets to see.  SECURITY.md says against whom it stands."""

import ipaddress
import json
import os
import socket
from urllib.parse import urlsplit

from starlette.middleware import Middleware

from lib.tabs import pace

LOCAL = ("localhost", "127.0.0.1", "::1")
SHARED = (".hf.space", ".gradio.live")  # names that Hugging Face and gradio's share links give an app
JSON_BYTES = 1_000_000  # of a request that is not an upload: a thousand characters and some settings
UPLOAD_BYTES = 24_000_000  # of all files of one upload; gradio refuses a single one over 20 MB
# What gradio serves and this app does not use: a proxy to other hosts, ffmpeg, an editor of its own code.
CLOSED = (
    "/proxy=",
    "/process_recording",
    "/vibe-",
    "/undo-vibe-",
    "/dev/",
    "/component_server",
    "/deep_link",
)
# What makes the models work, or a file.
COUNTED = ("/queue/join", "/upload")
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    # gradio's page needs inline scripts and eval (its HTML component); nothing comes from elsewhere.
    "content-security-policy": "; ".join(
        (
            "default-src 'self' blob: data:",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self' https://huggingface.co",
        )
    ),
}


class Refused(Exception):
    """A request that is not let in: status and words."""

    def __init__(self, status, words):
        super().__init__(words)
        self.status = status


def middleware(app, server_name=None):
    """The door as gradio's launch takes it (app_kwargs) for the gr.Blocks `app`."""
    public = {function.api_name for function in app.fns.values() if function.api_visibility == "public"}
    door = Middleware(Door, hosts=own_hosts(server_name), public=public, numbers=set(app.fns))
    return {"middleware": [door]}


def own_hosts(server_name=None):
    """Names of this app: this machine's, its server name, SPACE_HOST, VOICE_ATLAS_HOSTS (by commas)."""
    more = [
        socket.gethostname(),
        server_name,
        os.environ.get("GRADIO_SERVER_NAME"),
        os.environ.get("SPACE_HOST"),
    ]
    more += os.environ.get("VOICE_ATLAS_HOSTS", "").split(",")
    return {*LOCAL, *(name.strip().lower() for name in more if name and name.strip())}


def host_of(netloc):
    """The name in "name:port", in small letters; "" where there is none to be read."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""


def is_address(host):
    """Whether a host is an IP address, which nobody can rebind: pages of other sites are met by name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_url(path):
    """Whether a path would be fetched from elsewhere."""
    return "://" in path or path.lower().lstrip("/").startswith(("http:", "https:"))


def check_values(value):
    """Raise Refused where a JSON value holds a file that lies elsewhere (gradio would fetch it), or none."""
    if isinstance(value, dict):
        check_path(value.get("path"))
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            check_values(part)


def check_path(path):
    """Raise Refused unless a path may be that of an upload; None is no path."""
    if path is None:
        return
    if not isinstance(path, str) or "\0" in path:
        raise Refused(422, "A clip is named by the path that its upload gave: upload it again.")
    if is_url(path):
        raise Refused(403, "A clip must be uploaded; an address of one is not fetched.")


def check_json(data):
    """Give what bytes hold.

    Raises Refused unless they are JSON of finite numbers, whole characters and files of this app."""

    def no_number(word):
        raise Refused(422, f"{word} is no number here: choose one within the limits of the field.")

    try:
        value = json.loads(data, parse_constant=no_number)
        json.dumps(value, ensure_ascii=False).encode()
        check_values(value)
    except UnicodeEncodeError as error:
        raise Refused(422, "The text holds half a character (a lone surrogate): type it again.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, "This request is no JSON that can be read.") from error
    return value


class Door:
    """ASGI middleware.

    hosts: names under which the app is met.  public: names of its public functions.  numbers: of all."""

    def __init__(self, app, hosts, public, numbers):
        self.app = app
        self.hosts = hosts
        self.public = public
        self.numbers = numbers
        self.pace = pace.Pace()

    async def __call__(self, scope, receive, send):
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope["headers"]}
        started = False

        async def guarded(message):
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            self.check(scope, headers)
            if scope["type"] == "http" and scope["method"] == "POST":
                self.count(scope, headers)
                receive = await self.bounded(scope["path"], headers, receive)
            await self.app(scope, receive, guarded)
        except Refused as refusal:
            if not started and scope["type"] == "http":
                await answer(guarded, refusal)

    def check(self, scope, headers):
        """Raise Refused for a foreign host or page, a closed path, or a private function."""
        host = host_of(headers.get("host", ""))
        if not self.is_ours(host) and not is_address(host) and not host.endswith(SHARED):
            raise Refused(421, f"This app is not met under the name {host!r}; VOICE_ATLAS_HOSTS adds names.")
        origin = headers.get("origin")
        if origin is not None and not self.may_ask(host_of(urlsplit(origin).netloc), host):
            raise Refused(403, "Requests from pages of other sites are refused.")
        path = scope["path"]
        if path.removeprefix("/gradio_api").startswith(CLOSED):
            raise Refused(404, "There is nothing here.")
        _, is_file, name = path.partition("/file=")
        if is_file and is_url(name) or "/file/" in path and is_url(path.partition("/file/")[2]):
            raise Refused(403, "Only files of this app are served.")
        _, is_call, name = path.partition("/call/")
        if is_call and name.removeprefix("v2/").split("/")[0] not in self.public:
            raise Refused(404, "There is no public function of this name.")

    def count(self, scope, headers):
        """Take a request that makes work off its visitor's share.  Raises Refused where nothing is left."""
        path = scope["path"].rstrip("/")
        if path.endswith(COUNTED) or "/call/" in path:
            peer = scope["client"][0] if scope.get("client") else ""
            visitor = pace.visitor_of(peer, headers.get("x-forwarded-for", ""))
            seconds = self.pace.wait(visitor)
            if seconds:
                raise Refused(429, pace.words(seconds))

    def is_ours(self, host):
        """Whether this app is met under the name `host`."""
        return host in self.hosts

    def may_ask(self, asking, host):
        """Whether a page of the host `asking` may send requests: it is this app's own."""
        return asking == host or (self.is_ours(asking) and (self.is_ours(host) or is_address(host)))

    async def bounded(self, path, headers, receive):
        """A `receive` that gives no more than the limit, and of JSON only what was checked."""
        if path.rstrip("/").endswith("/upload"):
            return counted(receive, UPLOAD_BYTES)
        receive = counted(receive, JSON_BYTES)
        data, more = b"", True
        while more:
            message = await receive()
            data += message.get("body", b"")
            more = message.get("more_body", False)
        if data:
            self.check_number(check_json(data))
        return replayed(data, receive)

    def check_number(self, value):
        """Raise Refused where a request asks for a function by a number that none has."""
        number = value.get("fn_index") if isinstance(value, dict) else None
        if number is not None and (not isinstance(number, int) or number not in self.numbers):
            raise Refused(404, "There is no function of this number: load the page again.")


def counted(receive, limit):
    """A `receive` that raises Refused after `limit` bytes."""
    size = 0

    async def count():
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise Refused(
                413, f"The request is over {limit / 1e6:.0f} MB, the limit of one: send less at a time."
            )
        return message

    return count


def replayed(data, receive):
    """A `receive` that gives `data` as the whole body, then what comes after it."""
    given = False

    async def replay():
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": data, "more_body": False}

    return replay


async def answer(send, refusal):
    """Send a refusal as JSON, as gradio's own errors come."""
    body = json.dumps({"detail": str(refusal)}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": refusal.status,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
