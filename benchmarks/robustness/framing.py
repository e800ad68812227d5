"""HTTP/2 from outside, over plain sockets, as no library would ever write it.

Frames are those of RFC 9113, header blocks those of RFC 7541 without compression. A *case* is what
one connection sends before it looks for an answer; a *flood* is a great many frames at once.
"""

import asyncio
import random
import struct
from collections.abc import Callable, Mapping

__all__ = ["FLOODS", "SLOW", "case", "exchange", "frame", "headers", "preface"]

_MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _CONTINUATION = (
    *(0, 1, 3, 4, 5, 6, 7, 8, 9),
)
_END_STREAM, _END_HEADERS = 1, 4
_PATH = "/onehand.v1.HandwritingService/Classify"
_PSEUDO = ((":method", "POST"), (":scheme", "http"), (":path", _PATH), (":authority", "x"))
_REST = (("content-type", "application/grpc"), ("te", "trailers"))


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int = -1) -> bytes:
    """Return a frame; ``length`` may lie."""
    size = len(payload) if length < 0 else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def preface() -> bytes:
    """Return what a well-behaved client begins with."""
    return _MAGIC + frame(_SETTINGS, 0, 0)


def block(fields: tuple[tuple[str, str], ...]) -> bytes:
    """Return a header block of literals that are neither indexed nor compressed."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def headers(stream: int, flags: int = _END_HEADERS, **other: str) -> bytes:
    """Return the headers of a call; ``other`` replaces or adds fields, ``_`` for ``-``."""
    changes = {name.replace("_", "-"): value for name, value in other.items()}
    fields = {**dict(_PSEUDO), **dict(_REST), **changes}
    return frame(_HEADERS, flags, stream, block(tuple(fields.items())))


def case(draw: random.Random) -> bytes:
    """Return what one hostile connection sends."""
    return draw.choice(_CASES)(draw)


async def exchange(port: int, sent: bytes, patience: float = 0.3) -> bytes:
    """Send on a connection of its own and return what comes back before the other side is silent.

    Args:
        port: of 127.0.0.1.
        sent: everything at once.
        patience: seconds of silence after which the answer is taken to be whole.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(sent)
        await asyncio.wait_for(writer.drain(), 10)
        while part := await asyncio.wait_for(reader.read(65536), patience):
            answer += part
    except (TimeoutError, ConnectionError):
        pass  # silence and a cut connection are both answers
    finally:
        writer.transport.abort()
    return answer


def _string(text: str) -> bytes:
    raw = text.encode("latin-1", "replace")
    return _integer(len(raw), 7) + raw


def _integer(number: int, bits: int) -> bytes:
    most = (1 << bits) - 1
    if number < most:
        return bytes((number,))
    out, rest = bytes((most,)), number - most
    while rest > 127:
        out, rest = out + bytes((rest & 127 | 128,)), rest >> 7
    return out + bytes((rest,))


def _garbage(draw: random.Random) -> bytes:
    return draw.randbytes(draw.randint(0, 400))


def _part_of_preface(draw: random.Random) -> bytes:
    whole = bytearray(preface())
    if draw.random() < 0.5:
        whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    return bytes(whole[: draw.randint(0, len(whole))])


def _any_frame(draw: random.Random) -> bytes:
    """Any type, flags and stream, with a length that may lie."""
    frames = b""
    for _ in range(draw.randint(1, 4)):
        payload = draw.randbytes(draw.choice((0, 1, 4, 5, 8, 9, 40)))
        length = draw.choice((-1, -1, -1, 0, 6, 16_384, 16_385, 2**24 - 1))
        kind = draw.choice((*range(10), draw.randrange(256)))
        stream = draw.choice((0, 1, 2, 3, 2**31 - 1, 2**31, draw.randrange(2**32)))
        frames += frame(kind, draw.randrange(256), stream, payload, length)
    return preface() + frames


def _broken_block(draw: random.Random) -> bytes:
    garbage = draw.randbytes(draw.randint(0, 200))
    return preface() + frame(_HEADERS, _END_HEADERS | draw.randrange(2), 1, garbage)


def _cut_short(draw: random.Random) -> bytes:
    whole = preface() + headers(1) + frame(_DATA, _END_STREAM, 1, b"\0\0\0\0\3\x12\1\0")
    return whole[: draw.randint(len(preface()), len(whole))]


def _broken_message(draw: random.Random) -> bytes:
    """A call whose message lies about itself."""
    claimed = draw.choice((0, 1, 5, 2**24, 2**31, 2**32 - 1))
    compressed = draw.choice((0, 0, 1, 2, 255))
    body = struct.pack(">BI", compressed, claimed) + draw.randbytes(draw.randint(0, 60))
    flags = draw.choice((0, _END_STREAM))
    return preface() + headers(1) + frame(_DATA, flags, 1, body)


def _odd_headers(draw: random.Random) -> bytes:
    name, value = draw.choice(
        (
            (":method", "GET"),
            (":method", ""),
            (":path", ""),
            (":path", "/"),
            (":path", "/../../etc/passwd"),
            (":path", "/" + "a" * 9000),
            (":path", _PATH + "\0"),
            (":scheme", "gopher"),
            ("content-type", "text/html"),
            ("content-type", ""),
            ("te", "chunked"),
            ("grpc-timeout", "99999999999999H"),
            ("grpc-timeout", "-1S"),
            ("grpc-timeout", "0n"),
            ("grpc-timeout", "abc"),
            ("grpc-encoding", "brotli"),
            ("grpc-encoding", "gzip"),
            ("Upper-Case", "1"),
            ("x-request-id", "\0\r\n"),
            ("x-request-id", "a" * 4000),
            ("x-bin", "!!!"),
            ("connection", "close"),
            ("content-length", "-1"),
            ("traceparent", "00-" + "f" * 999),
            ("authorization", "Bearer " + "\xff" * 50),
        )
    )
    body = frame(_DATA, _END_STREAM, 1, b"\0\0\0\0\0")
    return preface() + headers(1, **{name: value}) + body


def _huge_headers(draw: random.Random) -> bytes:
    """More metadata than is allowed, in one block that goes on and on."""
    whole = block((*_PSEUDO, *_REST, ("x-huge", "a" * draw.choice((17_000, 70_000, 300_000)))))
    parts = [whole[start : start + 16_000] for start in range(0, len(whole), 16_000)]
    frames = frame(_HEADERS, 0, 1, parts[0])
    for number, part in enumerate(parts[1:], 1):
        last = _END_HEADERS if number == len(parts) - 1 else 0
        frames += frame(_CONTINUATION, last, 1, part)
    return preface() + frames


def _bad_settings(draw: random.Random) -> bytes:
    pairs = b"".join(
        struct.pack(">HI", draw.randrange(12), draw.choice((0, 1, 2**14 - 1, 2**31, 2**32 - 1)))
        for _ in range(draw.randint(1, 20))
    )
    return preface() + frame(_SETTINGS, 0, 0, pairs) + headers(1)


def _bad_flow(draw: random.Random) -> bytes:
    """Windows, resets and priorities where none may be."""
    step = draw.choice((0, 1, 2**31 - 1, 2**32 - 1))
    return (
        preface()
        + headers(1)
        + frame(_WINDOW, 0, draw.choice((0, 1, 5)), struct.pack(">I", step)) * 2
        + frame(_RST, 0, draw.choice((0, 1, 7)), struct.pack(">I", draw.randrange(20)))
        + frame(2, 0, 1, struct.pack(">IB", 1, 255))
        + frame(_PUSH, _END_HEADERS, 1, struct.pack(">I", 2))
    )


def _other_protocol(draw: random.Random) -> bytes:
    return draw.choice(
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST " + _PATH.encode() + b" HTTP/1.0\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(40),
            b"SSH-2.0-x\r\n",
            b"\0" * 100,
        )
    )


def _streams_out_of_order(draw: random.Random) -> bytes:
    numbers = [draw.choice((0, 1, 2, 3, 5, 1, 2**31 - 1)) for _ in range(4)]
    return preface() + b"".join(headers(number) for number in numbers)


_CASES: tuple[Callable[[random.Random], bytes], ...] = (
    _garbage,
    _part_of_preface,
    _any_frame,
    _broken_block,
    _cut_short,
    _broken_message,
    _odd_headers,
    _huge_headers,
    _bad_settings,
    _bad_flow,
    _other_protocol,
    _streams_out_of_order,
)


def _resets(count: int) -> bytes:
    """Return calls that are each taken back at once (CVE-2023-44487)."""
    return b"".join(
        headers(number) + frame(_RST, 0, number, struct.pack(">I", 8))
        for number in range(1, 2 * count, 2)
    )


FLOODS: Mapping[str, Callable[[], bytes]] = {
    "pings": lambda: preface() + frame(_PING, 0, 0, bytes(8)) * 100_000,
    "settings": lambda: preface() + frame(_SETTINGS, 0, 0, bytes(6)) * 50_000,
    "resets": lambda: preface() + _resets(20_000),
    "continuations": lambda: (
        preface() + headers(1, flags=0) + frame(_CONTINUATION, 0, 1, b"\0\1a\1b" * 3000) * 2000
    ),
    "empty continuations": lambda: (
        preface() + headers(1, flags=0) + frame(_CONTINUATION, 0, 1) * 200_000
    ),
    "empty data": lambda: preface() + headers(1) + frame(_DATA, 0, 1) * 200_000,
    "windows": lambda: preface() + frame(_WINDOW, 0, 0, struct.pack(">I", 1)) * 100_000,
    "priorities": lambda: preface() + frame(2, 0, 3, struct.pack(">IB", 0, 1)) * 100_000,
    "calls without end": lambda: preface() + b"".join(headers(n) for n in range(1, 20_000, 2)),
}
"""What one connection sends at once, by name."""

SLOW = _MAGIC[:7]
"""The beginning of a preface whose rest never comes."""
