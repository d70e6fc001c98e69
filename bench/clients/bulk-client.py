"""Baseline of bulk-decode: the same bulk call through libvirt.so, from Python.

Usage: bulk-client.py URI ROUNDS plain|rates; prints the records and parameters received in all.
"""

import json
import sys

import libvirt

GROUPS = 63
CPU = ("cpu.time", "cpu.user", "cpu.system")
NET = ("rx.bytes", "tx.bytes")
BLOCK = ("rd.reqs", "rd.bytes", "wr.reqs", "wr.bytes")


def rate(last, first, key):
    return (last.get(key, 0) - first.get(key, 0)) / 15


def record(name, last, first):
    devices = {}
    for kind, fields in (("net", NET), ("block", BLOCK)):
        for n in range(last.get(kind + ".count", 0)):
            prefix = "%s.%d." % (kind, n)
            devices[last[prefix + "name"]] = {field: rate(last, first, prefix + field) for field in fields}
    return {"id": name, "cpu": {key: rate(last, first, key) for key in CPU}, "devices": devices}


def main(uri, rounds, way):
    connection = libvirt.openReadOnly(uri)
    before = {}
    records = parameters = 0
    for _ in range(rounds):
        answer = connection.getAllDomainStats(GROUPS, 0)
        records += len(answer)
        parameters += sum(len(stats) for _, stats in answer)
        if way == "rates":
            now = {dom.name(): stats for dom, stats in answer}
            text = json.dumps([record(name, stats, before.get(name, {})) for name, stats in now.items()])
            assert len(text) > 100 * len(now)
            before = now
    print(json.dumps({"records": records, "parameters": parameters}))


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
