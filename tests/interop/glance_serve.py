#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's Glance on a free port of loopback, in a folder of its own, with one token in place of Keystone.

    glance_serve.py FOLDER TOKEN

Needs Glance on PYTHONPATH (fetch-glance). Prints its port when the database is made; serves until a signal.
"""
import os
import socket
import subprocess
import sys

CONFIG = """\
[DEFAULT]
bind_host = 127.0.0.1
bind_port = {port}
workers = 0
log_file = {folder}/log
node_staging_uri = file://{folder}/staging
[database]
connection = sqlite:///{folder}/glance.db
[glance_store]
stores = file
default_store = file
filesystem_store_datadir = {folder}/data
[paste_deploy]
config_file = {folder}/paste.ini
[oslo_policy]
enforce_scope = false
"""

PASTE = """\
[pipeline:glance-api]
pipeline = versionnegotiation onetoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:onetoken]
paste.filter_factory = glance_serve:only_with_token
token = {token}
"""

WHO = {"HTTP_X_IDENTITY_STATUS": "Confirmed", "HTTP_X_USER_ID": "u", "HTTP_X_PROJECT_ID": "p", "HTTP_X_TENANT_ID": "p",
       "HTTP_X_ROLES": "admin,member,reader"}


def only_with_token(_config, token):
    """What keystonemiddleware does, for one token."""
    def wrap(app):
        def call(env, start):
            if env.get("HTTP_X_AUTH_TOKEN") == token:
                env.update(WHO)
                return app(env, start)
            start("401 Unauthorized", [("Content-Length", "0")])
            return []
        return call
    return wrap


def main():
    folder, token = os.path.abspath(sys.argv[1]), sys.argv[2]
    os.makedirs(os.path.join(folder, "data"))
    os.makedirs(os.path.join(folder, "staging"))
    # Held until the server has it: nobody else is given the port meanwhile, but to bind it once more is allowed.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    held.set_inheritable(True)
    port = held.getsockname()[1]
    with open(os.path.join(folder, "api.conf"), "w", encoding="ascii") as out:
        out.write(CONFIG.format(folder=folder, port=port))
    with open(os.path.join(folder, "paste.ini"), "w", encoding="ascii") as out:
        out.write(PASTE.format(token=token))
    config = ["--config-file", os.path.join(folder, "api.conf")]

    def command(name, module, *words):
        return [sys.executable, "-c", "import sys; sys.argv[0] = '%s'; from %s import main; sys.exit(main())" % (name, module),
                *config, *words]
    here = os.path.dirname(os.path.abspath(__file__))
    os.environ["PYTHONPATH"] = here + ":" + os.environ["PYTHONPATH"]
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with open(os.path.join(folder, "out"), "wb") as out:
        subprocess.run(command("glance-manage", "glance.cmd.manage", "db_sync"), check=True, stdout=out, stderr=out)
        print(port, flush=True)
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    serve = command("glance-api", "glance.cmd.api")
    os.execv(serve[0], serve)


if __name__ == "__main__":
    main()
