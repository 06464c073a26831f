#!/usr/bin/python3
# What Debian's cloud-init makes of vendor-data: cloud_init_vendor.py FILE prints as JSON the
# cloud-config that it merges of them, its scripts in the order in which they are run, the users that
# it would make, and what its own schema finds wrong.
import base64
import json
import logging
import os
import sys
import tempfile

from cloudinit import distros, handlers, helpers, user_data, util
from cloudinit.config.schema import SchemaValidationError, get_schema, validate_cloudconfig_schema
from cloudinit.distros import ug_util
from cloudinit.handlers.cloud_config import CloudConfigPartHandler

logging.basicConfig(level=logging.WARNING)


def parts(tmp):
    p = helpers.Paths({"cloud_dir": tmp, "run_dir": tmp})
    with open(sys.argv[1], "rb") as f:
        message = user_data.UserDataProcessor(p).process(f.read())
    for part in message.walk():
        if not part.is_multipart():
            yield part, part.get_content_type(), part.get_filename(), part.get_payload(decode=True)


with tempfile.TemporaryDirectory() as tmp:
    config = CloudConfigPartHandler(helpers.Paths({"cloud_dir": tmp}))
    config.cloud_fn = os.path.join(tmp, "merged")
    scripts = {}
    config.handle_part(None, handlers.CONTENT_START, None, None, None, None)
    for part, kind, name, payload in parts(tmp):
        if kind == "text/cloud-config":
            config.handle_part(None, kind, name, payload.decode(), "once-per-instance", part)
        elif kind == "text/x-shellscript":
            scripts[util.clean_filename(name)] = base64.b64encode(payload).decode()
        else:
            raise SystemExit("cloud-init does not know what %s is" % kind)
    config.handle_part(None, handlers.CONTENT_END, None, None, None, None)
    with open(config.cloud_fn) as f:
        cfg = util.load_yaml(f.read()) or {}
    try:
        validate_cloudconfig_schema(cfg, schema=get_schema(), strict=True)
        wrong = []
    except SchemaValidationError as e:
        wrong = [str(e)]
    except ImportError:
        wrong = ["no jsonschema"]
    distro = distros.fetch("debian")("debian", {"default_user": {
        "name": "debian", "sudo": ["ALL=(ALL) NOPASSWD:ALL"], "lock_passwd": True, "shell": "/bin/bash"}},
        helpers.Paths({"cloud_dir": tmp}))
    users, _ = ug_util.normalize_users_groups(cfg, distro)
    print(json.dumps({"config": cfg, "scripts": sorted(scripts.items()), "users": users, "wrong": wrong},
                     indent=1, default=repr))
