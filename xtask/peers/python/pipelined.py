"""Pipelined reads or writes of one session through kazoo: HOSTS LOAD DEPTH SECONDS.

Prints one line of JSON, as client-bench does for the other clients.
"""

import json
import sys
import time
from collections import deque

from kazoo.client import KazooClient

PATH = "/client-bench"
DATA = b"x" * 100


def main():
    hosts, load, depth, seconds = sys.argv[1:]
    client = KazooClient(hosts=hosts)
    client.start()
    client.ensure_path(PATH)
    client.set(PATH, DATA)
    if load == "read":
        def request():
            return client.get_async(PATH)
    else:
        def request():
            return client.set_async(PATH, DATA)
    under_way = deque(request() for _ in range(int(depth)))
    warm, operations, begin, cpu = False, 0, time.monotonic(), 0.0
    while True:
        under_way.popleft().get()
        under_way.append(request())
        operations += 1
        if operations % 64:
            continue
        now = time.monotonic()
        if not warm and now - begin >= 1:
            warm, operations, begin, cpu = True, 0, now, time.process_time()
        elif warm and now - begin >= float(seconds):
            break
    wall, cpu = time.monotonic() - begin, time.process_time() - cpu
    figures = {
        "operations_per_second": operations / wall,
        "client_cpu_us_per_operation": cpu * 1e6 / operations,
    }
    print(json.dumps({"figures": figures}))
    client.stop()


main()
