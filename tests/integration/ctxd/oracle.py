#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What cloud-init's OpenNebula data source makes of a folder with a context.sh, against what ctxd
made of the same context in a tree: host name, keys, user data, and each NIC's network. Aliases, which
that data source does not know, are to follow a NIC's own addresses; but not those that live elsewhere.

usage: oracle.py CONTEXT-DIR TREE USER-DATA-FILE MAC=NAME..."""
import base64
import re
import sys
from unittest import mock

from cloudinit import sources
from cloudinit.sources import DataSourceOpenNebula as ds

ctx, tree, user_data, *nics = sys.argv[1:]
by_mac = dict(n.rsplit("=", 1) for n in nics)


def networkd(mac):
    """The .network file for a NIC: its values by key, routes as (destination, gateway)."""
    got = {"Address": [], "DNS": [], "Domains": [], "routes": []}
    section = None
    try:
        lines = open("%s/run/systemd/network/05-ctxd-%s.network" % (tree, mac.replace(":", "-")))
    except FileNotFoundError:
        return None
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line
            if section == "[Route]":
                got["routes"].append({})
            continue
        key, value = line.split("=", 1)
        if section == "[Route]":
            got["routes"][-1][key] = value
        elif key in got:
            got[key].append(value)
        else:
            got[key] = value
    return got


def same(what, ours, theirs):
    if ours != theirs:
        sys.exit("%s: ctxd %r, cloud-init %r" % (what, ours, theirs))


def aliases(meta, mac):
    """The addresses of a NIC's aliases in the guest."""
    nic = [k[:-4] for k, v in meta.items() if re.fullmatch(r"ETH\d+_MAC", k) and v.lower() == mac]
    got = []
    for n in range(64):
        alias = {k: meta.get("%s_ALIAS%d_%s" % (nic[0], n, k)) for k in
                 ("IP", "IP6", "IP6_ULA", "EXTERNAL", "DETACH")} if nic else {}
        if (alias.get("EXTERNAL") or "").upper() != "YES" and not alias.get("DETACH"):
            got += [alias[k] for k in ("IP", "IP6", "IP6_ULA") if alias.get(k)]
    return got


with mock.patch.object(ds, "get_physical_nics_by_mac", return_value=by_mac):
    found = ds.read_context_disk_dir(ctx, mock.Mock())

meta = found["metadata"]
if "public-keys" in meta:
    keys = open(tree + "/root/.ssh/authorized_keys").read().split("\n")
    same("keys", [k for k in keys if k and not k.startswith("#")], meta["public-keys"])
if "SET_HOSTNAME" in meta:
    same("host name", open(tree + "/etc/hostname").read().strip(),
         meta["local-hostname"].split(".")[0])
if found["userdata"] is not None:
    theirs = found["userdata"]
    if isinstance(theirs, str):
        theirs = theirs.encode()
    same("user data", open(user_data, "rb").read(), theirs)

compared = 0
for name, conf in found.get("network-interfaces", {}).get("ethernets", {}).items():
    mac = conf["match"]["macaddress"]
    ours = networkd(mac)
    # A NIC without an address gets one out of its MAC there, and none here.
    given = [a for a in conf["addresses"]
             if any(v and a.split("/")[0] == v for k, v in meta.items() if "_IP" in k)]
    if not given:
        same("%s: file" % name, ours, None)
        continue
    compared += 1
    same("%s: addresses" % name, ours["Address"][:len(given)], given)
    same("%s: aliases" % name, [a.split("/")[0] for a in ours["Address"][len(given):]],
         aliases(meta, mac))
    dns = conf.get("nameservers", {})
    # There a server may be named twice.
    same("%s: DNS" % name, ours["DNS"], list(dict.fromkeys(dns.get("addresses", []))))
    same("%s: search" % name, ours["Domains"], dns.get("search", []))
    gateways = [r["Gateway"] for r in ours["routes"] if "Destination" not in r]
    same("%s: gateways" % name, gateways,
         [conf[g] for g in ("gateway4", "gateway6") if g in conf])
    same("%s: MTU" % name, ours.get("MTUBytes"), conf.get("mtu"))
print("%d NIC(s) compared" % compared)
