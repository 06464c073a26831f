# SPDX-License-Identifier: Apache-2.0
"""Two WSGI filters for the pipeline of Swift's proxy."""

from time import time as now

from . import credentials


class AccessKeys:
    """Between s3api and tempauth, which wants access keys of the form account:user.

    Ours look as AWS's do: this gives tempauth the name that it knows. The signature has by then been taken apart
    by s3api, and is checked by it against the secret in tempauth.
    """

    def __init__(self, app):
        self.app = app

    def __call__(self, env, start_response):
        details = env.get("s3api.auth_details")
        if details:
            credential = credentials.BY_KEY.get(details["access_key"])
            if credential:
                env["s3api.auth_details"] = dict(details, access_key=credential.swift_user)
                env["PATH_INFO"] = env["PATH_INFO"].replace(credential.access_key, credential.swift_user, 1)
        return self.app(env, start_response)


class Memory:
    """What Swift uses memcached for, inside the one proxy process. Arguments are named as in Swift's client."""

    def __init__(self):
        self.entries = {}

    def get(self, key, **_kwargs):
        value, until = self.entries.get(key, (None, 0))
        if until and until < now():
            del self.entries[key]
            return None
        return value

    def set(self, key, value, time=0, **_kwargs):
        self.entries[key] = (value, time and now() + time)

    def incr(self, key, delta=1, time=0, **_kwargs):
        value = max(0, int(self.get(key) or 0) + delta)
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0, **kwargs):
        return self.incr(key, -delta, time, **kwargs)

    def delete(self, key, **_kwargs):
        self.entries.pop(key, None)

    def get_multi(self, keys, *_args, **_kwargs):
        return [self.get(key) for key in keys]

    def set_multi(self, mapping, *_args, time=0, **_kwargs):
        for key, value in mapping.items():
            self.set(key, value, time=time)


class Cache:
    """In the place of Swift's cache filter, so that no memcached has to run."""

    def __init__(self, app):
        self.app = app
        self.memory = Memory()

    def __call__(self, env, start_response):
        env["swift.cache"] = self.memory
        return self.app(env, start_response)


def access_keys_factory(_global_conf, **_local_conf):
    return AccessKeys


def cache_factory(_global_conf, **_local_conf):
    return Cache
