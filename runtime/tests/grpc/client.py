"""What an unmodified gRPC client sees of a server: client.py CASE ADDRESS. Messages are bytes: the services have no .proto."""

import sys
import time

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
PATIENCE_S = 20


class Client:
    def __init__(self, address, **options):
        self.channel = grpc.insecure_channel(address, options=ANY_SIZE, **options)

    def method(self, name):
        service, method = name.rsplit(".", 1)
        return self.channel.unary_unary(f"/{service}/{method}")

    def call(self, name, payload=b"", timeout=PATIENCE_S, **more):
        return self.method(name)(payload, timeout=timeout, **more)

    def fail(self, name, payload=b"", **more):
        """The failure of a call that has to fail."""
        try:
            answer = self.call(name, payload, **more)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"{name} answered {answer!r}")

    def until(self, name, wanted):
        """Asks until the answer is the wanted one."""
        end = time.monotonic() + PATIENCE_S
        while (answer := self.call(name)) != wanted:
            assert time.monotonic() < end, f"{name} answers {answer!r}, and not {wanted!r}"


def trailer(error, key):
    return dict(error.trailing_metadata()).get(key)


def retry_delay_ms(error):
    """What RetryInfo says; None if there is none."""
    status = rpc_status.from_call(error)
    if status is None:
        return None
    assert status.code == error.code().value[0] and status.message == error.details(), status
    info = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info), status
    return info.retry_delay.ToMilliseconds()


def unary(client):
    for method in ("Say", "Inline", "Block"):
        for payload in (b"", b"hello", bytes(range(256)) * 1_000):
            assert client.call(f"echo.Echo.{method}", payload) == payload, method
    futures = [(n, client.method("echo.Echo.Say").future(str(n).encode())) for n in range(500)]
    for n, future in futures:
        assert future.result(PATIENCE_S) == str(n).encode()


def large(client):
    payload = bytes(range(256)) * (40 << 12)  # 40 MiB
    assert client.call("echo.Echo.Say", payload) == payload
    futures = [client.method("echo.Echo.Inline").future(payload[: 8 << 20]) for _ in range(4)]
    assert all(future.result(PATIENCE_S) == payload[: 8 << 20] for future in futures)


def too_large(client):
    error = client.fail("echo.Echo.Say", bytes(2 << 20))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert "1048576" in error.details() and retry_delay_ms(error) is None
    assert client.call("echo.Echo.Say", b"small") == b"small", "the connection is still good"


def compressed(client):
    error = client.fail("echo.Echo.Say", b"x" * 1_000, compression=grpc.Compression.Gzip)
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    assert client.call("echo.Echo.Say", b"plain") == b"plain"


def context(client):
    metadata = [
        ("mc-uin", "2709160720"),
        ("mc-business-id", "12"),
        ("mc-priority", "3"),
        ("mc-caller", "mmproxy"),
        ("mc-cookie-bin", b"\x00cookie\xff"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    for method in ("Who", "WhoBlock"):
        said = client.call(f"echo.Echo.{method}", timeout=5, metadata=metadata).decode().split()
        assert said[:5] == ["mmproxy", "2709160720", "12", "3", "0af7651916cd43dd8448eb211c80319c"], said
        assert said[5] == "00636f6f6b6965ff", said
        assert 0 < int(said[6]) <= 5_100, f"the deadline is that of the call, rounded by grpcio: {said}"
    said = client.call("echo.Echo.Who", timeout=None).decode().split()
    assert said[1:6] == ["0", "0", "0", "-", "-"], said


def failures(client):
    cases = [
        ("3", grpc.StatusCode.INVALID_ARGUMENT),
        ("5", grpc.StatusCode.NOT_FOUND),
        ("77", grpc.StatusCode.UNKNOWN),
        ("-2", grpc.StatusCode.INVALID_ARGUMENT),
        ("-206", grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("-224", grpc.StatusCode.UNAVAILABLE),
        ("-236", grpc.StatusCode.DEADLINE_EXCEEDED),
    ]
    for status, code in cases:
        for method in ("Fail", "FailInline"):
            error = client.fail(f"echo.Echo.{method}", status.encode())
            assert (error.code(), trailer(error, "mc-status")) == (code, status), error
            assert error.details() == "50 % für dich", error
    assert client.fail("echo.Echo.Panic").code() == grpc.StatusCode.INTERNAL
    for name in ("echo.Echo.Sing", "grpc.health.v1.Health.Watch", "x.Y"):
        error = client.fail(name)
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


def overload(client):
    held = client.method("hold.Hold.Limited").future(b"")
    client.until("hold.Hold.Running", b"1")
    error = client.fail("hold.Hold.Limited")
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert (retry_delay_ms(error), trailer(error, "grpc-retry-pushback-ms")) == (300, "300"), error
    assert trailer(error, "mc-status") == "-225", error
    client.call("hold.Hold.Release")
    assert held.result(PATIENCE_S) == b"held"


def deadline(client):
    error = client.fail("hold.Hold.Forever", timeout=None)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert "deadline came while the handler waited" in error.details(), "it is the server's own that came"
    error = client.fail("hold.Hold.Forever", timeout=0.05)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def cancel(client):
    for dropped in (b"1", b"2", b"3"):
        future = client.method("hold.Hold.Forever").future(b"")
        client.until("hold.Hold.Running", b"1")
        future.cancel()
        client.until("hold.Hold.Dropped", dropped)
    client.until("hold.Hold.Running", b"0")


def disconnect(client):
    other = Client(sys.argv[2])
    held = other.method("hold.Hold.Forever").future(b"")
    client.until("hold.Hold.Running", b"1")
    other.channel.close()
    client.until("hold.Hold.Dropped", b"1")
    assert held.code() == grpc.StatusCode.CANCELLED


def drain(client):
    held = client.method("hold.Hold.Limited").future(b"")
    client.until("hold.Hold.Running", b"1")
    print("held", flush=True)
    assert held.result(PATIENCE_S) == b"held", "what was under way is answered"
    error = client.fail("echo.Echo.Say", timeout=5)
    assert error.code() == grpc.StatusCode.UNAVAILABLE, error


def health(client):
    stub = health_pb2_grpc.HealthStub(client.channel)
    for service in ("", "echo.Echo"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    try:
        stub.Check(health_pb2.HealthCheckRequest(service="echo.Ech"))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error


def reflection(client):
    known = ProtoReflectionDescriptorDatabase(client.channel)
    assert list(known.get_services()) == ["described.Echo", "echo.Echo"]
    for symbol in ("described.Echo", "described.Echo.Say", "described.Text", "described.Text.Part"):
        assert known.FindFileContainingSymbol(symbol).name == "described.proto", symbol
    assert known.FindFileByName("described.proto").package == "described"
    for find, name in ((known.FindFileContainingSymbol, "echo.Echo"), (known.FindFileByName, "no.proto")):
        try:
            find(name)
        except KeyError:
            continue
        raise AssertionError(f"{name} was found")


if __name__ == "__main__":
    globals()[sys.argv[1]](Client(sys.argv[2]))
    print("done")
