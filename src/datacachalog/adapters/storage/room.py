"""Room on the disk for a file, before its bytes come.

A module of its own because of ctypes, which takes 5 ms to import: only transfers pay for it, and
they do so before they have threads. A process that is forked while a thread imports a module may
never import that one itself.
"""

from __future__ import annotations

import ctypes
import errno
import os

_NOT_DONE = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EINTR}


def reserve(fd: int, size_bytes: int) -> None:
    """Takes room on the disk for a file of that size; where it cannot, looks whether there is any.

    Raises:
        OSError: there is none.
    """
    # First of all: on the way to a failure, fallocate may fill the disk, and others need it too.
    has, disk = os.fstat(fd).st_blocks * 512, os.fstatvfs(fd)
    if size_bytes - has > disk.f_bavail * disk.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    # Not os.posix_fallocate: where the file system cannot, glibc writes to every block.
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if fallocate is None:  # macOS
        return
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if fallocate(fd, 0, 0, size_bytes) == 0 or (problem := ctypes.get_errno()) in _NOT_DONE:
        return
    raise OSError(problem, os.strerror(problem))
