#!/usr/bin/python3
# What Debian's cloud-init makes of a context: cloud_init_read.py KIND WHERE
# KIND: opennebula | nocloud | config-drive | ovf, from the folder WHERE;
#       openstack-http | nocloud-http | cloudstack-http | gce-http, from the address WHERE.
# Prints it as JSON, the network as it would be written for netplan.
import base64
import json
import logging
import os
import sys
import tempfile
from unittest import mock

from cloudinit import distros, helpers, url_helper, util
from cloudinit.net import netplan, network_state

kind, where = sys.argv[1:]
logging.basicConfig(level=logging.WARNING)
MACS = {"02:00:c0:a8:00:05": "eth0", "02:00:c0:a8:00:06": "eth1"}


def paths(tmp):
    return helpers.Paths({"cloud_dir": tmp, "run_dir": tmp})


def seeded(module, cls, name, tmp):
    p = paths(tmp)
    os.makedirs(p.seed_dir)
    os.symlink(os.path.abspath(where), os.path.join(p.seed_dir, name))
    source = getattr(module, cls)(
        {"datasource": {"OpenNebula": {"parseuser": None}}}, mock.Mock(), p)
    if not source.get_data():
        raise SystemExit("cloud-init does not take it")
    return source


def from_folder(tmp):
    if kind == "opennebula":
        from cloudinit.sources import DataSourceOpenNebula as m
        with mock.patch.object(m, "get_physical_nics_by_mac", lambda d: MACS, create=True):
            source = seeded(m, "DataSourceOpenNebula", "opennebula", tmp)
            return source, source.network_config
    if kind == "nocloud":
        from cloudinit.sources import DataSourceNoCloud as m
        with mock.patch.object(m.DataSourceNoCloud, "_get_devices", lambda s, label: []):
            source = seeded(m, "DataSourceNoCloud", "nocloud", tmp)
        return source, source.network_config
    if kind == "config-drive":
        from cloudinit.sources import DataSourceConfigDrive as m
        from cloudinit.sources.helpers import openstack
        with mock.patch.object(m, "find_candidate_devs", lambda *a, **k: []), \
                mock.patch.object(m.DataSourceConfigDrive, "_translate_files", create=True):
            source = seeded(m, "DataSourceConfigDrive", "config_drive", tmp)
        return source, openstack.convert_net_json(source.network_json, known_macs=MACS)
    from cloudinit.sources import DataSourceOVF as m
    # by the transport that has a network, too
    contents = open(os.path.join(where, "ovf-env.xml")).read()
    source = m.DataSourceOVF({}, mock.Mock(), paths(tmp))
    with mock.patch.object(m.dmi, "read_dmi_data", lambda key: None), \
            mock.patch.object(m, "transport_vmware_guestinfo", lambda: contents):
        if not source._get_data():
            raise SystemExit("cloud-init does not take it")
    # all of them in one text, which is written to the file as it is
    keys = source.get_public_ssh_keys()
    source.get_public_ssh_keys = lambda: "\n".join(keys).splitlines()
    return source, source.network_config


def from_http(tmp):
    if kind == "openstack-http":
        from cloudinit.sources import DataSourceOpenStack as m
        from cloudinit.sources.helpers import openstack
        source = m.DataSourceOpenStack(
            {"datasource_list": ["OpenStack"],
             "datasource": {"OpenStack": {"metadata_urls": [where], "max_wait": 60, "timeout": 20}}},
            mock.Mock(), paths(tmp))
        with mock.patch.object(m, "detect_openstack", lambda *a, **k: True):
            if not source._get_data():
                raise SystemExit("cloud-init does not take it")
        return source, openstack.convert_net_json(source.network_json, known_macs=MACS)
    if kind == "nocloud-http":
        from cloudinit.sources import DataSourceNoCloud as m
        # told by the firmware, as docs/metadata-server.md has it
        told = {"system-serial-number": "ds=nocloud;s=%s/nocloud/" % where}
        source = m.DataSourceNoCloudNet({}, mock.Mock(), paths(tmp))
        with mock.patch.object(m.dmi, "read_dmi_data", told.get), \
                mock.patch.object(m.util, "get_cmdline", lambda: ""), \
                mock.patch.object(m.DataSourceNoCloudNet, "_get_devices", lambda s, label: []):
            if not source._get_data():
                raise SystemExit("cloud-init does not take it")
        # this version does not ask for it, later ones do
        network = url_helper.readurl(where + "/nocloud/network-config").contents
        return source, util.load_yaml(network)
    if kind == "gce-http":
        from cloudinit.sources import DataSourceGCE as m
        source = m.DataSourceGCE(
            {"datasource": {"GCE": {"metadata_url": where + "/computeMetadata/v1/"}}}, None,
            paths(tmp))
        with mock.patch.object(m, "platform_reports_gce", lambda: True):
            if not source._get_data():
                raise SystemExit("cloud-init does not take it")
        return source, None
    from cloudinit.sources import DataSourceCloudStack as m
    with mock.patch.object(m, "get_vr_address", lambda *a: where[len("http://"):]), \
            mock.patch.object(m, "CloudStackPasswordServerClient") as client:
        client.return_value.get_password.return_value = "of the password server"
        source = m.DataSourceCloudStack({}, mock.Mock(), paths(tmp))
        if not source._get_data():
            raise SystemExit("cloud-init does not take it")
    assert source.cfg["password"] == "of the password server"
    return source, None


def as_netplan(config):
    if not config:
        return None
    if config.get("version") == 2:
        config = {k: v for k, v in config.items() if k != "renderer"}
    with mock.patch("cloudinit.net.network_state.get_interfaces_by_mac", lambda: {}), \
            mock.patch("cloudinit.net.netplan.NET_CONFIG_SOURCE", "", create=True):
        state = network_state.parse_net_config_data(config)
        return util.load_yaml(netplan.Renderer()._render_content(state))


with tempfile.TemporaryDirectory() as tmp:
    source, network = (from_http if kind.endswith("-http") else from_folder)(tmp)
    userdata = source.userdata_raw
    if isinstance(userdata, str):
        userdata = userdata.encode()
    vendordata = source.vendordata_raw
    hostname = source.get_hostname(fqdn=True)
    print(json.dumps({
        "instance_id": source.get_instance_id(),
        "hostname": getattr(hostname, "hostname", hostname),
        "keys": source.get_public_ssh_keys(),
        "userdata": base64.b64encode(userdata or b"").decode(),
        "vendordata": vendordata.decode() if isinstance(vendordata, bytes) else vendordata,
        "files": {k: v.decode() for k, v in (getattr(source, "files", None) or {}).items()}
        if kind == "config-drive" else {},
        "network": as_netplan(network),
    }, indent=1, default=repr))
