"""Addresses: which may be called in the clear, and whose they are. The wire must not contradict the facts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from modelrouter.core.facts import SELF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelrouter.catalog.templates import OperatorTemplate

__all__ = ["Address", "HostOwners", "address_fault", "host_fault", "host_of", "is_loopback", "is_private"]

HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
PLACEHOLDER: Final = re.compile(r"\\{[a-z_]+\\}")
PRIVATE_ENDINGS: Final = (
    ".internal",
    ".intranet",
    ".lan",
    ".local",
    ".localdomain",
    ".localhost",
    ".home.arpa",
    ".private",
    ".svc",
)
"""Endings that no public name server answers for: RFC 6762, RFC 8375, ICANN's `internal`, and common use."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a base URL that decide where a call goes."""

    scheme: str
    host: str


def host_of(base_url: str) -> Address | None:
    """Scheme and host of a base URL, in lower case; None if it is none."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return None
    return Address(parts.scheme, parts.hostname.lower().rstrip("."))


def address_fault(base_url: str) -> str | None:
    """What is wrong with a base URL as text, or None. Its user part is never repeated: it may hold a secret."""
    if "@" in base_url.partition("://")[2].partition("/")[0]:
        return "an address with a user or password in it: remove them, and name the secret under `key`"
    if re.search(r"[\s\x00-\x1f\\]", base_url):
        return "an address with blanks, control characters or a backslash: write it without"
    if "?" in base_url or "#" in base_url:
        return "an address with `?` or `#`: write it up to the path, as `https://host/v1`"
    found = host_of(base_url)
    if found is None:
        return f"`{base_url}` is no address: write it as `https://host/v1`"
    return host_fault(found.host)


def host_fault(host: str) -> str | None:
    """What is wrong with a host name, or None."""
    if _ip(host) is not None or (HOST.fullmatch(host.lower()) and len(host) <= 253):
        return None
    return f"`{host}` is no host: write its name alone, without scheme, port and path"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    found = _ip(host)
    return host == "localhost" or host.endswith(".localhost") or (found is not None and found.is_loopback)


def is_private(host: str) -> bool:
    """Whether a host can only be one of a private network: a private IP, a bare name, or a private ending."""
    found = _ip(host)
    if found is not None:
        return (found.is_private or found.is_link_local) and not found.is_unspecified
    return "." not in host or host.endswith(PRIVATE_ENDINGS)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class HostOwners:
    """Which operator's endpoints a host belongs to, by all templates."""

    def __init__(self, templates: Mapping[str, OperatorTemplate]) -> None:
        self._owners: list[tuple[re.Pattern[str], str]] = []
        self._operators = {template.id: template.operator for template in templates.values()}
        for template in templates.values():
            if template.operator == SELF:
                continue
            hosts = {host for endpoint in template.endpoints.values() for host in endpoint.wire.hosts}
            self._owners.extend((_pattern(host), template.id) for host in sorted(hosts))

    def of(self, host: str) -> list[str]:
        """Ids of the templates that own a host: one operator may have several at the same."""
        return [owner for pattern, owner in self._owners if pattern.fullmatch(host)]

    def foreign(self, hosts: Iterable[str], own: str | None) -> tuple[str, str] | None:
        """The first host that belongs to another operator, with that operator."""
        for host in sorted(hosts):
            for owner in self.of(host):
                if self._operators[owner] != self._operators.get(own or ""):
                    return host, owner
        return None


def _pattern(host: str) -> re.Pattern[str]:
    name = host.lower().partition(":")[0]
    return re.compile(PLACEHOLDER.sub("[a-z0-9-]+", re.escape(name)))
