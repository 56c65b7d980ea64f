"""Decoder and encoder of the native wire format, written from docs/wire-format.md alone.

Run as `wire_format.py DIRECTORY` it reads the golden vectors under the directory as their README.md says and
compares what it makes of them: fed whole, byte by byte and at every split in two, and written back.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

MAGIC = 0xC7
VERSION = 1
HEADER = struct.Struct("<BBBBIIIQIHH")
CHECKSUM = struct.Struct("<I")

FLAG_CHECKSUM = 0x01
FLAG_MUST_UNDERSTAND = 0x80

TAG_MUST_UNDERSTAND = 0x80
TAG_APPLICATION = 0x40
TAG_TRACE = 0x20
LONG_LENGTH = 0xFF


class Kind(IntEnum):
    """The kinds of frames; 9 to 15 are not known yet, and 0 is none."""

    REQUEST = 1
    RESPONSE = 2
    ONE_WAY = 3
    HELLO = 4
    PING = 5
    PONG = 6
    GO_AWAY = 7
    CANCEL = 8


KNOWN_KINDS = frozenset(Kind)
WITH_PAYLOAD = {Kind.REQUEST, Kind.RESPONSE, Kind.ONE_WAY}
WITH_METADATA = WITH_PAYLOAD | {Kind.HELLO, Kind.GO_AWAY}
REFUSED_ALONE = {Kind.REQUEST, Kind.RESPONSE, Kind.ONE_WAY, Kind.CANCEL}


class KnownTag(NamedTuple):
    """A tag of the document's table: its keys in a listing, and how its value is read."""

    form: str  # name, text, bytes or fields
    keys: tuple[str, ...]
    layout: str = "<"
    may_repeat: bool = False


KNOWN_TAGS = {
    0x01: KnownTag("name", ("caller",)),
    0x02: KnownTag("name", ("service",)),
    0x03: KnownTag("name", ("method",), may_repeat=True),
    0x04: KnownTag("name", ("zone",)),
    0x05: KnownTag("fields", ("features",), "<I"),
    0x06: KnownTag("text", ("error_text",)),
    0x07: KnownTag("fields", ("reject_hold_ms", "reject_share_per_10k"), "<HH"),
    0x08: KnownTag("fields", ("withheld_count", "withheld_key"), "<II"),
    0x09: KnownTag("fields", ("compression_algorithm", "compression_raw_len"), "<BI"),
    0x0A: KnownTag("fields", ("peer_max_body_len", "peer_max_open_calls"), "<II"),
    TAG_TRACE: KnownTag("fields", ("trace_id", "span_id"), "<16s8s"),
    0x21: KnownTag("fields", ("origin_budget_ms",), "<I"),
    0x22: KnownTag("fields", ("call_graph_id",), "<Q"),
    0x23: KnownTag("bytes", ("ticket",)),
    0x24: KnownTag("bytes", ("cookie",)),
}


@dataclass
class Limits:
    """What a receiver accepts."""

    max_body_len: int = 64 << 20
    max_metadata_len: int = 8192
    max_tags: int = 64
    max_name_len: int = 255
    max_open_calls: int = 0xFFFFFFFF
    needs_checksum: int = 0


@dataclass(frozen=True)
class Header:
    """A header's fields in their order; `method_id` and `budget_ms` are status and cursor in a response."""

    kind: int
    flags: int = 0
    priority: int = 0
    body_len: int = 0
    call_id: int = 0
    method_id: int = 0
    uin: int = 0
    budget_ms: int = 0
    business_id: int = 0
    metadata_len: int = 0

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Read the fields; magic and version have been looked at."""
        _, version_and_kind, *others = HEADER.unpack(data)
        return cls(version_and_kind & 0x0F, *others)

    def encode(self) -> bytes:
        """Write the header."""
        return HEADER.pack(
            MAGIC, VERSION << 4 | self.kind, self.flags, self.priority, self.body_len, self.call_id,
            self.method_id, self.uin, self.budget_ms, self.business_id, self.metadata_len,
        )  # fmt: skip

    @property
    def is_known(self) -> bool:
        """Whether the kind is one of the document's."""
        return self.kind in KNOWN_KINDS

    @property
    def frame_len(self) -> int:
        """The length of the whole frame, with header and checksum."""
        return HEADER.size + self.body_len + (CHECKSUM.size if self.flags & FLAG_CHECKSUM else 0)


class Tag(NamedTuple):
    """A tag as it came: its byte with all bits, and its whole value."""

    byte: int
    value: bytes

    @property
    def known(self) -> KnownTag | None:
        """Its meaning, if the document has one."""
        return KNOWN_TAGS.get(self.byte & ~TAG_MUST_UNDERSTAND)


@dataclass(frozen=True)
class Frame:
    """A frame that is handed out or, if `refused` names a status, refused alone; that has only its header."""

    header: Header
    tags: tuple[Tag, ...] = ()
    payload: bytes = b""
    checksum: bytes = b""
    refused: str = ""


class Note(NamedTuple):
    """What else happens to a stream: `skipped` LENGTH, `broken` STATUS or `incomplete` LENGTH."""

    key: str
    value: int | str


Event = Frame | Note


class BreaksStreamError(Exception):
    """The stream is broken; the argument is the status's name."""


class RefusesFrameError(Exception):
    """The frame is refused; the argument is the status's name."""


class Decoder:
    """Reads a stream of frames from pieces of any size."""

    def __init__(self, limits: Limits) -> None:
        """Begin a stream of which nothing has come yet."""
        self.limits = limits
        self.open_calls = 0  # who answers a request takes one off
        self._buffer = bytearray()
        self._broken = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes, and return what they bring to its end. Behind a break nothing is read."""
        self._buffer += data
        events: list[Event] = []
        while not self._broken:
            try:
                event: Event | None = self._next()
            except BreaksStreamError as fault:
                self._broken = True
                event = Note("broken", str(fault))
            if event is None:
                break
            events.append(event)
        return events

    def finish(self) -> list[Event]:
        """The stream has ended."""
        return [Note("incomplete", len(self._buffer))] if self._buffer and not self._broken else []

    def _next(self) -> Event | None:
        """Read the next frame, or nothing while it is not whole."""
        if len(self._buffer) < HEADER.size:
            return None
        check_first_bytes(self._buffer)
        header = Header.decode(bytes(self._buffer[: HEADER.size]))
        self._check_stream(header)
        status = self._refusal(header) if header.is_known else ""
        if status and header.kind not in REFUSED_ALONE:
            raise BreaksStreamError(status)
        # Its checksum decides whether a refused frame is listed, so it is handed out with its last byte, as all others.
        if len(self._buffer) < header.frame_len:
            return None
        data = bytes(self._buffer[: header.frame_len])
        del self._buffer[: header.frame_len]
        check_checksum(header, data)
        return Frame(header, refused=status) if status else self._read(header, data)

    def _check_stream(self, header: Header) -> None:
        """Look at what breaks the stream before the body has come."""
        if self.limits.needs_checksum and not header.flags & FLAG_CHECKSUM:
            raise BreaksStreamError("checksum_missing")
        if header.body_len > self.limits.max_body_len:
            raise BreaksStreamError("body_too_long")
        if header.kind == 0 or (not header.is_known and header.flags & FLAG_MUST_UNDERSTAND):
            raise BreaksStreamError("bad_kind")
        if header.is_known and header.metadata_len > header.body_len:
            raise BreaksStreamError("bad_metadata_length")

    def _refusal(self, header: Header) -> str:
        """Return the status for which the header of a known kind is refused, or nothing."""
        if header.flags & FLAG_MUST_UNDERSTAND:
            return "unsupported_flag"
        if header.metadata_len > self.limits.max_metadata_len:
            return "metadata_too_long"
        if header.kind == Kind.REQUEST and self.open_calls >= self.limits.max_open_calls:
            return "too_many_open_calls"
        return ""

    def _read(self, header: Header, data: bytes) -> Event:
        """Read a whole frame whose checksum fits and that its header does not refuse."""
        if not header.is_known:
            return Note("skipped", len(data))
        body_end = HEADER.size + header.body_len
        body, checksum = data[HEADER.size : body_end], data[body_end:]
        tags: tuple[Tag, ...] = ()
        if header.kind in WITH_METADATA:
            try:
                tags = decode_tags(body[: header.metadata_len], self.limits)
            except RefusesFrameError as fault:
                if header.kind not in REFUSED_ALONE:
                    raise BreaksStreamError(str(fault)) from fault
                return Frame(header, refused=str(fault))
        self.open_calls += header.kind == Kind.REQUEST
        payload = body[header.metadata_len :] if header.kind in WITH_PAYLOAD else b""
        return Frame(header, tags, payload, checksum)


def check_first_bytes(data: bytearray) -> None:
    """Look at magic and version, without which nobody knows what the header says."""
    if data[0] != MAGIC:
        raise BreaksStreamError("bad_magic")
    if data[1] >> 4 != VERSION:
        raise BreaksStreamError("bad_version")


def check_checksum(header: Header, data: bytes) -> None:
    """Compare the checksum of a whole frame, whatever else is wrong with it."""
    body_end = HEADER.size + header.body_len
    if header.flags & FLAG_CHECKSUM and data[body_end:] != CHECKSUM.pack(zlib.crc32(data[:body_end])):
        raise BreaksStreamError("bad_checksum")


def decode_tags(metadata: bytes, limits: Limits) -> tuple[Tag, ...]:
    """Read the tags of a frame, each looked at before the next."""
    tags: list[Tag] = []
    seen: set[KnownTag] = set()
    rest = metadata
    while rest:
        tag, rest = split_tag(rest)
        if len(tags) >= limits.max_tags:
            raise RefusesFrameError("too_many_tags")
        known = tag.known
        if known is None and tag.byte & TAG_MUST_UNDERSTAND and not tag.byte & TAG_APPLICATION:
            raise RefusesFrameError("unsupported_tag")
        if known is not None:
            if known in seen and not known.may_repeat:
                raise RefusesFrameError("repeated_tag")
            check_value(known, tag.value, limits)
            seen.add(known)
        tags.append(tag)
    return tuple(tags)


def split_tag(data: bytes) -> tuple[Tag, bytes]:
    """Split the first tag from the rest."""
    start = 2
    length = data[1] if len(data) > 1 else 0
    if length == LONG_LENGTH:
        start = 4
        length = int.from_bytes(data[2:4], "little")
    tag = Tag(data[0], data[start : start + length])
    is_cut = len(data) < start + length
    is_not_shortest = start == 4 and length < LONG_LENGTH
    if is_cut or is_not_shortest or not tag.byte & ~TAG_MUST_UNDERSTAND:
        raise RefusesFrameError("bad_tag")
    return tag, data[start + length :]


def check_value(known: KnownTag, value: bytes, limits: Limits) -> None:
    """Look at the value of a known tag."""
    if len(value) < struct.calcsize(known.layout):
        raise RefusesFrameError("bad_tag")
    if known.form == "name":
        if len(value) > limits.max_name_len:
            raise RefusesFrameError("name_too_long")
        if not value or not all(0x21 <= byte <= 0x7E for byte in value):
            raise RefusesFrameError("bad_name")
    elif known.form == "text":
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise RefusesFrameError("bad_text") from fault


def encode_frame(frame: Frame) -> bytes:
    """Write a frame; the lengths and the checksum are counted anew."""
    metadata = b"".join(encode_tag(tag) for tag in frame.tags)
    body = metadata + frame.payload
    header = replace(frame.header, body_len=len(body), metadata_len=len(metadata))
    data = header.encode() + body
    return data + CHECKSUM.pack(zlib.crc32(data)) if header.flags & FLAG_CHECKSUM else data


def encode_tag(tag: Tag) -> bytes:
    """Write a tag, its length in the shortest form."""
    length = len(tag.value)
    if length < LONG_LENGTH:
        return bytes((tag.byte, length)) + tag.value
    return struct.pack("<BBH", tag.byte, LONG_LENGTH, length) + tag.value


def list_event(event: Event) -> Iterator[str]:
    """What a vector file says: all that is neither 0 nor absent, in the order of the stream."""
    if isinstance(event, Note):
        yield f"{event.key} {event.value}"
        return
    yield from list_header(event.header)
    if event.refused:
        yield f"refused {event.refused}"
    for tag in event.tags:
        yield from list_tag(tag)
    if event.payload:
        yield f"payload {event.payload.hex()}"
    if event.checksum:
        yield f"checksum {event.checksum.hex()}"


def list_header(header: Header) -> Iterator[str]:
    """The kind, and the fields that are not 0, whether the kind has a use for them or not."""
    yield f"frame {Kind(header.kind).name.lower()}"
    for key, value in vars(header).items():
        if key == "kind" or value == 0:
            continue
        if header.kind == Kind.RESPONSE and key == "method_id":
            yield f"status {value - (1 << 32) if value >> 31 else value}"
        elif header.kind == Kind.RESPONSE and key == "budget_ms":
            yield f"cursor {value}"
        else:
            yield f"{key} {value}"


def list_tag(tag: Tag) -> Iterator[str]:
    """The tag's keys; numbers that are 0 are listed, but for the trace's flags."""
    if tag.known is None:
        yield f"tag.0x{tag.byte:02x} {tag.value.hex()}" if tag.value else f"tag.0x{tag.byte:02x}"
    elif tag.known.form == "fields":
        yield from list_fields(tag.known, tag.value)
    elif tag.value:
        is_bytes = tag.known.form == "bytes"
        yield f"tag.{tag.known.keys[0]} {tag.value.hex() if is_bytes else tag.value.decode('utf-8')}"


def list_fields(known: KnownTag, value: bytes) -> Iterator[str]:
    """The fields of a value, and the trace's flags behind it, whose bit 0 is ignored."""
    for key, part in zip(known.keys, struct.unpack_from(known.layout, value), strict=True):
        yield f"tag.{key} {part.hex() if isinstance(part, bytes) else part}"
    if known is KNOWN_TAGS[TAG_TRACE] and value[24:] and value[24] & ~1:
        yield f"tag.trace_flags {value[24] & ~1}"


@dataclass
class Vector:
    """A vector file: the receiver's limits, the stream, and what is to be made of it."""

    limits: Limits = field(default_factory=Limits)
    expected: list[str] = field(default_factory=list)
    stream: bytes = b""


def read_vector(path: Path) -> Vector:
    """Read a vector file; a ValueError says what is wrong with it."""
    vector = Vector()
    for text in path.read_bytes().decode("utf-8").split("\n"):
        if text.startswith("> limit."):
            set_limit(vector, *text.removeprefix("> limit.").split(" "))
        elif text.startswith("> "):
            key, _, value = text.removeprefix("> ").partition(" ")
            vector.expected.append(f"{key} {value}" if value else key)
        elif not text.startswith("#"):
            vector.stream += bytes.fromhex(text.partition(";")[0])
    return vector


def set_limit(vector: Vector, name: str, value: str = "") -> None:
    """Set one of the receiver's limits, before anything else."""
    if name not in vars(vector.limits) or vector.expected or vector.stream:
        raise ValueError(f"limit.{name} is unknown or comes too late")
    setattr(vector.limits, name, int(value))


def decode(pieces: Iterable[bytes], limits: Limits) -> list[Event]:
    """Decode a stream that comes in these pieces."""
    decoder = Decoder(limits)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def ways_to_feed(stream: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """The stream in pieces: whole, byte by byte, at every split in two."""
    yield "fed whole", [stream]
    yield "fed byte by byte", [stream[at : at + 1] for at in range(len(stream))]
    for at in range(1, len(stream)):
        yield f"fed in two at {at}", [stream[:at], stream[at:]]


def check_decoded(vector: Vector) -> str:
    """Say what is not read as expected first, or nothing."""
    for way, pieces in ways_to_feed(vector.stream):
        found = [line for event in decode(pieces, vector.limits) for line in list_event(event)]
        for wanted, got in zip_longest(vector.expected, found, fillvalue="nothing more"):
            if wanted != got:
                return f"{way}: expected `{wanted}`, found `{got}`"
    return ""


def check_written(vector: Vector) -> str:
    """Say which frame is not written as it came, or nothing."""
    rest = vector.stream
    for event in decode([vector.stream], vector.limits):
        if isinstance(event, Note) and event.key == "broken":
            break
        length = event.header.frame_len if isinstance(event, Frame) else int(event.value)
        came, rest = rest[:length], rest[length:]
        if isinstance(event, Frame) and can_be_written(event) and encode_frame(event) != came:
            return f"written back: expected `{came.hex(' ')}`, found `{encode_frame(event).hex(' ')}`"
    return ""


def can_be_written(frame: Frame) -> bool:
    """Whether the frame has been kept in full: it is not refused, and no part of its body is ignored."""
    has_metadata = frame.header.kind in WITH_METADATA or not frame.header.metadata_len
    has_payload = frame.header.kind in WITH_PAYLOAD or frame.header.metadata_len == frame.header.body_len
    return not frame.refused and has_metadata and has_payload


def main(arguments: list[str]) -> int:
    """Check every vector file under a directory; the exit status."""
    if len(arguments) != 1:
        print("usage: wire_format.py DIRECTORY", file=sys.stderr)
        return 2
    frames = 0
    failures = 0
    paths = sorted(Path(arguments[0]).glob("*.txt"))
    for path in paths:
        try:
            vector = read_vector(path)
            problem = check_decoded(vector) or check_written(vector)
            frames += sum(line.startswith(("frame ", "skipped ")) for line in vector.expected)
        except (OSError, TypeError, ValueError) as fault:
            problem = f"cannot be read: {fault}"
        if problem:
            failures += 1
            print(f"{path}: {problem}")
    verdict = f"{failures} not as expected" if failures else "all as expected"
    print(f"{len(paths)} vectors, {frames} frames: {verdict}")
    return 1 if failures or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
