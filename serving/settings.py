"""What can be set, by flag or by environment, each checked once at the start.

Every field of ``Settings`` is the flag ``--its-name`` and the variable ``ONEHAND_ITS_NAME``; the
flag wins. The environment is read here and nowhere else.
"""

import argparse
import dataclasses
import difflib
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import OnehandError

__all__ = ["PREFIX", "Settings", "SettingsError", "add_flags", "parse", "unknown_variables"]

PREFIX = "ONEHAND_"
# The imaging library opens nothing larger.
_MOST_PIXELS = 178_956_970
_MIB = 1024 * 1024


class SettingsError(OnehandError):
    """One or more settings are not usable; the message has a line for each."""


class _Unusable(Exception):
    """A text that a setting cannot take; the message says what was expected."""


@dataclass(frozen=True)
class _Kind:
    """How a setting is read from text.

    Attributes:
        read: text to value; raises ``_Unusable``.
        hint: what is expected, in the words of the help; empty = anything.
        placeholder: for the value in the help.
    """

    read: Callable[[str], Any]
    hint: str
    placeholder: str


def _text(*allowed: str) -> _Kind:
    hint = " or ".join(allowed)

    def read(text: str) -> str:
        if allowed and text not in allowed:
            raise _Unusable(hint)
        return text

    return _Kind(read, hint, "WORD" if allowed else "TEXT")


def _number(convert: type[int] | type[float], low: float, high: float) -> _Kind:
    noun = "a whole number" if convert is int else "a number"
    hint = f"{noun} from {low:,} to {high:,}"

    def read(text: str) -> int | float:
        try:
            value = convert(text)
        except ValueError as error:
            raise _Unusable(hint) from error
        if not low <= value <= high:  # NaN fails too
            raise _Unusable(hint)
        return value

    return _Kind(read, hint, "N")


def _truth() -> _Kind:
    words = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}

    def read(text: str) -> bool:
        if text.lower() not in words:
            raise _Unusable("true or false")
        return words[text.lower()]

    return _Kind(read, "true or false", "")


def _folder() -> _Kind:
    return _Kind(Path, "", "PATH")


def _optional_file() -> _Kind:
    return _Kind(lambda text: Path(text) if text else None, "", "PATH")


def _collector() -> _Kind:
    hint = "http://HOST:PORT or https://HOST:PORT"

    def read(text: str) -> str:
        try:
            parts = urllib.parse.urlsplit(text)
            whole = (
                parts.scheme in {"http", "https"}
                and bool(parts.hostname)
                and parts.port is not None
                and text == f"{parts.scheme}://{parts.netloc}"
                and "@" not in parts.netloc
            )
        except ValueError as error:
            raise _Unusable(hint) from error
        if text and not whole:
            raise _Unusable(hint)
        return text

    return _Kind(read, hint, "URL")


def _option(default: Any, kind: _Kind, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind, "help": text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force; each field's help says what it is."""

    models: Path = _option(  # noqa: RUF009 - makes a field, with an immutable default
        Path("exported"), _folder(), "folder of the profiles to serve"
    )
    default_profile: str = _option(
        "", _text(), "profile for requests that name none; empty = the only one there is"
    )
    host: str = _option("127.0.0.1", _text(), "address to answer gRPC on; 0.0.0.0 = all (IPv4)")
    port: int = _option(50051, _number(int, 0, 65535), "gRPC port; 0 = a free one")
    metrics_host: str = _option("127.0.0.1", _text(), "address to answer Prometheus on")
    metrics_port: int = _option(9464, _number(int, 0, 65535), "metrics port; 0 = a free one")
    reflection: bool = _option(True, _truth(), "tell clients which services there are")
    open_inference: bool = _option(
        True, _truth(), "answer the Open Inference Protocol beside our own service"
    )

    reload_seconds: float = _option(
        2.0,
        _number(float, 0, 3600),
        "seconds between looks for other versions of profiles; 0 = only on SIGHUP",
    )

    max_images: int = _option(256, _number(int, 1, 4096), "pictures in a request")
    max_count: int = _option(1000, _number(int, 1, 100_000), "generated pictures in a response")
    max_encoded_bytes: int = _option(
        16 * _MIB, _number(int, 1, 1024 * _MIB), "bytes of one picture file"
    )
    max_pixels: int = _option(
        20 * _MIB, _number(int, 784, _MOST_PIXELS), "width times height of one picture"
    )
    max_message_bytes: int = _option(
        32 * _MIB, _number(int, 1024, 1024 * _MIB), "bytes of one request"
    )
    max_in_flight: int = _option(128, _number(int, 1, 100_000), "requests in work at once")
    max_queued_bytes: int = _option(
        256 * _MIB, _number(int, 1024, 64 * 1024 * _MIB), "bytes of all requests in work at once"
    )
    max_wait: float = _option(
        1.0, _number(float, 0.001, 3600), "seconds of work that may wait for the classifiers"
    )
    max_seconds: float = _option(
        60.0, _number(float, 0.001, 3600), "seconds that a request may take, whatever its deadline"
    )

    listeners: int = _option(
        32, _number(int, 1, 64), "gRPC servers that share the port in each process"
    )
    workers: int = _option(
        1, _number(int, 0, 64), "processes that serve; 0 = one for each usable core"
    )
    batch_scheduling: bool = _option(
        True, _truth(), "let no thread that wakes up push aside the one that runs (Linux)"
    )
    decode_threads: int = _option(
        0,
        _number(int, 0, 256),
        "threads that read pictures that are not small, and find where to draw; "
        "0 = one for each usable core",
    )
    inference_threads: int = _option(
        0, _number(int, 0, 256), "threads that run the models; 0 = one for each usable core"
    )

    drain_delay: float = _option(
        5.0, _number(float, 0, 3600), "seconds between going unhealthy and refusing requests"
    )
    grace: float = _option(
        20.0, _number(float, 0, 3600), "seconds that running requests get to finish"
    )
    log_level: str = _option(
        "info", _text("debug", "info", "warning", "error"), "least severe line to log"
    )
    log_format: str = _option("json", _text("json", "console"), "for machines or for people")
    tracing_endpoint: str = _option(
        "", _collector(), "collector that takes spans as OTLP over gRPC; empty = no tracing"
    )
    tracing_ratio: float = _option(
        1.0,
        _number(float, 0, 1),
        "share of the traces begun here that is recorded; a caller's is if the caller says so",
    )

    tls_certificate: Path | None = _option(  # noqa: RUF009 - as above
        None, _optional_file(), "PEM file of the server's certificate and its chain; empty = no TLS"
    )
    tls_key: Path | None = _option(  # noqa: RUF009 - as above
        None, _optional_file(), "PEM file of the certificate's key, not encrypted"
    )
    tls_client_ca: Path | None = _option(  # noqa: RUF009 - as above
        None,
        _optional_file(),
        "PEM file of authorities; clients must show a certificate of one; empty = none needed",
    )
    tokens: Path | None = _option(  # noqa: RUF009 - as above
        None, _optional_file(), "file of bearer tokens and their methods; empty = none needed"
    )
    health_host: str = _option("127.0.0.1", _text(), "address of the port for health alone")
    health_port: int = _option(
        -1,
        _number(int, -1, 65535),
        "port that answers health alone and never speaks TLS; -1 = none, 0 = a free one",
    )

    max_connections: int = _option(1000, _number(int, 1, 1_000_000), "connections at once")
    # gRPC counts a stream until all of it is cleared away, and refuses those beyond the limit
    # without a word of when to come back. So there is room left for admission to speak first.
    max_streams: int = _option(256, _number(int, 1, 100_000), "requests at once on one connection")
    max_metadata_bytes: int = _option(
        16 * 1024, _number(int, 1024, _MIB), "bytes of a request's metadata"
    )
    max_connection_idle: float = _option(
        0.0, _number(float, 0, 86_400), "seconds that a connection may be idle; 0 = for ever"
    )
    max_connection_age: float = _option(
        600.0,
        _number(float, 0, 86_400),
        "seconds, give or take a tenth, after which clients must connect anew; 0 = never",
    )
    max_connection_grace: float = _option(
        90.0,
        _number(float, 0.001, 86_400),
        "seconds that requests on a connection of that age get to finish",
    )
    handshake_timeout: float = _option(
        10.0, _number(float, 0.1, 3600), "seconds that a new connection may take to be made"
    )
    keepalive: float = _option(
        60.0, _number(float, 1, 86_400), "seconds of silence after which a client is pinged"
    )
    keepalive_timeout: float = _option(
        20.0, _number(float, 0.1, 3600), "seconds that it may take to answer the ping"
    )
    min_ping_interval: float = _option(
        10.0, _number(float, 0.1, 3600), "least seconds between the pings of a client"
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for the log."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in vars(self).items()}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give the parser one flag for each setting."""
    for field in dataclasses.fields(Settings):
        kind: _Kind = field.metadata["kind"]
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=field.name,
            metavar=kind.placeholder,
            help=f"{field.metadata['help']} ({_hints(kind, field.default)})",
            **_flag_form(field),
        )


def parse(flags: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Return the settings that these flags and this environment ask for.

    Raises:
        SettingsError: names every unusable setting, what was expected and what was found.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in dataclasses.fields(Settings):
        variable = PREFIX + field.name.upper()
        flag = getattr(flags, field.name, None)
        source = variable if flag is None else f"--{field.name.replace('_', '-')}"
        text = environment.get(variable) if flag is None else flag
        if text is None:
            continue
        try:
            values[field.name] = field.metadata["kind"].read(text)
        except _Unusable as expected:
            problems.append(f"{source}: expected {expected}, found {text!r}")
    chosen = Settings(**values)
    problems += _contradictions(chosen)
    if problems:
        raise SettingsError("\n".join(problems))
    return chosen


def _contradictions(chosen: Settings) -> Sequence[str]:
    problems = []
    if chosen.max_queued_bytes < chosen.max_message_bytes:
        problems.append(
            f"max_queued_bytes: expected at least max_message_bytes, {chosen.max_message_bytes}, "
            f"found {chosen.max_queued_bytes}"
        )
    if (chosen.tls_certificate is None) != (chosen.tls_key is None):
        problems.append("tls_certificate, tls_key: expected both or none, found one")
    if chosen.tls_client_ca and not chosen.tls_certificate:
        problems.append("tls_client_ca: expected tls_certificate beside it, found none")
    if chosen.max_connection_age and chosen.max_connection_grace < chosen.max_seconds:
        problems.append(
            f"max_connection_grace: expected at least max_seconds, {chosen.max_seconds}, "
            f"found {chosen.max_connection_grace}"
        )
    return problems


def unknown_variables(environment: Mapping[str, str]) -> Sequence[str]:
    """Return a warning for each ``ONEHAND_*`` variable that sets nothing, likely mistyped."""
    known = [PREFIX + field.name.upper() for field in dataclasses.fields(Settings)]
    warnings = []
    for name in sorted(n for n in environment if n.startswith(PREFIX) and n not in known):
        near = difflib.get_close_matches(name, known, n=1)
        warnings.append(f"{name} sets nothing" + (f"; did you mean {near[0]}?" if near else ""))
    return warnings


def _flag_form(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    """Return the form of a switch, which takes no value: ``--reflection``, ``--no-reflection``."""
    if isinstance(field.default, bool):
        return {"action": _Switch, "nargs": 0}
    return {}


class _Switch(argparse.BooleanOptionalAction):
    """Boolean flag that leaves the same text as the environment would hold."""

    def __init__(self, option_strings: Sequence[str], dest: str, **rest: Any) -> None:
        super().__init__(option_strings, dest, help=rest.get("help"))

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        _values: object,
        option_string: str | None = None,
    ) -> None:
        negated = option_string is not None and option_string.startswith("--no-")
        setattr(namespace, self.dest, "false" if negated else "true")


def _hints(kind: _Kind, default: Any) -> str:
    shown = "empty" if default in {None, ""} else str(default)
    if isinstance(default, bool):
        shown = shown.lower()
    return "; ".join(part for part in (kind.hint, f"default {shown}") if part)
