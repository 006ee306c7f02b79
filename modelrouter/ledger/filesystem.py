"""Whether a path lies on a network filesystem, where SQLite's locks and its shared memory cannot be trusted.

The WAL index is memory shared between the processes of one machine, so SQLite itself rules such places out
(sqlite.org/wal.html, "WAL does not work over a network filesystem").
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["network_filesystem", "parse_linux_mounts", "parse_mount_listing", "type_at"]

NETWORK_TYPES: Final = frozenset(
    {
        "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fhgfs", "ftp", "glusterfs", "gpfs",
        "lustre", "ncpfs", "ncp", "nfs", "nfs3", "nfs4", "orangefs", "panfs", "pvfs2", "smb", "smb2", "smb3",
        "smbfs", "webdav",
    }
)  # fmt: skip
NETWORK_FUSE: Final = (
    "beegfs", "blobfuse", "ceph", "curlftpfs", "davfs", "gcsfuse", "gluster", "goofys", "juicefs", "mount-s3",
    "moosefs", "mfs", "nfs", "rclone", "s3fs", "seaweedfs", "smb", "sshfs",
)  # fmt: skip
"""The second half of a `fuse.NAME` type begins with one of these."""
DRIVE_REMOTE: Final = 4  # winbase.h, what GetDriveType answers for a mapped network drive
LISTED: Final = re.compile(r"^.+? on (?P<place>/.*) \((?P<kind>[\w.-]+)[,)]")  # a line of `mount` on macOS and the BSDs
ESCAPED: Final = re.compile(r"\\([0-7]{3})")  # space, tab, newline and backslash in /proc/mounts, as octal


def network_filesystem(path: Path) -> str | None:
    """The type of the network filesystem that holds `path`, or None where it is local or cannot be known."""
    real = Path(os.path.realpath(path))
    if sys.platform == "win32":
        return _windows_share(real)
    kind = type_at(str(real), _mounts())
    if kind is None:
        return None
    return kind if is_network_type(kind) else None


def is_network_type(kind: str) -> bool:
    """Whether a filesystem type reaches over a network."""
    family, _, name = kind.lower().partition(".")
    if family in {"fuse", "fuseblk"}:
        return name.startswith(NETWORK_FUSE)
    return family in NETWORK_TYPES


def type_at(path: str, mounts: list[tuple[str, str]]) -> str | None:
    """The type of the mount that a path falls under: the deepest one, and of several on one place the last."""
    found: tuple[int, str] | None = None
    for place, kind in mounts:
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and (found is None or len(place) >= found[0]):
            found = (len(place), kind)
    return None if found is None else found[1]


def parse_linux_mounts(text: str) -> list[tuple[str, str]]:
    """Mount point and type of each line of `/proc/mounts` (fstab(5)); its octal escapes are undone."""
    fields = (line.split(" ") for line in text.splitlines())
    return [(ESCAPED.sub(lambda code: chr(int(code[1], 8)), each[1]), each[2]) for each in fields if len(each) > 2]


def parse_mount_listing(text: str) -> list[tuple[str, str]]:
    """Mount point and type of each line that `mount` prints on macOS and the BSDs, as `share on /mnt (nfs, local)`."""
    return [(found["place"], found["kind"]) for line in text.splitlines() if (found := LISTED.match(line))]


def _mounts() -> list[tuple[str, str]]:
    try:
        table = Path("/proc/mounts")
        if table.exists():
            return parse_linux_mounts(table.read_text(encoding="utf-8", errors="surrogateescape"))
        listing = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True)
        return parse_mount_listing(listing.stdout)
    except (OSError, subprocess.SubprocessError):
        return []


def _windows_share(path: Path) -> str | None:
    if str(path).startswith("\\\\"):
        return "network share"
    if sys.platform == "win32":
        import ctypes

        if ctypes.windll.kernel32.GetDriveTypeW(path.anchor) == DRIVE_REMOTE:
            return "network drive"
    return None
