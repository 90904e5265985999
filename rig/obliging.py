"""Servers that do what a stranger asks: an open web proxy, an open SOCKS proxy, an FTP server that connects anywhere.

Run on a target's machine: prints `ready`, serves until killed. Arguments: its address, and the third party that it
talks to whenever somebody asks it to talk to anyone else.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import sys
import threading

PROXY_PORTS, SOCKS_PORT, FTP_PORT = (3128, 8080), 1080, 21
_ASKS_FOR_OTHERS = re.compile(rb"(?:CONNECT |[A-Z]+ https?://)")
_ANSWER = b"HTTP/1.0 404 Not Found\r\nServer: squid\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SOCKS5, _NO_LOGIN, _CONNECT = b"\x05", b"\x00", 1
_FTP_REPLIES = {b"USER": b"331 any password", b"PASS": b"230 welcome", b"PORT": b"200 as you like"}
_SECONDS = 5.0


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    third_party: str


class _Obliging(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(_SECONDS)
        with contextlib.suppress(OSError):
            self.serve()

    def serve(self) -> None:
        raise NotImplementedError

    def talk_to_a_stranger(self) -> None:
        with contextlib.suppress(OSError):
            socket.create_connection((self.server.third_party, 80), timeout=0.2).close()


class _Proxy(_Obliging):
    def serve(self) -> None:
        if _ASKS_FOR_OTHERS.match(self.request.recv(65536)):
            self.talk_to_a_stranger()
        self.request.sendall(_ANSWER)


class _Socks(_Obliging):
    def serve(self) -> None:
        greeting = self.request.recv(512)
        if greeting[:1] == _SOCKS5:
            self.request.sendall(_SOCKS5 + _NO_LOGIN)
            greeting = self.request.recv(512)
        if greeting[1:2] == bytes([_CONNECT]):
            self.talk_to_a_stranger()


class _Ftp(_Obliging):
    def serve(self) -> None:
        self.request.sendall(b"220 ProFTPD 1.2.4 Server\r\n")
        for line in self.request.makefile("rb"):
            command = line[:4].strip().upper()
            if command == b"PORT":  # it does not wait for the file to send
                self.talk_to_a_stranger()
            self.request.sendall(_FTP_REPLIES.get(command, b"500 what?") + b"\r\n")


def main() -> None:
    address, third_party = sys.argv[1:3]
    handlers = [*((port, _Proxy) for port in PROXY_PORTS), (SOCKS_PORT, _Socks), (FTP_PORT, _Ftp)]
    for port, handler in handlers:
        server = _Server((address, port), handler)
        server.third_party = third_party
        threading.Thread(target=server.serve_forever).start()
    print("ready", flush=True)


if __name__ == "__main__":
    main()
