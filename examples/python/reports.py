"""Tells the host's agent what calls to a server meet, and heeds what it says of it, with nothing but Python.

    mcrpc agent
    python3 examples/python/reports.py /run/mcrpc/reports.sock 127.0.0.1:8000

Connects to the server ten times a second, and prints what came of it.
"""

import random
import socket
import sys
import threading
import time


class Reports:
    """Adds up what calls meet, reports it five times a second, and knows what is in force for each server."""

    def __init__(self, path):
        self.path, self.lock, self.met, self.in_force = path, threading.Lock(), {}, {}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("")  # a name of its own, for the answers
        threading.Thread(target=self.run, daemon=True).start()

    def may_call(self, server):
        """Whether the next call is to be made: a share of them, or one that finds out whether the server works again."""
        with self.lock:
            self.met.setdefault(server, {})
            share, kind = self.in_force.get(server, (1, "normal"))
            if kind == "probe":
                self.in_force[server] = (0, "shielded")
            return kind == "probe" or random.random() < share

    def add(self, server, outcome, seconds):
        """A call has ended: ok, logic (an error of the service's own), failed (no answer) or overloaded (refused)."""
        with self.lock:
            met = self.met.setdefault(server, {})
            met[outcome] = met.get(outcome, 0) + 1
            met["time_us"] = met.get("time_us", 0) + int(seconds * 1e6)

    def run(self):
        while True:
            time.sleep(0.2)
            with self.lock:
                for server, met in self.met.items():
                    self.report(server, met)
                self.hear()

    def report(self, server, met):
        try:
            counts = " ".join(f"{name}={count}" for name, count in met.items())
            self.socket.sendto(f"{server} {counts}".encode(), self.path)
            met.clear()
        except OSError:
            pass  # no agent, or it is busy: the counts go with the next report

    def hear(self):
        try:
            while True:
                for line in self.socket.recv(65536).decode().splitlines():
                    if line.startswith("line "):
                        print(line, file=sys.stderr)
                        continue
                    address, service, share, _level, kind = line.split()
                    words = address if service == "service=0" else f"{address} {service}"
                    self.in_force[words] = (float(share[5:-1]) / 100, kind[5:])
        except BlockingIOError:
            pass


if __name__ == "__main__":
    reports, server = Reports(sys.argv[1]), sys.argv[2]
    host, port = server.split()[0].rsplit(":", 1)
    while True:
        time.sleep(0.1)
        if not reports.may_call(server):
            print("not called", flush=True)
            continue
        began, outcome = time.monotonic(), "ok"
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            outcome = "failed"
        reports.add(server, outcome, time.monotonic() - began)
        print(outcome, flush=True)
