"""Stores in S3 and on web servers, read where they lie; against a server of the protocol that this file starts,
behind a proxy that delays, cuts and refuses."""

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

import vlstore
from test_blobs_s3 import serving

SECRET = "hush-this-is-secret"


def record(i):
    return bytes([i % 251]) * 500 + i.to_bytes(8, "little") + os.urandom(0)


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on; the server has ``behind``, ``fault`` and ``requests``."""

    protocol_version = "HTTP/1.1"

    def pass_on(self):
        server = self.server
        with server.lock:
            server.requests.append((self.command, self.path, self.headers.get("Range")))
            fault, server.once = server.fault or server.once, None
        if callable(fault):
            fault(self)
        if fault == "no-copies" and self.headers.get("x-amz-copy-source"):
            # As services that do not copy parts.
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            self.send_response(501)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "refuse":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "late":
            time.sleep(0.1)
        if fault == "hang":
            time.sleep(20)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        completes = self.command == "POST" and "uploadId=" in self.path
        if completes and server.meanwhile:
            run, server.meanwhile = server.meanwhile, None
            run()
        if completes and self.headers.get("If-Match") and fault != "no-conditions":
            # As S3 does it, and the server behind does not.
            behind = HTTPConnection(server.behind.removeprefix("http://"))
            behind.request("HEAD", self.path.split("?")[0])
            there = behind.getresponse().headers.get("ETag")
            behind.close()
            if there != self.headers["If-Match"]:
                self.send_response(412)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection",)}
        behind = HTTPConnection(server.behind.removeprefix("http://"))
        behind.request(self.command, self.path, body=body, headers=headers)
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                self.send_header(name, value)
        whole = answer.headers.get("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(whole))
        self.end_headers()
        if fault == "cut" and self.command == "GET":
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

    def log_message(self, *args):
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Says nothing of clients that went away: to print a traceback CPython 3.11 parses the line, and it can do that in one
        thread at a time only, else whatever is parsed elsewhere fails."""


@pytest.fixture(scope="module")
def proxy():
    with serving() as address:
        server = Quiet(("127.0.0.1", 0), Proxy)
        server.daemon_threads = True
        server.behind, server.requests, server.lock = address, [], threading.Lock()
        server.fault = server.once = server.meanwhile = None
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def bucket(proxy, request, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("AWS_", "VLSTORE_"))]:
        monkeypatch.delenv(name)
    proxy.fault = proxy.once = proxy.meanwhile = None
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60].strip("-")
    client = boto3.client(
        "s3", endpoint_url=proxy.behind, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.create_bucket(Bucket=name)
    variables = {
        "AWS_ACCESS_KEY_ID": "test-key-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.address,
        "AWS_ALLOW_HTTP": "true",
        "VLSTORE_REMOTE_DEADLINE": "10",
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    client.name, client.url = name, f"s3://{name}/runs/one.vls"
    return client


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "one.vls"
    with vlstore.open(path, "w", compression="stored", chunk_size=64 << 10) as store:
        for i in range(2000):
            store[i] = record(i)
    return path


def count(proxy):
    with proxy.lock:
        found, proxy.requests[:] = list(proxy.requests), []
    return found


def command(*words):
    return subprocess.run([sys.executable, "-m", "vlstore", *words], capture_output=True, text=True)


def test_push_read_in_place_and_pull(bucket, proxy, file, tmp_path):
    done = vlstore.push(file, bucket.url)
    assert done == (file.stat().st_size, file.stat().st_size, False)
    count(proxy)
    assert vlstore.push(file, bucket.url).unchanged
    assert {method for method, *_ in count(proxy)} == {"GET"}
    with vlstore.open(bucket.url) as store:
        assert len(count(proxy)) <= 4
        assert store[7] == record(7) and len(store) == 2000
        assert list(store.at[[3, 1999, 1000]]) == [record(3), record(1999), record(1000)]
        assert store.path is None and bucket.url in repr(store)
        assert SECRET not in repr(store) and SECRET.encode() not in pickle.dumps(store)
        # Another process opens it by its address.
        with pickle.loads(pickle.dumps(store)) as other:
            assert other[1500] == record(1500)
        with pytest.raises(vlstore.ReadOnlyError):
            store["a"] = b"b"
    copy = tmp_path / "copy.vls"
    seen = []
    pulled = vlstore.pull(bucket.url, copy, progress=lambda done, total: seen.append((done, total)))
    assert pulled.fetched == pulled.bytes and copy.read_bytes() == file.read_bytes()
    assert seen[-1] == (pulled.bytes, pulled.bytes)
    with vlstore.open(file, "a") as store:
        store["new"] = b"record"
    vlstore.push(file, bucket.url)
    again = vlstore.pull(bucket.url, copy)
    assert again.kept > again.fetched and copy.read_bytes() == file.read_bytes()
    assert vlstore.pull(bucket.url, copy).unchanged
    for mode in ("a", "w", "x"):
        with pytest.raises(vlstore.InvalidError, match="vlstore.push"):
            vlstore.open(bucket.url, mode)


def test_a_newer_state_is_put_together_from_the_older_one(bucket, proxy, tmp_path):
    path = tmp_path / "large.vls"
    with vlstore.open(path, "w", compression="stored", chunk_size=1 << 20) as store:
        for i in range(250):
            store[i] = os.urandom(64 << 10)
    vlstore.push(path, bucket.url)

    def pushed(fault):
        with vlstore.open(path, "a") as store:
            for i in range(4):
                store[f"{fault}-{len(store)}-{i}"] = os.urandom(64 << 10)
        proxy.fault = fault
        count(proxy)
        done = vlstore.push(path, bucket.url)
        there = bucket.get_object(Bucket=bucket.name, Key="runs/one.vls")["Body"].read()
        assert there == path.read_bytes() and not done.unchanged
        assert not bucket.list_multipart_uploads(Bucket=bucket.name).get("Uploads")
        return done

    done = pushed(None)
    assert done.sent < done.bytes * 2 / 3
    # Where the service copies no parts, all is sent.
    done = pushed("no-copies")
    assert done.sent == done.bytes


@pytest.mark.parametrize("there", ["nothing", "older"])
def test_of_two_that_push_at_once_one_wins(bucket, proxy, tmp_path, there):
    # So long that it goes in parts; the other one comes between the last look and the last request.
    mine, theirs = tmp_path / "mine.vls", tmp_path / "theirs.vls"
    with vlstore.open(mine, "w", compression="stored") as store:
        for i in range(9):
            store[i] = os.urandom(1 << 20)
    if there == "older":
        vlstore.push(mine, bucket.url)
    theirs.write_bytes(mine.read_bytes())
    for path in (mine, theirs):
        with vlstore.open(path, "a") as store:
            store["who"] = path.name.encode()
            store.seal()
    content = theirs.read_bytes()
    proxy.meanwhile = lambda: bucket.put_object(Bucket=bucket.name, Key="runs/one.vls", Body=content)
    before = mine.read_bytes()
    with pytest.raises(vlstore.ConflictError, match="push again"):
        vlstore.push(mine, bucket.url)
    assert bucket.get_object(Bucket=bucket.name, Key="runs/one.vls")["Body"].read() == content
    assert not bucket.list_multipart_uploads(Bucket=bucket.name).get("Uploads") and mine.read_bytes() == before
    # With no other upload in between, on a service that takes no conditions.
    proxy.fault = "no-conditions"
    assert vlstore.push(mine, bucket.url, overwrite=True).sent == mine.stat().st_size
    # An upload of the same state is no conflict.
    with vlstore.open(mine, "a") as store:
        store["more"] = b"record"
        store.seal()
    content, proxy.fault = mine.read_bytes(), None
    proxy.meanwhile = lambda: bucket.put_object(Bucket=bucket.name, Key="runs/one.vls", Body=content)
    assert vlstore.push(mine, bucket.url).unchanged


def runs(folder, names):
    folder.mkdir(exist_ok=True)
    for name in names:
        with vlstore.open(folder / f"{name}.vls", "w", compression="stored") as store:
            for i in range(100):
                store[f"{name}-{i}"] = record(i) + name.encode()
    vlstore.publish(folder)
    return folder


def test_a_data_set_is_opened_by_its_manifest(bucket, proxy, tmp_path):
    folder, url = runs(tmp_path / "runs", "abc"), f"s3://{bucket.name}/runs"
    first = vlstore.push(folder, url)
    assert first.sent > first.bytes and not first.unchanged
    assert vlstore.push(folder, url) == (first.bytes, 0, True)
    count(proxy)
    with vlstore.open(url) as store:
        # No object of that name, which a list confirms; the manifest.
        assert len(store) == 300 and len(count(proxy)) <= 3
        assert store.at[150] == record(50) + b"b"
        assert {path.split("?")[0].rsplit("/")[-1] for _, path, _ in count(proxy)} == {"b.vls"}
        assert store["c-7"] == record(7) + b"c"
    shown = command("info", "--json", url)
    assert json.loads(shown.stdout)["records"] == 300, shown.stderr
    assert command("verify", url).stdout.count("intact") == 3
    assert command("copy", url, str(tmp_path / "all.vls")).returncode == 0
    with vlstore.open(tmp_path / "all.vls") as store:
        assert len(store) == 300
    # Only what is new goes there, and comes from there.
    copy = tmp_path / "copy"
    assert vlstore.pull(url, copy).fetched == first.bytes
    runs(folder, "d")
    more = vlstore.push(folder, url)
    assert 0 < more.sent < more.bytes / 2
    again = vlstore.pull(url, copy)
    assert 0 < again.fetched < again.bytes / 2
    with vlstore.open(copy) as store:
        assert len(store) == 400 and store["d-9"] == record(9) + b"d"
    with pytest.raises(vlstore.InvalidError, match="vlstore push"):
        vlstore.publish(url)


def test_members_far_away_are_asked_side_by_side(bucket, proxy, tmp_path):
    url = f"s3://{bucket.name}/runs"
    vlstore.push(runs(tmp_path / "runs", "abcdef"), url)
    keys = [f"{name}-{i}" for i in (3, 99) for name in "abcdef"]
    want = [record(i) + name.encode() for i in (3, 99) for name in "abcdef"]
    for asked in (keys, [100 * member + i for i in (3, 99) for member in range(6)]):
        with vlstore.open(url, threads=1) as store:
            seen, met = set(), threading.Barrier(6)

            def meet(request):
                member = request.path.split("?")[0]
                with proxy.lock:
                    first = member not in seen
                    seen.add(member)
                if first:
                    # Goes on when all six members are asked; one after the other they never are.
                    with contextlib.suppress(threading.BrokenBarrierError):
                        met.wait(timeout=3)

            proxy.fault = meet
            found = store.get_batch(asked) if asked is keys else store.at.batch(asked)
            proxy.fault = None
            assert [bytes(one) for one in found] == want
            assert not met.broken


def test_of_two_that_publish_at_once_one_wins(bucket, tmp_path):
    url = f"s3://{bucket.name}/runs"
    vlstore.push(runs(tmp_path / "one", "a"), url)
    vlstore.pull(url, tmp_path / "two")
    one, two = runs(tmp_path / "one", "b"), runs(tmp_path / "two", "c")
    faster = []

    def meanwhile(done, total):
        if not faster:
            faster.append(True)
            vlstore.push(one, url)

    with pytest.raises(vlstore.ConflictError, match="nothing is lost"):
        vlstore.push(two, url, progress=meanwhile)
    with vlstore.open(url) as store:
        assert "b-1" in store and "c-1" not in store
    with pytest.raises(vlstore.ConflictError):
        vlstore.push(two, url)
    with pytest.raises(vlstore.ConflictError):
        vlstore.pull(url, two)
    assert vlstore.push(two, url, overwrite=True).sent > 0
    with vlstore.open(url) as store:
        assert "b-1" not in store and "c-1" in store


def test_the_command_line(bucket, file, tmp_path):
    assert command("push", str(file), bucket.url).returncode == 0
    shown = command("info", "--json", bucket.url)
    assert json.loads(shown.stdout)["records"] == 2000, shown.stderr
    assert command("get", bucket.url, "7").stdout.encode("latin1")[:5] == record(7)[:5]
    assert len(command("ls", bucket.url).stdout.splitlines()) >= 2000
    verified = command("verify", bucket.url)
    assert verified.returncode == 0 and "intact" in verified.stdout
    done = json.loads(command("pull", "--json", bucket.url, str(tmp_path / "c.vls")).stdout)
    assert done["fetched"] == done["bytes"]
    assert command("copy", bucket.url, str(tmp_path / "d.vls")).returncode == 0
    merged = command("merge", "--clash", "keep-first", bucket.url, str(file), str(tmp_path / "e.vls"))
    assert merged.returncode == 0, merged.stderr
    for name in ("d.vls", "e.vls"):
        with vlstore.open(tmp_path / name) as store:
            assert len(store) == 2000 and store[1999] == record(1999)
    refused = command("push", str(file), bucket.url.replace("runs", "no//runs"))
    assert refused.returncode == 1 and "address" in refused.stderr


@pytest.mark.parametrize("fault", ["late", "cut", "refuse"])
def test_faults_that_pass_are_got_over(bucket, proxy, file, fault):
    vlstore.push(file, bucket.url)
    if fault == "late":
        proxy.fault = fault
    for first in range(0, 2000, 500):
        proxy.once = fault
        with vlstore.open(bucket.url) as store:
            proxy.once = fault
            asked = [first, first + 499, 1999 - first]
            assert list(store.at[asked]) == [record(i) for i in asked]


@pytest.mark.parametrize("fault", ["cut", "refuse", "hang"])
def test_faults_for_ever_are_errors_by_the_deadline(bucket, proxy, file, monkeypatch, fault):
    vlstore.push(file, bucket.url)
    monkeypatch.setenv("VLSTORE_REMOTE_DEADLINE", "1")
    with vlstore.open(bucket.url) as store:
        proxy.fault = fault
        begun = time.monotonic()
        with pytest.raises(vlstore.SystemCallError) as failed:
            store[1000]
        assert time.monotonic() - begun < 15
        assert bucket.name in str(failed.value) and SECRET not in str(failed.value)
        proxy.fault = None
        assert store[1000] == record(1000)


def test_what_is_not_there_and_who_may_not(bucket, proxy, file, monkeypatch, tmp_path):
    missing = bucket.url + ".no"
    with pytest.raises(vlstore.MissingFileError, match="no such object"):
        vlstore.open(missing)
    with pytest.raises(vlstore.MissingFileError, match="bucket does not exist"):
        vlstore.open("s3://there-is-none/one.vls")
    with pytest.raises(vlstore.MissingFileError, match="bucket does not exist"):
        vlstore.push(file, "s3://there-is-none/one.vls")
    with pytest.raises(vlstore.MissingFileError):
        vlstore.pull(missing, tmp_path / "new.vls")
    assert not (tmp_path / "new.vls").exists()
    bucket.put_object(Bucket=bucket.name, Key="text", Body=b"text")
    with pytest.raises(vlstore.NotAStoreError):
        vlstore.open(f"s3://{bucket.name}/text")
    bucket.put_object(Bucket=bucket.name, Key="cut", Body=file.read_bytes()[: file.stat().st_size // 2])
    with pytest.warns(vlstore.RecoveredWarning):
        vlstore.open(f"s3://{bucket.name}/cut").close()
    with pytest.raises(vlstore.OlderStateError):
        vlstore.pull(f"s3://{bucket.name}/cut", tmp_path / "new.vls")
    assert not (tmp_path / "new.vls").exists()
    bucket.put_object(Bucket=bucket.name, Key="empty", Body=b"")
    with pytest.raises(vlstore.NotAStoreError):
        vlstore.open(f"s3://{bucket.name}/empty")
    # A value that is neither a name nor an address.
    with pytest.raises(vlstore.InvalidError, match="names no bucket"):
        vlstore.open("s3://a bucket/one.vls")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    for run in (vlstore.open, partial(vlstore.push, file)):
        with pytest.raises(vlstore.InvalidError, match="begins with https://"):
            run(bucket.url)
    # No server listens at this port.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("VLSTORE_REMOTE_DEADLINE", "2")
    with pytest.raises(vlstore.SystemCallError) as failed:
        vlstore.open(bucket.url)
    assert SECRET not in str(failed.value)


def test_wrong_credentials_are_told_and_not_shown(monkeypatch, file):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with serving(INITIAL_NO_AUTH_ACTION_COUNT="0") as address:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "wrong-key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": address,
            "AWS_ALLOW_HTTP": "true",
        }.items():
            monkeypatch.setenv(name, value)
        for run in (vlstore.open, partial(vlstore.push, file)):
            with pytest.raises(vlstore.PermissionDeniedError, match="AWS_ACCESS_KEY_ID") as failed:
                run("s3://some-bucket/one.vls")
            assert SECRET not in str(failed.value) and "wrong-key" not in str(failed.value)


def test_a_replaced_object_is_noticed(bucket, file):
    vlstore.push(file, bucket.url)
    with vlstore.open(bucket.url) as store:
        assert store.refresh() is False
        with vlstore.open(file, "a") as writer:
            writer["new"] = b"record"
        vlstore.push(file, bucket.url)
        with pytest.raises(vlstore.ReplacedError):
            store[1000]
        with pytest.raises(vlstore.ReplacedError):
            store.refresh()
    with vlstore.open(bucket.url) as store:
        assert store["new"] == b"record"


def test_pages_on_a_disk_serve_other_processes(bucket, proxy, file, monkeypatch, tmp_path):
    vlstore.push(file, bucket.url)
    monkeypatch.setenv("VLSTORE_REMOTE_CACHE", str(tmp_path / "pages"))
    assert command("verify", "-q", bucket.url).returncode == 0
    count(proxy)
    assert command("verify", "-q", bucket.url).returncode == 0
    # Whether it is there, and which version it is.
    assert len(count(proxy)) == 2


def test_a_forked_child_reads_on(bucket, file):
    vlstore.push(file, bucket.url)
    with vlstore.open(bucket.url) as store:
        assert store[0] == record(0)
        child = os.fork()
        if child == 0:
            os._exit(0 if store[1200] == record(1200) and store[0] == record(0) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert store[1800] == record(1800)


def test_ctrl_c_ends_a_wait(bucket, proxy, file):
    vlstore.push(file, bucket.url)
    with vlstore.open(bucket.url) as store:
        proxy.fault = "hang"
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            store[1000]
        assert time.monotonic() - begun < 8
        proxy.fault = None
        assert store[1000] == record(1000)


def test_a_web_server(bucket, proxy, file):
    vlstore.push(file, bucket.url)
    bucket.put_object_acl(Bucket=bucket.name, Key="runs/one.vls", ACL="public-read")
    with vlstore.open(f"{proxy.address}/{bucket.name}/runs/one.vls") as store:
        assert store[1500] == record(1500)
    with vlstore.open(file.resolve().as_uri()) as store:
        assert store[3] == record(3)


def test_stores_of_obstore(bucket, proxy, file):
    obstore = pytest.importorskip("obstore")
    vlstore.push(file, bucket.url)
    there = obstore.store.from_url(f"s3://{bucket.name}", client_options={"allow_http": True})
    with vlstore.open("runs/one.vls", store=there) as store:
        assert list(store.at[[0, 1999, 700]]) == [record(0), record(1999), record(700)]
        assert pickle.loads(pickle.dumps(store))[5] == record(5)
        with vlstore.open(file, "a") as writer:
            writer["new"] = b"record"
        vlstore.push(file, bucket.url)
        with pytest.raises(vlstore.ReplacedError):
            store[1200]
    with pytest.raises(vlstore.MissingFileError):
        vlstore.open("runs/no.vls", store=there)
    with pytest.raises(vlstore.InvalidError):
        vlstore.open("runs/one.vls", "a", store=there)


def test_file_systems_of_fsspec(file):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/runs/one.vls", file.read_bytes())
    with vlstore.open("/runs/one.vls", store=memory) as store:
        assert list(store.at[[0, 1999, 700]]) == [record(0), record(1999), record(700)]
        assert not store.refresh()
    with pytest.raises(vlstore.MissingFileError):
        vlstore.open("/runs/no.vls", store=memory)
    for wrong in (object(), "s3://bucket"):
        with pytest.raises(vlstore.WrongTypeError, match="obstore"):
            vlstore.open("one.vls", store=wrong)


class Hub:
    """A stand-in for ``huggingface_hub``: its file system over memory."""

    def __init__(self, fsspec):
        self.memory = fsspec.filesystem("memory")

    def HfFileSystem(self):  # noqa: N802 - the name there
        return self.memory


def test_the_hub(file, tmp_path, monkeypatch, capsys):
    fsspec = pytest.importorskip("fsspec")
    hub = Hub(fsspec)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    url, copy = "hf://datasets/me/runs/one.vls", tmp_path / "copy.vls"
    size = file.stat().st_size
    assert vlstore.push(file, url) == (size, size, False)
    assert vlstore.push(file, url).unchanged
    with vlstore.open(url) as store:
        assert store[1234] == record(1234)
    assert vlstore.pull(url, copy).fetched == size and copy.read_bytes() == file.read_bytes()
    assert vlstore.pull(url, copy).unchanged
    with vlstore.open(copy, "a") as store:
        store["mine"] = b"record"
    with pytest.raises(vlstore.StoreExistsError, match="overwrite"):
        vlstore.pull(url, copy)
    from vlstore import __main__ as program

    monkeypatch.setattr(sys, "argv", ["vlstore", "push", str(copy), url])
    assert program.main() == 0 and "sent" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["vlstore", "push", str(file), url])
    assert program.main() == 1 and "overwrite" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(vlstore.InvalidError, match="install huggingface_hub"):
        vlstore.open(url)
