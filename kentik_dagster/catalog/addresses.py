"""Address ranges that are nobody's on the internet.

Sources: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890). Documentation ranges are left out:
nothing real uses them, and made-up traffic uses them as the internet.
"""

from __future__ import annotations

# An address in one of these is never `external`: it is ours, or it is unknown.
NOT_INTERNET = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)
