#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proofs of the EC2 endpoint, with botocore as the client."""

import datetime
import re
import subprocess
from unittest import mock

from client import (CLOUD, OTHER, OWNER, STATE, block, client, cloud, fault, fetch, main, make_snapshot, refused, send,
                    signed)

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
BODY = b"Action=DescribeImages&Version=2016-11-15"


def snapshot_of():
    """One completed snapshot, made once."""
    ebs, ec2 = client("ebs"), client("ec2")
    found = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "description", "Values": ["for images"]}])
    done = [s["SnapshotId"] for s in found["Snapshots"] if s["State"] == "completed"]
    return done[0] if done else make_snapshot(ebs, {0: block(0)}, Description="for images")


def add_image(name, **more):
    ec2 = client("ec2")
    arguments = dict(Name=name, RootDeviceName="/dev/xvda", VirtualizationType="hvm", Architecture="x86_64",
                     BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_of()}}])
    arguments.update(more)
    return ec2.register_image(**arguments)["ImageId"]


def ids(reply):
    return [image["ImageId"] for image in reply["Images"]]


def signatures():
    client("ec2").describe_images()
    client("ec2", "session").describe_images()
    client("ec2", "other").describe_images()
    refused("SignatureDoesNotMatch", 403, client("ec2", secret="wrong").describe_images)
    refused("AuthFailure", 401, client("ec2", key="AKIANOSUCHKEY0000001").describe_images)
    refused("AuthFailure", 401, client("ec2", "session", token="forged").describe_images)
    refused("RequestExpired", 400, client("ec2", "expired").describe_images)
    assert "eu-west-1" in refused("SignatureDoesNotMatch", 403, client("ec2", region="eu-west-1").describe_images)


def skewed_clock():
    now = datetime.datetime.utcnow

    class Skewed(datetime.datetime):
        offset = 0

        @classmethod
        def utcnow(cls):
            return now() + datetime.timedelta(seconds=cls.offset)

    with mock.patch.object(datetime, "datetime", Skewed):
        for Skewed.offset in (-16 * 60, 16 * 60):
            refused("RequestExpired", 400, client("ec2").describe_images)
        for Skewed.offset in (-14 * 60, 14 * 60):
            client("ec2").describe_images()


def tampered_requests():
    headers = signed("ec2", "POST", "/", BODY, FORM)
    assert send("ec2", "POST", "/", BODY, headers).status == 200
    assert send("ec2", "POST", "/", BODY + b"&MaxResults=5", headers).status == 403
    assert send("ec2", "POST", "/?x=y", BODY, headers).status == 403
    assert send("ec2", "POST", "/", BODY, dict(headers, **{"Content-Type": "text/plain"})).status == 403
    assert send("ec2", "POST", "/", BODY, dict(headers, **{"X-Amz-Extra": "unsigned"})).status == 403
    assert send("ec2", "POST", "/", BODY, {}).status == 400
    wrong_service = signed("ebs", "POST", "/", BODY, FORM)
    assert send("ec2", "POST", "/", BODY, wrong_service).status == 403


def documents():
    """The shapes on the wire, which botocore does not show."""
    text = fetch("ec2", "/", "POST", BODY, FORM).read().decode()
    assert '<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>' in text, text
    assert "<imagesSet" in text
    body = b"Action=DescribeImages&Version=2016-11-15&ImageId.1=ami-00000000"
    answer = fetch("ec2", "/", "POST", body, FORM)
    text = answer.read().decode()
    assert answer.status == 400
    assert re.search("<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code><Message>[^<]*</Message></Error></Errors>"
                     "<RequestID>[^<]+</RequestID></Response>", text), text
    assert fetch("ec2", "/?Action=DescribeImages&Version=2016-11-15").status == 200
    for body, code in ((b"Action=Nonsense&Version=2016-11-15", "InvalidAction"), (b"Version=2016-11-15", "MissingAction"),
                       (BODY + b"&Colour=red", "UnknownParameter"), (BODY + b"&DryRun=true", "DryRunOperation"),
                       (BODY + b"&Filter.1.Name=colour&Filter.1.Value.1=x", "InvalidParameterValue")):
        text = fetch("ec2", "/", "POST", body, FORM).read().decode()
        assert "<Code>%s</Code>" % code in text, text


def image_ids():
    ec2 = client("ec2")
    image = add_image("ids-" + STATE[-6:])
    assert ids(ec2.describe_images(ImageIds=[image])) == [image]
    described = ec2.describe_images(ImageIds=[image])["Images"][0]
    assert described["OwnerId"] == OWNER and described["RootDeviceType"] == "ebs" and described["State"] == "available"
    assert described["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 1
    assert described["ImageLocation"] == "%s/%s" % (OWNER, described["Name"])
    refused("InvalidAMIID.NotFound", 400, ec2.describe_images, ImageIds=["ami-0123456789abcdef0"])
    for malformed in ("ami-xyz", "i-12345678", "ami-0123456789abcdef", ""):
        refused("InvalidAMIID.Malformed", 400, ec2.describe_images, ImageIds=[malformed])
    refused("AuthFailure", 401, client("ec2", "other").describe_images, ImageIds=[image])
    cloud("image", "set", image, "is-public=true")
    refused("AuthFailure", 401, client("ec2", "other").deregister_image, ImageId=image)
    for state in ("pending", "failed", "invalid", "disabled"):
        cloud("image", "set", image, "state=" + state, "state-reason=Client.Reason")
        described = ec2.describe_images(ImageIds=[image])["Images"][0]
        assert described["State"] == state and described["StateReason"]["Code"] == "Client.Reason"
    cloud("image", "set", image, "state=available")
    ec2.deregister_image(ImageId=image)
    refused("InvalidAMIID.Unavailable", 400, ec2.describe_images, ImageIds=[image])
    assert image not in ids(ec2.describe_images(Owners=["self"]))


def owners():
    ec2, other = client("ec2"), client("ec2", "other")
    image = add_image("owned")
    assert image in ids(ec2.describe_images(Owners=["self"])) and image not in ids(other.describe_images())
    cloud("image", "set", image, "launch-permissions=" + OTHER)
    assert ids(other.describe_images(ExecutableUsers=["self"])) == [image]
    assert ids(other.describe_images(ExecutableUsers=["all"])) == [] == ids(other.describe_images(Owners=["self"]))
    cloud("image", "set", image, "is-public=true", "launch-permissions=", "owner-alias=amazon", "owner-id=" + OTHER)
    assert ids(ec2.describe_images(ExecutableUsers=["all"])) == [image] == ids(ec2.describe_images(Owners=["amazon"]))
    assert image not in ids(ec2.describe_images(Owners=["self"]))
    # Public, but its snapshot is another's.
    snapshot = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    refused("AccessDeniedException", 403, client("ebs").list_snapshot_blocks, SnapshotId=snapshot)
    refused("AuthFailure", 401, ec2.deregister_image, ImageId=image)
    cloud("snapshot", "set", snapshot, "owner-id=" + OWNER)
    cloud("image", "set", image, "is-public=false")
    refused("AuthFailure", 401, ec2.describe_images, ImageIds=[image])
    refused("InvalidUserID.Malformed", 400, ec2.describe_images, Owners=["nobody"])


def filters():
    ec2 = client("ec2")
    one = add_image("filter-debian-12-amd64", Description="one [a*b]")
    two = add_image("filter-debian-13-arm64", Architecture="arm64", BootMode="uefi", EnaSupport=True)
    cloud("image", "set", one, "tag:Stage=prod", "tag:Owner=ops", "creation-date=2021-09-29T11:04:43.000Z")
    snapshot = snapshot_of()

    def find(*pairs):
        conditions = [{"Name": n, "Values": list(v)} for n, v in pairs]
        return sorted(ids(ec2.describe_images(Filters=conditions + [{"Name": "name", "Values": ["filter-*"]}])))

    both = sorted((one, two))
    assert find() == both
    assert find(("name", ["*-12-*"])) == [one] and find(("name", ["filter-debian-1?-*"])) == both
    assert find(("name", ["*-12-*", "*-13-*"])) == both and find(("name", ["debian-12*"])) == []
    assert find(("name", ["*-12-*"]), ("architecture", ["arm64"])) == []
    assert find(("description", ["one \\[a\\*b\\]"])) == [one] and find(("description", ["one [a*"])) == [one]
    assert find(("description", ["one \\[a\\*"])) == []
    assert find(("tag:Stage", ["pr?d"])) == [one] and find(("tag-key", ["Owner"])) == [one]
    assert find(("creation-date", ["2021-09-*"])) == [one]
    assert find(("ena-support", ["true"])) == [two] and find(("image-id", [two])) == [two]
    for name, value in (("state", "available"), ("is-public", "false"), ("root-device-type", "ebs"), ("hypervisor", "xen"),
                        ("virtualization-type", "hvm"), ("owner-id", OWNER), ("image-type", "machine"),
                        ("root-device-name", "/dev/xvda"), ("manifest-location", OWNER + "/*"),
                        ("block-device-mapping.snapshot-id", snapshot), ("block-device-mapping.volume-size", "1"),
                        ("block-device-mapping.device-name", "/dev/xvda"), ("block-device-mapping.volume-type", "standard"),
                        ("block-device-mapping.encrypted", "false"),
                        ("block-device-mapping.delete-on-termination", "true")):
        assert find((name, [value])) == both, name
        assert find((name, ["other"])) == [], name
    refused("InvalidParameterValue", 400, ec2.describe_images, Filters=[{"Name": "colour", "Values": ["red"]}])


def deprecated():
    ec2 = client("ec2")
    image = add_image("old")
    cloud("image", "set", image, "owner-id=" + OTHER, "is-public=true", "deprecation-time=2020-01-01T00:00:00.000Z")
    assert image not in ids(ec2.describe_images())
    assert image in ids(ec2.describe_images(IncludeDeprecated=True)) and image in ids(client("ec2", "other").describe_images())


def paging():
    ec2 = client("ec2")
    wanted = sorted(add_image("page-%02d" % i) for i in range(25))
    only = [{"Name": "name", "Values": ["page-*"]}]
    body = BODY + b"&MaxResults=10&Filter.1.Name=name&Filter.1.Value.1=page-%2A"
    text = fetch("ec2", "/", "POST", body, FORM).read().decode()
    assert text.count("<imageId>") == 10 and "<nextToken>" in text
    got, pages, token = [], 0, None
    while pages == 0 or token:
        extra = b"&NextToken=" + token.encode().replace(b"+", b"%2B").replace(b"=", b"%3D").replace(b"/", b"%2F") \
            if token else b""
        text = fetch("ec2", "/", "POST", body + extra, FORM).read().decode()
        got += re.findall("<imageId>([^<]+)", text)
        token = (re.findall("<nextToken>([^<]+)", text) or [None])[0]
        pages += 1
    assert pages == 3 and sorted(got) == wanted
    assert len(ids(ec2.describe_images(Filters=only))) == 25
    text = fetch("ec2", "/", "POST", BODY + b"&MaxResults=10&ImageId.1=" + wanted[0].encode(), FORM).read().decode()
    assert "<Code>InvalidParameterCombination</Code>" in text
    for wrong in (b"&MaxResults=0", b"&MaxResults=1001", b"&MaxResults=x", b"&NextToken=AAAA"):
        text = fetch("ec2", "/", "POST", BODY + wrong, FORM).read().decode()
        assert "<Code>InvalidParameterValue</Code>" in text, text


def snapshots():
    ec2 = client("ec2")
    snapshot = snapshot_of()
    told = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert told["OwnerId"] == OWNER and told["VolumeSize"] == 1 and told["State"] == "completed" and not told["Encrypted"]
    assert snapshot in [s["SnapshotId"] for s in ec2.describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "status", "Values": ["completed"]}])["Snapshots"]]
    refused("InvalidSnapshot.NotFound", 400, ec2.describe_snapshots, SnapshotIds=["snap-0123456789abcdef0"])
    refused("InvalidSnapshotID.Malformed", 400, ec2.describe_snapshots, SnapshotIds=["snap-x"])
    refused("InvalidSnapshot.NotFound", 400, client("ec2", "other").describe_snapshots, SnapshotIds=[snapshot])
    cloud("snapshot", "set", snapshot, "shared=" + OTHER)
    client("ec2", "other").describe_snapshots(SnapshotIds=[snapshot])
    cloud("snapshot", "set", snapshot, "shared=")


def register():
    ec2, s3 = client("ec2"), client("s3")
    add_image("taken")
    for code, status, more in (
            ("InvalidAMIName.Duplicate", 400, {"Name": "taken"}), ("InvalidAMIName.Malformed", 400, {"Name": "a"}),
            ("InvalidParameterValue", 400, {"Architecture": "vax"}),
            ("InvalidBlockDeviceMapping", 400, {"BlockDeviceMappings": []}),
            ("InvalidSnapshot.NotFound", 400, {"BlockDeviceMappings": [
                {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}]})):
        refused(code, status, add_image, more.pop("Name", "register-x"), **more)
    with open(STATE + "/../sample/instance-store/sample-is.manifest.xml", "rb") as data:
        manifest = data.read()
    s3.create_bucket(Bucket="manifests")

    def attempt(data, **more):
        s3.put_object(Bucket="manifests", Key="a b/x.manifest.xml", Body=data)
        return ec2.register_image(Name="from manifest", ImageLocation="manifests/a b/x.manifest.xml", **more)["ImageId"]

    def without(name):
        return re.sub(b"<%s[ >].*?</%s>" % (name, name), b"", manifest)

    refused("InvalidManifest", 400, ec2.register_image, Name="nix", ImageLocation="manifests/nix.manifest.xml")
    refused("InvalidManifest", 400, ec2.register_image, Name="nix", ImageLocation="manifests")
    for name in (b"user_encrypted_key", b"user_encrypted_iv", b"ec2_encrypted_key", b"signature", b"digest", b"type",
                 b"machine_configuration", b"version", b"size"):
        refused("InvalidManifest", 400, attempt, without(name))
    refused("InternalError", 500, attempt, re.sub(b"<signature>.*</signature>", b"<signature/>", manifest))
    refused("InvalidManifest", 400, attempt, manifest[:-5])
    refused("InvalidManifest", 400, attempt, manifest.replace(b"<part index='1'>", b"<part index='7'>"))
    image = ec2.describe_images(ImageIds=[attempt(manifest)])["Images"][0]
    assert image["RootDeviceType"] == "instance-store" and image["Architecture"] == "x86_64"
    assert image["ImageLocation"] == "manifests/a b/x.manifest.xml" and image["VirtualizationType"] == "paravirtual"
    refused("AuthFailure", 401, client("ec2", "other").register_image, Name="theft",
            ImageLocation="manifests/a b/x.manifest.xml")


def copying():
    ec2 = client("ec2")
    image = add_image("to be copied")
    ask = dict(SourceImageId=image, SourceRegion="us-east-1", Name="the copy", Description="about", ClientToken="token")
    # Debian 12's botocore does not know them yet.
    tagged = "TagSpecifications" in ec2.meta.service_model.operation_model("CopyImage").input_shape.members
    if tagged:
        ask["TagSpecifications"] = [{"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]}
                                    for kind in ("image", "snapshot")]
    copy = ec2.copy_image(**ask)["ImageId"]
    assert copy != image and ec2.copy_image(**ask)["ImageId"] == copy
    refused("InvalidAMIName.Duplicate", 400, ec2.copy_image, **dict(ask, ClientToken="another"))
    found = ec2.describe_images(ImageIds=[copy])["Images"][0]
    assert found["Name"] == "the copy" and found["Description"] == "about"
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    if tagged:
        listed = ec2.describe_snapshots(Filters=[{"Name": "tag:of", "Values": ["snapshot"]}])["Snapshots"]
        assert [s["SnapshotId"] for s in listed] == [snapshot]
        assert ids(ec2.describe_images(Filters=[{"Name": "tag:of", "Values": ["image"]}])) == [copy]
    refused("InvalidSnapshot.InUse", 400, ec2.delete_snapshot, SnapshotId=snapshot)
    fault("lag", "ec2", "--seconds", "100")
    assert copy not in ids(ec2.describe_images(Owners=["self"]))
    assert snapshot not in [s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]]
    refused("InvalidAMIID.NotFound", 400, ec2.describe_images, ImageIds=[copy])
    refused("InvalidAMIID.NotFound", 400, ec2.deregister_image, ImageId=copy)
    cloud("fault", "clear")
    ec2.deregister_image(ImageId=copy)
    fault("lag", "ec2", "--seconds", "100")
    refused("InvalidSnapshot.InUse", 400, ec2.delete_snapshot, SnapshotId=snapshot)
    cloud("fault", "clear")
    ec2.delete_snapshot(SnapshotId=snapshot)
    refused("InvalidSnapshot.NotFound", 400, ec2.delete_snapshot, SnapshotId=snapshot)
    ec2.deregister_image(ImageId=image)


def switches():
    """A switch that makes no sense is refused, and says why."""
    image = add_image("switch")
    for words in (["state=gone"], ["colour=red"], ["is-public=yes"], ["owner-id=1"], ["novalue"]):
        done = subprocess.run([CLOUD, "image", "--state", STATE, "set", image] + words, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.startswith("cloud: ") and done.stderr.count("\n") == 1, done


if __name__ == "__main__":
    main(globals())
