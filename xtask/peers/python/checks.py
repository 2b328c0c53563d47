"""Checks a server through kazoo; see ../README.md for what is printed."""

import os
import queue
import sys
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.protocol.states import EventType
from kazoo.security import CREATOR_ALL_ACL, make_acl, make_digest_acl

from checking import check, done, equal, refused

ROOT = "/peers-python"
ADDRESS = sys.argv[1]
# A folder as `tenure certs` makes it, if connections are to be encrypted.
CERTS = os.environ.get("TENURE_PEER_CERTS")


def connect(**options):
    if CERTS:
        options.update(
            use_ssl=True,
            ca=CERTS + "/ca.pem",
            certfile=CERTS + "/client-peer.pem",
            keyfile=CERTS + "/client-peer.pem",
        )
    client = KazooClient(hosts=ADDRESS, timeout=20, **options)
    client.start()
    return client


def until(what, condition):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"never {what}")


def expect(events, kind, path):
    event = events.get(timeout=15)
    equal("event", (event.type, event.path), (kind, path))


client = connect()
client.delete(ROOT, recursive=True)
client.create(ROOT)
other = connect()
file = ROOT + "/persistent"


@check
def create_persistent():
    equal("path", client.create(file, b"first"), file)
    data, stat = client.get(file)
    equal("data", data, b"first")
    equal("owner", stat.ephemeralOwner, 0)
    equal("length", stat.dataLength, 5)
    equal("mzxid", stat.mzxid, stat.czxid)


@check
def create_ephemeral():
    path = client.create(ROOT + "/ephemeral", ephemeral=True)
    equal("owner", client.exists(path).ephemeralOwner, client.client_id[0])
    refused(NoChildrenForEphemeralsError, client.create, path + "/child")


@check
def create_sequential():
    client.create(ROOT + "/queue")
    first = client.create(ROOT + "/queue/n-", sequence=True)
    equal("first", first, ROOT + "/queue/n-0000000000")
    second = client.create(ROOT + "/queue/n-", sequence=True, ephemeral=True)
    equal("second", second, ROOT + "/queue/n-0000000001")


@check
def create_with_stat():
    path, stat = client.create(ROOT + "/with-stat", b"abc", include_data=True)
    equal("path", path, ROOT + "/with-stat")
    equal("length", stat.dataLength, 3)


@check
def create_with_parents():
    client.create(ROOT + "/a/b/c", makepath=True)
    client.ensure_path(ROOT + "/a/b/d/e")
    equal("children", sorted(client.get_children(ROOT + "/a/b")), ["c", "d"])


@check
def create_refuses():
    refused(NodeExistsError, client.create, file)
    refused(NoNodeError, client.create, ROOT + "/no/parent")
    nobody = [make_acl("none", "x", all=True)]
    refused(InvalidACLError, client.create, ROOT + "/acl", acl=nobody)


@check
def set_and_get():
    equal("version", client.set(file, b"second", version=0).version, 1)
    equal("data", client.get(file)[0], b"second")
    refused(BadVersionError, client.set, file, b"", version=0)
    refused(NoNodeError, client.set, ROOT + "/none", b"")


@check
def names_and_data_of_any_kind():
    path = ROOT + "/\u00e9\u4e16 x"
    client.create(path, bytes(range(256)))
    equal("data", client.get(path)[0], bytes(range(256)))
    equal("listed", path.rsplit("/", 1)[1] in client.get_children(ROOT), True)
    client.set(path, b"")
    equal("data", client.get(path)[0], b"")


@check
def children():
    names, stat = client.get_children(ROOT + "/queue", include_data=True)
    equal("number", len(names), 2)
    equal("stat", (stat.numChildren, stat.cversion), (2, 2))


@check
def delete():
    refused(NotEmptyError, client.delete, ROOT + "/queue")
    refused(BadVersionError, client.delete, ROOT + "/with-stat", version=3)
    client.delete(ROOT + "/with-stat", version=0)
    refused(NoNodeError, client.delete, ROOT + "/with-stat")


@check
def many_requests_in_flight():
    results = [client.set_async(file, str(i).encode()) for i in range(500)]
    versions = [result.get(timeout=30).version for result in results]
    equal("versions", versions, list(range(versions[0], versions[0] + 500)))
    equal("data", client.get(file)[0], b"499")


@check
def sync():
    client.sync(ROOT)


watched = ROOT + "/watched"


@check
def watch_creation_data_and_deletion():
    events = queue.Queue()
    equal("exists", client.exists(watched, watch=events.put), None)
    other.create(watched)
    expect(events, EventType.CREATED, watched)
    client.get(watched, watch=events.put)
    other.set(watched, b"new")
    expect(events, EventType.CHANGED, watched)
    client.get(watched, watch=events.put)
    other.delete(watched)
    expect(events, EventType.DELETED, watched)


@check
def watch_children():
    events = queue.Queue()
    client.get_children(ROOT + "/a", watch=events.put)
    other.create(ROOT + "/a/new", ephemeral=True)
    expect(events, EventType.CHILD, ROOT + "/a")
    client.get_children(ROOT + "/a", watch=events.put)
    other.delete(ROOT + "/a/new")
    expect(events, EventType.CHILD, ROOT + "/a")


@check
def multi():
    request = client.transaction()
    request.create(ROOT + "/multi", b"m")
    request.set_data(ROOT + "/multi", b"M", version=0)
    request.check(ROOT + "/multi", version=1)
    request.create(ROOT + "/multi/n-", sequence=True)
    request.delete(ROOT + "/multi/n-0000000000")
    results = request.commit()
    equal("created", results[0], ROOT + "/multi")
    equal("version", results[1].version, 1)
    equal("sequential", results[3], ROOT + "/multi/n-0000000000")
    equal("rest", (results[2], results[4]), (True, True))


@check
def multi_fails_as_a_whole():
    request = client.transaction()
    request.set_data(ROOT + "/multi", b"lost")
    request.check(ROOT + "/multi", version=9)
    request.delete(ROOT + "/multi")
    kinds = [type(result) for result in request.commit()]
    equal("errors", kinds, [RolledBackError, BadVersionError, RuntimeInconsistency])
    data, stat = client.get(ROOT + "/multi")
    equal("node", (data, stat.version), (b"M", 1))


secret = ROOT + "/secret"


@check
def digest_acl():
    acl = [make_digest_acl("user", "pw", all=True)]
    client.create(secret, b"s", acl=acl)
    refused(NoAuthError, client.get, secret)
    client.add_auth("digest", "user:pw")
    equal("data", client.get(secret)[0], b"s")
    equal("acl", client.get_acls(secret)[0], acl)


@check
def acl_is_set():
    acl = [make_digest_acl("user", "pw", all=True), make_acl("world", "anyone", read=True)]
    equal("aversion", client.set_acls(secret, acl, version=0).aversion, 1)
    refused(BadVersionError, client.set_acls, secret, acl, version=0)
    equal("data", other.get(secret)[0], b"s")
    refused(NoAuthError, other.set, secret, b"")


@check
def auth_given_at_the_start():
    third = connect(auth_data=[("digest", "user:pw")])
    third.set(secret, b"third")
    third.create(ROOT + "/mine", acl=CREATOR_ALL_ACL)
    equal("scheme", third.get_acls(ROOT + "/mine")[0][0].id.scheme, "digest")
    third.stop()


@check
def ephemerals_vanish_with_their_session():
    third = connect()
    third.create(ROOT + "/theirs", ephemeral=True)
    events = queue.Queue()
    client.exists(ROOT + "/theirs", watch=events.put)
    third.stop()
    expect(events, EventType.DELETED, ROOT + "/theirs")


@check
def lock_and_election():
    lock = client.Lock(ROOT + "/lock", "one")
    equal("lock", lock.acquire(timeout=10), True)
    theirs = other.Lock(ROOT + "/lock", "two")
    equal("their lock", theirs.acquire(blocking=False), False)
    equal("contenders", lock.contenders(), ["one"])
    lock.release()
    equal("their lock", theirs.acquire(timeout=10), True)
    theirs.release()


@check
def session_moves_to_another_client():
    third = connect()
    path = third.create(ROOT + "/moved", ephemeral=True)
    identity = third.client_id
    fourth = connect(client_id=identity)
    equal("session id", fourth.client_id[0], identity[0])
    equal("owner", fourth.exists(path).ephemeralOwner, identity[0])
    fourth.stop()
    equal("exists", client.exists(path), None)
    third.stop()


@check
def session_survives_a_restart_of_the_server():
    identity, lost = client.client_id, []
    client.add_listener(lambda state: lost.append(state) if state == KazooState.LOST else None)
    seen = []
    client.DataWatch(file, lambda data, stat: seen.append(data))
    print("restart", flush=True)
    sys.stdin.readline()
    until("connected", lambda: client.connected and other.connected)
    stat = client.retry(client.exists, ROOT + "/ephemeral")
    equal("session id", client.client_id[0], identity[0])
    equal("owner", stat.ephemeralOwner, identity[0])
    other.retry(other.set, file, b"after")
    until("told", lambda: seen[-1] == b"after")
    equal("losses", lost, [])


client.delete(ROOT, recursive=True)
client.stop()
other.stop()
done()
