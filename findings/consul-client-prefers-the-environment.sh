#!/usr/bin/env bash
# python-consul2 lets the environment win over the arguments it is called with.
# Versions: python-consul2 0.1.5.
# Expected: Consul(host=…, port=…, token=…) talks to that agent with that token; variables are for what was not said.
# Seen: with CONSUL_HTTP_ADDR set, host and port are ignored, and with CONSUL_HTTP_TOKEN set the token is. A program that talks to
#   two agents, or with a token of its own, talks to the environment's one, with the environment's token, without a word.
# Output seen: "asked for: the other agent, token from-argument; reached: agent of the environment, token from-environment"
# Needs: no root, 10 s. Two servers of Python's standard library on 127.0.0.1 stand for the agents.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_with python-consul2==0.1.5
py - >"$work/reached" <<'PYTHON'
import http.server, os, threading, consul
heard = []
def agent(name):
    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append((name, self.headers.get("X-Consul-Token") or ("token=" in self.path and self.path.partition("token=")[2]) or "none"))
            self.send_response(200)
            self.send_header("X-Consul-Index", "1")
            self.end_headers()
            self.wfile.write(b'"127.0.0.1:8300"')
        def log_message(self, *args): pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
named, other = agent("argument's"), agent("environment's")
def ask():
    consul.Consul(host="127.0.0.1", port=named.server_port, token="from-argument").catalog.nodes()
os.environ.pop("CONSUL_HTTP_ADDR", None), os.environ.pop("CONSUL_HTTP_TOKEN", None)
ask()
os.environ.update(CONSUL_HTTP_ADDR=f"127.0.0.1:{other.server_port}", CONSUL_HTTP_TOKEN="from-environment")
ask()
for where, (name, token) in zip(("without the variables", "with both variables set"), heard):
    print(f"{where}: reached the {name} agent, token {token}")
PYTHON
output "$work/reached"
grep -q "^without.* the argument's agent, token from-argument$" "$work/reached" || cannot "the library does not talk to its argument at all."
grep -q "^with both.* the environment's agent, token from-environment$" "$work/reached" || changed "$(tail -n 1 "$work/reached")"
holds "host, port and token of the call were ignored."
