"""Ports by the names of their services, as nmap and IANA's registry have them.

A table of our own: /etc/services differs from machine to machine, and a scan is to mean the same on each.
"""

from __future__ import annotations

_TABLE = """
tcpmux 1 echo 7 discard 9 systat 11 daytime 13 netstat 15 qotd 17 chargen 19 ftp-data 20 ftp 21 ssh 22 telnet 23
smtp 25 time 37 whois 43 tacacs 49 domain 53 bootps 67 bootpc 68 tftp 69 gopher 70 finger 79 http 80 kerberos 88
kerberos-sec 88 iso-tsap 102 pop3 110 rpcbind 111 sunrpc 111 auth 113 ident 113 nntp 119 ntp 123 epmap 135 msrpc 135
netbios-ns 137 netbios-dgm 138 netbios-ssn 139 imap 143 imap2 143 snmp 161 snmptrap 162 snmp-trap 162 xdmcp 177
bgp 179 irc 194 smux 199 ldap 389 svrloc 427 https 443 snpp 444 microsoft-ds 445 kpasswd 464 kpasswd5 464 smtps 465
submissions 465 isakmp 500 exec 512 biff 512 login 513 who 513 shell 514 syslog 514 printer 515 talk 517 ntalk 518
route 520 rip 520 uucp 540 klogin 543 kshell 544 dhcpv6-client 546 dhcpv6-server 547 afp 548 afpovertcp 548 rtsp 554
nntps 563 submission 587 asf-rmcp 623 ipp 631 ldaps 636 ldp 646 kerberos-adm 749 domain-s 853 iscsi 860 rsync 873
ftps-data 989 ftps 990 telnets 992 imaps 993 ircs 994 pop3s 995 socks 1080 rmiregistry 1099 openvpn 1194
lotusnotes 1352 lotusnote 1352 ms-sql-s 1433 ms-sql-m 1434 oracle 1521 l2tp 1701 l2f 1701 pptp 1723 radius 1812
radius-acct 1813 mqtt 1883 upnp 1900 ssdp 1900 cisco-sccp 2000 nfs 2049 zookeeper 2181 docker 2375 docker-s 2376
cvspserver 2401 dict 2628 gpsd 2947 squid-http 3128 icpv2 3130 iscsi-target 3260 mysql 3306 ms-wbt-server 3389
stun 3478 nut 3493 distcc 3632 distccd 3632 daap 3689 svn 3690 sieve 4190 epmd 4369 ipsec-nat-t 4500 nat-t-ike 4500
iax 4569 radmin 4899 radmin-port 4899 munin 4949 sip 5060 sip-tls 5061 xmpp-client 5222 xmpp-server 5269 mdns 5353
zeroconf 5353 llmnr 5355 postgresql 5432 nrpe 5666 nsca 5667 amqps 5671 amqp 5672 coap 5683 vnc-http 5800 vnc 5900
couchdb 5984 wsman 5985 wsmans 5986 x11 6000 redis 6379 syslog-tls 6514 sane-port 6566 ircd 6667 ircs-u 6697
afs3-fileserver 7000 ajp13 8009 http-alt 8080 http-proxy 8080 puppet 8140 https-alt 8443 secure-mqtt 8883
jetdirect 9100 bacula-dir 9101 bacula-fd 9102 bacula-sd 9103 git 9418 webmin 10000 snet-sensor-mgmt 10000
zabbix-agent 10050 zabbix-trapper 10051 amanda 10080 memcache 11211 memcached 11211 hkp 11371 dnp 20000 mongod 27017
mongodb 27017 bacnet 47808
"""
_WORDS = _TABLE.split()
PORT_OF_SERVICE: dict[str, int] = dict(zip(_WORDS[::2], map(int, _WORDS[1::2]), strict=True))
