#!/usr/bin/env bash
# python-nomad puts job ids into URLs as they are, so a job "web#blue" is read, stopped and scaled as "web".
# Versions: python-nomad 2.1.0.
# Expected: an id that Nomad takes (any character but space and NUL) names that job in each call, quoted in the URL as it must be.
# Seen: what follows # is a fragment to the HTTP library and never sent: job.deregister_job("web#blue") asks Nomad to stop job "web".
#   What follows ? becomes a query parameter. Only the body of a registration names the right job.
# Output seen: "deregister_job('web#blue'): DELETE /v1/job/web", "get_job('web?blue'): GET /v1/job/web?blue"
# Needs: no root, 10 s. A server of Python's standard library on 127.0.0.1 writes down what it is asked.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_with python-nomad==2.1.0
py - >"$work/asked" <<'PYTHON'
import http.server, threading, nomad
class Listener(http.server.BaseHTTPRequestHandler):
    def answer(self):
        print(self.command, self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
    do_GET = do_DELETE = do_POST = do_PUT = answer
    def log_message(self, *args): pass
with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = nomad.Nomad(host="127.0.0.1", port=server.server_port)
    client.job.deregister_job("web#blue")
    client.job.get_job("web?blue")
    server.shutdown()
PYTHON
output "$work/asked"
stopped=$(sed -n 1p "$work/asked")
[[ "$stopped" = "DELETE /v1/job/web" || "$stopped" = "DELETE /v1/job/web?"* ]] || changed "deregister_job('web#blue') asked for $stopped."
[[ "$(sed -n 2p "$work/asked")" = "GET /v1/job/web?"*blue* ]] || changed "get_job('web?blue') asked for $(sed -n 2p "$work/asked")."
holds "to stop 'web#blue' it asked for: $stopped."
