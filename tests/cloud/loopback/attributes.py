# SPDX-License-Identifier: Apache-2.0
"""Extended attributes for Swift where the file system has none: a file for each object file, named by its inode."""

import errno
import os
import pickle
from types import SimpleNamespace

FIRST = b"user.swift.metadata"  # Swift writes it before all others of a file


def supported(folder):
    """Can files in the folder have extended attributes? OSError if none can be written there at all."""
    probe = os.path.join(folder, ".probe-%d" % os.getpid())
    fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(probe)
    try:
        os.setxattr(fd, FIRST, b"x" * 1024)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EOPNOTSUPP):
            return False
        raise
    finally:
        os.close(fd)
    return True


def module(folder):
    """What takes the place of the module 'xattr', as far as Swift's object server uses it."""
    os.makedirs(folder, exist_ok=True)

    def path_of(file):
        """file: a descriptor, an open file or a name."""
        stat = os.stat(file.fileno() if hasattr(file, "fileno") else file)
        return os.path.join(folder, "%x-%x" % (stat.st_dev, stat.st_ino))

    def read(path):
        try:
            with open(path, "rb") as data:
                return pickle.load(data)
        except FileNotFoundError:
            return {}

    def getxattr(file, name):
        try:
            return read(path_of(file))[name]
        except KeyError:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA)) from None

    def setxattr(file, name, value):
        path = path_of(file)
        # An inode may have been another file's before.
        attributes = {} if name == FIRST else read(path)
        attributes[name] = value
        with open(path + ".new", "wb") as out:
            pickle.dump(attributes, out)
        os.replace(path + ".new", path)

    return SimpleNamespace(getxattr=getxattr, setxattr=setxattr)
