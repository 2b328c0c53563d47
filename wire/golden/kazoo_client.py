"""Makes kazoo say most of what it can, for kazoo.hex. Argument: HOST:PORT."""

import sys

from kazoo.client import KazooClient
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

client = KazooClient(hosts=sys.argv[1], timeout=10.0)
client.start()
client.create("/kazoo", b"data")
client.create("/kazoo/mine-", b"", ephemeral=True, sequence=True)
client.create("/kazoo/two", b"x", include_data=True)
client.exists("/kazoo")
client.get("/kazoo/two")
client.set("/kazoo/two", b"new", version=0)
client.add_auth("digest", "tom:secret")
client.set_acls("/kazoo/two", OPEN_ACL_UNSAFE + [make_digest_acl("tom", "secret", all=True)])
client.get_acls("/kazoo/two")
client.get_children("/kazoo")
client.get_children("/kazoo", include_data=True)
client.sync("/kazoo")
for failing in (False, True):
    transaction = client.transaction()
    transaction.check("/kazoo", version=0)
    transaction.create("/kazoo/m", b"m", sequence=failing)
    transaction.set_data("/kazoo/m", b"n")
    transaction.delete("/kazoo/m", version=7 if failing else -1)
    transaction.commit()
client.get("/kazoo", watch=print)
client.set("/kazoo", b"watched")
client.delete("/kazoo/two")
client.stop()
client.close()
