"""Network filesystems are known by their type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.ledger import filesystem
from modelrouter.ledger.filesystem import (
    is_network_type,
    network_filesystem,
    parse_linux_mounts,
    parse_mount_listing,
    type_at,
)

if TYPE_CHECKING:
    from pathlib import Path

LINUX = r"""sysfs /sys sysfs rw 0 0
/dev/vda / ext4 rw,relatime 0 0
systemd-1 /home autofs rw 0 0
files:/export/home /home nfs4 rw,vers=4.2 0 0
//win/share /mnt/with\040space cifs rw 0 0
me@box:/ /home/me/remote fuse.sshfs rw 0 0
tmpfs /home/me/fast tmpfs rw 0 0
broken
"""
MACOS = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//guest@nas._smb._tcp.local/media on /Volumes/media (smbfs, nodev, nosuid, mounted by me)
host:/export on /mnt/on top (nfs)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/book.db", "ext4"),
        ("/home/me/book.db", "nfs4"),
        ("/homework/book.db", "ext4"),
        ("/home", "nfs4"),
        ("/mnt/with space/book.db", "cifs"),
        ("/home/me/remote/a/book.db", "fuse.sshfs"),
        ("/home/me/fast/book.db", "tmpfs"),
    ],
)
def test_the_deepest_and_latest_mount_counts(path: str, kind: str) -> None:
    """A path belongs to the longest mount point above it, and to what was mounted there last."""
    assert type_at(path, parse_linux_mounts(LINUX)) == kind


def test_the_listing_of_macos_is_understood() -> None:
    """Places with spaces and the word `on` in them are places."""
    mounts = parse_mount_listing(MACOS)
    assert type_at("/Volumes/media/book.db", mounts) == "smbfs"
    assert type_at("/mnt/on top/book.db", mounts) == "nfs"
    assert type_at("/Users/me/book.db", mounts) == "apfs"


def test_a_path_under_no_mount_has_no_type() -> None:
    """An empty table knows nothing."""
    assert type_at("/srv", []) is None


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "FUSE.SSHFS"],
)
def test_network_types_are_refused(kind: str) -> None:
    """What reaches over a network is known, in any case of letters."""
    assert is_network_type(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "fuseblk", "fuse.ntfs-3g"])
def test_local_types_are_accepted(kind: str) -> None:
    """Disks of this machine are no networks."""
    assert not is_network_type(kind)


def test_the_folder_of_this_test_is_local(tmp_path: Path) -> None:
    """The real table of this machine is read without complaint."""
    assert network_filesystem(tmp_path / "book.db") is None


def test_a_link_into_a_share_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is where the file really is."""
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    mounts = [("/", "ext4"), (str((tmp_path / "share").resolve()), "nfs")]
    monkeypatch.setattr(filesystem, "_mounts", lambda: mounts)
    assert network_filesystem(tmp_path / "link" / "book.db") == "nfs"
    assert network_filesystem(tmp_path / "book.db") is None
