# SPDX-License-Identifier: Apache-2.0
"""OpenStack's own client of Glance.

    glance_client.py ENDPOINT TOKEN upload NAME FILE [KEY=VALUE]...     prints the id
    glance_client.py ENDPOINT TOKEN many COUNT                          records without data, m0000 ...
    glance_client.py ENDPOINT TOKEN show NAME                           as JSON
    glance_client.py ENDPOINT TOKEN download NAME FILE                  checked by its digest
    glance_client.py ENDPOINT TOKEN deactivate NAME
"""
import json
import sys

from glanceclient import Client

endpoint, token, action, *words = sys.argv[1:]
glance = Client("2", endpoint=endpoint, token=token)


def by_name(name):
    return [i for i in glance.images.list() if i["name"] == name][0]


if action == "upload":
    image = {"disk_format": "qcow2", "container_format": "bare"}
    image.update(w.split("=", 1) for w in words[2:])
    made = glance.images.create(name=words[0], **image)
    with open(words[1], "rb") as data:
        glance.images.upload(made["id"], data)
    print(made["id"])
elif action == "many":
    for n in range(int(words[0])):
        glance.images.create(name="m%04d" % n, disk_format="qcow2", container_format="bare")
elif action == "show":
    print(json.dumps(dict(by_name(words[0]))))
elif action == "download":
    with open(words[1], "wb") as out:
        for piece in glance.images.data(by_name(words[0])["id"], do_checksum=True):
            out.write(piece)
elif action == "deactivate":
    glance.images.deactivate(by_name(words[0])["id"])
else:
    sys.exit("no action '%s'" % action)
