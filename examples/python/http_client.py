"""Calls a service through the host's proxy, by HTTP and JSON, with nothing but Python.

    mcrpc agent --proxy --proxy-protos examples/python/proto
    python3 examples/python/http_client.py /run/mcrpc/proxy-http.sock Echo mcrpc.example.Echo.Echo '{"text": "hello"}'

A further argument says how many calls to make, of one user each.
"""

import http.client
import json
import socket
import sys


class Proxy(http.client.HTTPConnection):
    """A connection to the proxy's socket, used for one call at a time."""

    def __init__(self, path):
        super().__init__("proxy")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def call(self, service, method, message, uin=0, timeout_ms=1000):
        """The reply as a dict; raises Failed, which has the reason."""
        headers = {"content-type": "application/json", "mcrpc-uin": uin, "mcrpc-timeout-ms": timeout_ms,
                   "mcrpc-caller": "python"}
        self.request("POST", f"/{service}/{'/'.join(method.rsplit('.', 1))}", json.dumps(message), headers)
        response = self.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            raise Failed(body)
        return body


class Failed(Exception):
    """Why there is no reply: status, name, text, and when to come back."""

    def __init__(self, body):
        super().__init__(f"{body['name']} ({body['status']}): {body['text']}")
        self.status, self.retry_after_ms = body["status"], body["retry_after_ms"]


if __name__ == "__main__":
    socket_path, service, method, message = sys.argv[1:5]
    proxy = Proxy(socket_path)
    for uin in range(int(sys.argv[5]) if len(sys.argv) > 5 else 1):
        try:
            print(json.dumps(proxy.call(service, method, json.loads(message), uin + 1)), flush=True)
        except Failed as failed:
            print(failed, f"retry_after_ms={failed.retry_after_ms}", flush=True)
