"""Calls a service through the host's proxy, by frames of the native protocol (docs/wire-format.md), with nothing but Python.

    mcrpc agent --proxy
    python3 examples/python/native_client.py /run/mcrpc/proxy.sock Echo mcrpc.example.Echo.Echo hello

A further argument says how many calls to make, of one user each. Messages are bytes: what they mean, caller and service know.
"""

import socket
import struct
import sys

HEADER = struct.Struct("<BBBBIIiQIHH")  # magic, version and kind, flags, priority, lengths, ids, ...
MAGIC, REQUEST, RESPONSE = 0xC7, 0x11, 0x12
CALLER, SERVICE, ERROR_TEXT, REJECT_STATE = 1, 2, 6, 7


def method_id(name):
    """FNV-1a of the method's full name, as the header's signed field has it."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value - (value >> 31 << 32)


def tags(metadata):
    """The metadata's values by their tags."""
    while metadata:
        tag, length, start = metadata[0], metadata[1], 2
        if length == 0xFF:
            length, start = struct.unpack_from("<H", metadata, 2)[0], 4
        yield tag, metadata[start:start + length]
        metadata = metadata[start + length:]


def call(stream, call_id, service, method, payload, uin=0, timeout_ms=1000):
    """The status, 0 if all is well; the reply or why there is none; and for how long the service is to be left alone."""
    names = [(CALLER, b"python"), (SERVICE, service.encode())]
    metadata = b"".join(bytes([tag, len(name)]) + name for tag, name in names)
    stream.write(HEADER.pack(MAGIC, REQUEST, 0, 0, len(metadata) + len(payload), call_id, method_id(method), uin,
                             timeout_ms, 0, len(metadata)) + metadata + payload)
    stream.flush()
    while True:  # what is no answer to this call is not for us
        _, kind, _, _, body_len, answered, status, _, _, _, metadata_len = HEADER.unpack(stream.read(HEADER.size))
        body = stream.read(body_len)
        if (kind, answered) == (RESPONSE, call_id):
            break
    said = dict(tags(body[:metadata_len]))
    hold_ms = struct.unpack_from("<H", said.get(REJECT_STATE, b"\0\0"))[0]
    return status, said.get(ERROR_TEXT, b"") if status else body[metadata_len:], hold_ms


if __name__ == "__main__":
    socket_path, service, method, message = sys.argv[1:5]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(socket_path)
    stream = connection.makefile("rwb")
    for number in range(1, (int(sys.argv[5]) if len(sys.argv) > 5 else 1) + 1):
        print(*call(stream, number, service, method, message.encode(), number), flush=True)
