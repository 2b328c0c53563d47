"""Checks how kazoo proves who it is; see ../README.md for what is printed."""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, NoAuthError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import make_acl, make_digest_acl

from checking import check, done, equal, refused

PLAIN, SECURE, FOLDER = sys.argv[1:]
ROOT = "/secure-python"


def tls(name="client", authority="ca"):
    options = {"use_ssl": True, "ca": f"{FOLDER}/{authority}.pem", "verify_certs": True}
    if name:
        options |= {"certfile": f"{FOLDER}/{name}.pem", "keyfile": f"{FOLDER}/{name}.key"}
    return options


def sasl(password):
    credentials = {"username": "bob", "password": password}
    return {"sasl_options": {"mechanism": "DIGEST-MD5"} | credentials}


def connect(hosts=SECURE, patience=20, **options):
    client = KazooClient(hosts=hosts, timeout=20, **options)
    try:
        client.start(timeout=patience)
    except BaseException:
        client.stop()
        client.close()
        raise
    return client


@check
def mutual_tls():
    client = connect(**tls())
    client.create(f"{ROOT}/tls", b"over TLS", makepath=True)
    equal("data", client.get(f"{ROOT}/tls")[0], b"over TLS")
    client.stop()


@check
def no_certificate_is_refused():
    refused(KazooTimeoutError, connect, patience=3, **tls(name=None))


@check
def a_strangers_certificate_is_refused():
    refused(KazooTimeoutError, connect, patience=3, **tls(name="stranger"))


@check
def a_server_of_another_authority_is_refused():
    refused(KazooTimeoutError, connect, patience=3, **tls(authority="other-ca"))


@check
def plain_text_to_the_secure_port_is_refused():
    refused(KazooTimeoutError, connect, patience=3)


@check
def tls_to_the_plain_port_is_refused():
    refused(KazooTimeoutError, connect, hosts=PLAIN, patience=3, **tls())


@check
def digest_over_tls():
    owner = connect(**tls(), auth_data=[("digest", "user:password")])
    # Not "auth": the certificate may be an identity too, and both show the same.
    acl = [make_digest_acl("user", "password", all=True)]
    owner.create(f"{ROOT}/digest", b"", acl=acl)
    owner.get(f"{ROOT}/digest")
    other = connect(**tls())
    refused(NoAuthError, other.get, f"{ROOT}/digest")
    other.add_auth("digest", "user:wrong")
    refused(NoAuthError, other.get, f"{ROOT}/digest")
    other.add_auth("digest", "user:password")
    other.get(f"{ROOT}/digest")
    for client in owner, other:
        client.stop()


@check
def an_unknown_scheme_fails():
    client = connect(**tls())
    refused(AuthFailedError, client.add_auth, "nosuch", "user:password")
    client.stop()


for where, options in {"plain": {"hosts": PLAIN}, "tls": tls()}.items():

    def sasl_digest_md5():
        owner = connect(**options, **sasl("bobs password"))
        node = f"{ROOT}/sasl-{where}"
        owner.create(node, b"", acl=[make_acl("sasl", "bob", all=True)])
        owner.get(node)
        other = connect(**options)
        refused(NoAuthError, other.get, node)
        for client in owner, other:
            client.stop()

    def a_wrong_sasl_password_fails():
        client = connect(**options, **sasl("wrong"))
        refused(AuthFailedError, client.exists, "/")
        client.stop()

    for body in sasl_digest_md5, a_wrong_sasl_password_fails:
        body.__name__ += f" {where}"
        check(body)

done()
