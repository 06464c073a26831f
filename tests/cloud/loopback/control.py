# SPDX-License-Identifier: Apache-2.0
"""The switches: how the command line tells a running cloud to change. JSON over HTTP, with a key out of the state folder."""

import hmac
import http.client
import json
import os

from . import faults as fault_kinds
from .httpd import Response
from .images import parse_setting

MAX_BODY = 1 << 20


class Wrong(Exception):
    """The command cannot be done: one line for the user."""


class Control:
    """Served by the daemon. A command is a JSON object with 'do' and its arguments."""

    def __init__(self, key, faults, images, snapshots):
        self.key = key
        self.faults = faults
        self.images = images
        self.snapshots = snapshots
        self.commands = {
            "fault-add": self.fault_add, "fault-list": self.fault_list, "fault-clear": self.fault_clear,
            "image-list": self.image_list, "image-set": self.image_set,
            "snapshot-list": self.snapshot_list, "snapshot-set": self.snapshot_set,
        }

    def __call__(self, request, _conduct=None):
        if not hmac.compare_digest(request.headers.get("x-control-key", "").encode(), self.key.encode()):
            return Response(403)
        command = json.loads(request.body(MAX_BODY))
        try:
            reply = {"ok": self.commands[command.pop("do")](**command)}
        except Wrong as wrong:
            reply = {"wrong": str(wrong)}
        return Response(200, [("Content-Type", "application/json")], json.dumps(reply).encode())

    def fault_add(self, spec):
        wrong = fault_kinds.check(spec)
        if wrong:
            raise Wrong(wrong)
        return self.faults.add(spec)

    def fault_list(self):
        return self.faults.list()

    def fault_clear(self, ids):
        return self.faults.clear(set(ids))

    def image_list(self):
        return self.images.all()

    def image_set(self, image, settings):
        found = self.images.get(image)
        if found is None:
            raise Wrong("there is no image '%s'" % image)
        changes = {"tags": dict(found["tags"])}
        for key, text in settings:
            if key.startswith("tag:"):
                changes["tags"][key[4:]] = text
                continue
            try:
                changes[key] = parse_setting(key, text)
            except ValueError as error:
                raise Wrong(str(error)) from None
        self.images.change(found, **changes)
        if "owner-id" in changes:  # whose image it is, his are its snapshots
            for mapping in found["mapping"]:
                snapshot = self.snapshots.get(mapping.get("snapshot-id"))
                if snapshot is not None:
                    self.change_snapshot(snapshot, {"owner": changes["owner-id"]})
        return found

    @staticmethod
    def change_snapshot(snapshot, changes):
        with snapshot.lock:
            snapshot.meta.update(changes)
            snapshot.save()

    def snapshot_list(self):
        return [dict(s.meta, status=s.status(), blocks=len(s.blocks)) for s in self.snapshots.all()]

    def snapshot_set(self, snapshot, settings):
        found = self.snapshots.get(snapshot)
        if found is None:
            raise Wrong("there is no snapshot '%s'" % snapshot)
        changes = {}
        for key, text in settings:
            if key == "owner-id":
                changes["owner"] = text
            elif key == "status" and text in ("pending", "completed", "error"):
                changes["status"] = text
                # A snapshot that is made pending stays so.
                changes["completes_at"] = 2.0 ** 40 if text == "pending" else found.meta.get("completes_at") or 1.0
            elif key == "shared":
                changes["shared"] = [account for account in text.split(",") if account]
            elif key == "encrypted" and text in ("true", "false"):
                changes["encrypted"] = text == "true"
            else:
                raise Wrong("'%s=%s' cannot be set; known: owner-id=ACCOUNT, status=pending|completed|error, "
                            "shared=ACCOUNT,…, encrypted=true|false" % (key, text))
        self.change_snapshot(found, changes)
        return dict(found.meta, status=found.status())


def tell(state, do, **arguments):
    """Has the cloud that runs in the folder do a command; Wrong if it does not run or does not want to."""
    try:
        with open(os.path.join(state, "control"), encoding="ascii") as data:
            where = json.load(data)
    except FileNotFoundError:
        raise Wrong("no cloud runs in '%s'" % state) from None
    connection = http.client.HTTPConnection("127.0.0.1", where["port"], timeout=30)
    try:
        connection.request("POST", "/", body=json.dumps(dict(arguments, do=do)), headers={"x-control-key": where["key"]})
        answer = connection.getresponse()
        data = answer.read()
    except OSError as error:
        raise Wrong("the cloud in '%s' does not answer: %s" % (state, error)) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise Wrong("the cloud in '%s' answers with %d" % (state, answer.status))
    reply = json.loads(data)
    if "wrong" in reply:
        raise Wrong(reply["wrong"])
    return reply["ok"]
