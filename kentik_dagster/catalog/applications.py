"""Applications by the port that serves them: names of the IANA registry, for the ports that networks see most."""

from __future__ import annotations

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

# fmt: off
APPLICATIONS = (
    (TCP, 20, "ftp-data"), (TCP, 21, "ftp"),    (TCP, 22, "ssh"),       (TCP, 23, "telnet"),    (TCP, 25, "smtp"),
    (TCP, 53, "domain"),   (UDP, 53, "domain"), (UDP, 67, "bootps"),    (TCP, 80, "http"),      (TCP, 88, "kerberos"),
    (UDP, 88, "kerberos"), (TCP, 110, "pop3"),  (UDP, 123, "ntp"),      (TCP, 135, "epmap"),    (TCP, 143, "imap"),
    (UDP, 161, "snmp"),    (TCP, 179, "bgp"),   (TCP, 389, "ldap"),     (TCP, 443, "https"),    (UDP, 443, "https"),
    (TCP, 445, "microsoft-ds"), (UDP, 500, "isakmp"), (UDP, 514, "syslog"), (TCP, 587, "submission"), (TCP, 636, "ldaps"),
    (TCP, 853, "domain-s"), (TCP, 993, "imaps"), (TCP, 995, "pop3s"),   (TCP, 1433, "ms-sql-s"), (TCP, 1521, "oracle"),
    (TCP, 2049, "nfs"),    (TCP, 3306, "mysql"), (TCP, 3389, "ms-wbt-server"), (UDP, 4500, "ipsec-nat-t"),
    (UDP, 4789, "vxlan"),  (TCP, 5432, "postgresql"), (TCP, 5671, "amqps"), (TCP, 5672, "amqp"), (TCP, 5985, "wsman"),
    (TCP, 6379, "redis"),  (TCP, 8080, "http-alt"), (TCP, 8443, "pcsync-https"), (TCP, 9092, "kafka"),
    (TCP, 9200, "wap-wsp"), (TCP, 11211, "memcache"), (TCP, 27017, "mongodb"),
)
# fmt: on

# Protocols without ports are applications of their own.
PROTOCOL_NAMES = {ICMP: "icmp", 2: "igmp", 47: "gre", 50: "esp", ICMPV6: "ipv6-icmp", 89: "ospf"}
