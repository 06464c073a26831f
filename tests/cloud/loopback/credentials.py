# SPDX-License-Identifier: Apache-2.0
"""Who may talk to the cloud: constant accounts and keys, worthless anywhere else."""

from dataclasses import dataclass

OWNER_ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"


@dataclass(frozen=True)
class Credential:
    role: str  # name by which tests ask for it
    account: str
    access_key: str
    secret: str
    swift_user: str  # account:user of Swift's tempauth
    token: str = ""  # session token; only with temporary credentials
    expired: bool = False


ALL = (
    Credential("owner", OWNER_ACCOUNT, "AKIALOOPBACKOWNER001",
               "own/LoopbackSecretOfTheOwner+00000000001", OWNER_ACCOUNT + ":owner"),
    # Valid, but neither images, snapshots nor buckets are his.
    Credential("other", OTHER_ACCOUNT, "AKIALOOPBACKOTHER001",
               "oth/LoopbackSecretOfAStranger+0000000001", OWNER_ACCOUNT + ":other"),
    Credential("session", OWNER_ACCOUNT, "ASIALOOPBACKSESSION1",
               "ses/LoopbackSecretOfASession+00000000001", OWNER_ACCOUNT + ":session",
               token="FwoLoopback/Session+Token=="),
    Credential("expired", OWNER_ACCOUNT, "ASIALOOPBACKEXPIRED1",
               "exp/LoopbackSecretOfThePast+000000000001", OWNER_ACCOUNT + ":expired",
               token="FwoLoopback/Expired+Token==", expired=True),
)

BY_KEY = {c.access_key: c for c in ALL}
BY_ROLE = {c.role: c for c in ALL}
