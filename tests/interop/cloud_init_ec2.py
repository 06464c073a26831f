#!/usr/bin/python3
# What Debian's cloud-init makes of a metadata service: cloud_init_ec2.py URL aws|unknown
# Prints it as JSON. cloud-init asks the machine's firmware which cloud it is on; that answer alone
# is put in its place.
import base64
import json
import logging
import sys
import tempfile
from unittest import mock

from cloudinit import helpers, url_helper
from cloudinit.sources import DataSourceEc2 as ec2

url, platform = sys.argv[1:]
config = {"metadata_urls": [url], "max_wait": 60, "timeout": 20, "strict_id": False}
requests = []
refused = []
logging.basicConfig(level=logging.WARNING)


def watch(original):
    def wrapped(url, *args, **kwargs):
        requests.append(url[url.index("/", 8):])
        try:
            return original(url, *args, **kwargs)
        except url_helper.UrlError as e:
            refused.append([requests[-1], e.code])
            raise
    return wrapped


def network(source):
    macs = source.metadata.get("network", {}).get("interfaces", {}).get("macs", {})
    names = {mac: "eth%d" % i for i, mac in enumerate(sorted(macs))}
    return ec2.convert_ec2_metadata_network_config(
        source.metadata["network"], macs_to_nics=names, fallback_nic="eth0")


with tempfile.TemporaryDirectory() as tmp:
    paths = helpers.Paths({"cloud_dir": tmp, "run_dir": tmp})
    source = ec2.DataSourceEc2({"datasource": {"Ec2": config}}, None, paths)
    with mock.patch.object(ec2, "identify_platform", lambda: platform), \
            mock.patch.object(url_helper, "readurl", watch(url_helper.readurl)), \
            mock.patch("cloudinit.warnings.time.sleep"):
        found = source._get_data()
        result = {
            "found": found,
            "requests": requests,
            "refused": refused,
        }
        if found:
            userdata = source.userdata_raw
            if isinstance(userdata, str):
                userdata = userdata.encode()
            hostname = source.get_hostname(fqdn=True)
            result.update({
                "cloud": source.cloud_name,
                "instance_id": source.get_instance_id(),
                "hostname": getattr(hostname, "hostname", hostname),
                "keys": source.get_public_ssh_keys(),
                "region": source.region,
                "availability_zone": source.availability_zone,
                "userdata": base64.b64encode(userdata or b"").decode(),
                "metadata": {k: v for k, v in source.metadata.items()},
                "identity": source.identity,
                "network": network(source),
            })
print(json.dumps(result, indent=1, default=repr))
