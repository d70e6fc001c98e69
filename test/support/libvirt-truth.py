"""What libvirt.so says of domains, as JSON: numbers by flat key, XML facts read by another parser.

Usage: libvirt-truth.py URI NAME...
"""

import json
import sys
import xml.etree.ElementTree as ET

import libvirt

libvirt.registerErrorHandler(lambda *_: None, None)


def flat(prefix, values, into):
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        if isinstance(value, (int, float)):
            into[f"{prefix}.{key}"] = value


def attempt(prefix, call, into):
    """A call that fails leaves its values out, as the agent's side does."""
    try:
        flat(prefix, call(), into)
    except libvirt.libvirtError as error:
        into[f"{prefix}.error"] = error.get_error_code()


def numbers(dom, root):
    out = {}
    attempt("state", dom.state, out)
    attempt("info", dom.info, out)
    attempt("control", dom.controlInfo, out)
    attempt("cpu", lambda: dom.getCPUStats(True)[0], out)
    attempt("memory", dom.memoryStats, out)
    attempt("max", lambda: [dom.maxVcpus(), dom.maxMemory()], out)
    for target in root.findall("devices/interface/target"):
        name = target.get("dev")
        attempt(f"net.{name}", lambda: dom.interfaceStats(name), out)
    for disk in root.findall("devices/disk"):
        name = disk.find("target").get("dev")
        attempt(f"block.{name}", lambda: dom.blockInfo(name), out)
        attempt(f"io.{name}", lambda: dom.blockStatsFlags(name), out)
        attempt(f"oldio.{name}", lambda: dom.blockStats(name), out)
    return out


def facts(dom, xml, root):
    def text(path, default=""):
        node = root.find(path)
        return default if node is None else node.text

    def attribute(node, path, name):
        found = node.find(path)
        return "" if found is None else found.get(name, "")

    vcpu = root.find("vcpu")
    return {
        "id": dom.UUIDString(),
        "name": dom.name(),
        "type": root.get("type"),
        "xml": xml,
        "memoryKiB": int(text("memory")),
        "currentMemoryKiB": int(text("currentMemory")),
        "vcpus": int(vcpu.get("current", vcpu.text)),
        "maxVcpus": int(vcpu.text),
        "acpi": root.find("features/acpi") is not None,
        "balloonModel": attribute(root, "devices/memballoon", "model"),
        "balloonPeriodSec": int(attribute(root, "devices/memballoon/stats", "period") or -1),
        "disks": [
            [
                attribute(disk, "target", "dev"),
                disk.get("device"),
                attribute(disk, "target", "bus"),
                attribute(disk, "source", "file"),
                attribute(disk, "alias", "name"),
            ]
            for disk in root.findall("devices/disk")
        ],
        "nics": [
            [
                attribute(nic, "target", "dev"),
                attribute(nic, "mac", "address"),
                attribute(nic, "model", "type"),
                attribute(nic, "alias", "name"),
            ]
            for nic in root.findall("devices/interface")
        ],
        "graphics": [
            [graphics.get("type"), graphics.get("port", "")] for graphics in root.findall("devices/graphics")
        ],
        "channels": [target.get("name") for target in root.findall("devices/channel/target[@type='virtio']")],
    }


def main(uri, names):
    connection = libvirt.openReadOnly(uri)
    answer = {}
    for name in names:
        dom = connection.lookupByName(name)
        xml = dom.XMLDesc()
        root = ET.fromstring(xml)
        answer[name] = {"numbers": numbers(dom, root), "facts": facts(dom, xml, root)}
    json.dump(answer, sys.stdout)


main(sys.argv[1], sys.argv[2:])
