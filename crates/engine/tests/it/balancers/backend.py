"""What stands behind a load balancer: says its name, and over TLS whether it is ready.

Arguments: name, address, port, folder. With a certificate in the folder and the API's port it speaks TLS. It is not ready
while there is a file NAME.unready in the folder. `/drip` says a byte twenty times a second for three seconds.
"""

import http.server
import os
import ssl
import sys
import time

name, address, port, folder = sys.argv[1:]


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        ready = not os.path.exists(f"{folder}/{name}.unready")
        if self.path == "/drip":
            return self.drip()
        body = name.encode()
        self.send_response(200 if ready or self.path != "/readyz" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "60")
        self.end_headers()
        for _ in range(60):
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    # Whoever only opens the port, as a check does, keeps nobody else waiting.
    request_queue_size = 128

    def finish_request(self, request, client):
        if port == "6443":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(f"{folder}/certificate", f"{folder}/key")
            request = tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client)

    def handle_error(self, *_):
        pass


Server((address, int(port)), Backend).serve_forever()
