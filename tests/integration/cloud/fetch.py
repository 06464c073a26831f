#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fetch.py AMI TARGET: reads an image out of the cloud with boto3: an EBS one into a raw file, a bundle into a folder."""

import os
import re
import sys

from client import client

image = client("ec2").describe_images(ImageIds=[sys.argv[1]])["Images"][0]
target = sys.argv[2]
if image["RootDeviceType"] == "ebs":
    root = [m["Ebs"] for m in image["BlockDeviceMappings"] if m["DeviceName"] == image["RootDeviceName"]][0]
    ebs = client("ebs")
    token = {}
    with open(target, "wb") as out:
        while True:
            page = ebs.list_snapshot_blocks(SnapshotId=root["SnapshotId"], **token)
            out.truncate(page["VolumeSize"] << 30)
            for entry in page["Blocks"]:
                out.seek(entry["BlockIndex"] * page["BlockSize"])
                out.write(ebs.get_snapshot_block(SnapshotId=root["SnapshotId"], **entry)["BlockData"].read())
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
else:
    bucket, key = image["ImageLocation"].split("/", 1)
    s3 = client("s3")
    manifest = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    os.mkdir(target)
    names = re.findall("<filename>([^<]+)</filename>", manifest.decode())
    for name in [key] + names:
        with open(os.path.join(target, name), "wb") as out:
            out.write(s3.get_object(Bucket=bucket, Key=name)["Body"].read())
