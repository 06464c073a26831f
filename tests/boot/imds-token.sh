#!/bin/sh
# Runs inside a guest, with python3 (cloud-init brings it): IMDSv2, as a client does it.
exec python3 - <<'END'
import urllib.request as u
base = "http://169.254.169.254/latest/"
put = u.Request(base + "api/token", method="PUT",
                headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
token = u.urlopen(put, timeout=60).read().decode()
get = lambda p: u.urlopen(u.Request(base + p, headers={"X-aws-ec2-metadata-token": token}),
                          timeout=60).read().decode()
instance = get("meta-data/instance-id")
assert instance.startswith("i-"), instance
with open("/var/lib/cloud/data/instance-id") as f:
    assert f.read().strip() == instance, "cloud-init has another instance id"
keys = get("meta-data/public-keys/0/openssh-key")
assert keys.startswith("ssh-ed25519 "), keys
print("instance", instance)
END
