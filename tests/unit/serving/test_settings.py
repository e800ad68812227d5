"""Settings from flags and environment, and what is said of unusable ones."""

import argparse
import dataclasses
from pathlib import Path

import pytest

from serving import settings
from serving.settings import Settings, SettingsError

# Settings that do not take just any word or number, and another value than the default.
NARROW = {
    "log_level": "debug",
    "log_format": "console",
    "tracing_endpoint": "http://collector:4317",
    "tracing_ratio": "0.5",
}


def parse(*words: str, **environment: str) -> Settings:
    """Return the settings for a command line and an environment."""
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    return settings.parse(parser.parse_args(words), environment)


def test_defaults() -> None:
    """Nothing set gives the defaults, on this machine's own address only."""
    chosen = parse()

    assert chosen == Settings()
    assert chosen.host == chosen.metrics_host == "127.0.0.1"


def test_every_setting_is_flag_and_variable() -> None:
    """Each field can be set both ways, and the flag wins."""
    for field in dataclasses.fields(Settings):
        flag = f"--{field.name.replace('_', '-')}"
        variable = f"ONEHAND_{field.name.upper()}"
        if field.name.startswith("tls_"):
            pair = {"ONEHAND_TLS_CERTIFICATE": "other", "ONEHAND_TLS_KEY": "other"}
            found = parse(**pair | {variable: "other"})
            assert getattr(found, field.name) == Path("other")
            found = parse(flag, "flag", **pair | {variable: "other"})
            assert getattr(found, field.name) == Path("flag")
        elif isinstance(field.default, bool):
            assert getattr(parse(**{variable: "off"}), field.name) is False
            assert getattr(parse(f"--no-{flag[2:]}"), field.name) is False
            assert getattr(parse(flag, **{variable: "off"}), field.name) is True
        elif field.name in NARROW:
            other = NARROW[field.name]
            assert str(getattr(parse(**{variable: other}), field.name)) == other
            chosen = parse(flag, str(field.default), **{variable: other})
            assert getattr(chosen, field.name) == field.default
        elif isinstance(field.default, int | float):
            value = field.default + 1 if field.name != "max_message_bytes" else 4096
            assert getattr(parse(**{variable: str(value)}), field.name) == value
            assert getattr(parse(flag, str(value), **{variable: "1"}), field.name) == value
        else:
            assert str(getattr(parse(**{variable: "other"}), field.name)) == "other"
            assert str(getattr(parse(flag, "flag", **{variable: "other"}), field.name)) == "flag"


def test_all_problems_at_once() -> None:
    """Each unusable setting is named with its source, what was expected and what was found."""
    with pytest.raises(SettingsError) as caught:
        parse("--port", "70000", ONEHAND_GRACE="nan", ONEHAND_REFLECTION="maybe")

    assert str(caught.value).splitlines() == [
        "--port: expected a whole number from 0 to 65,535, found '70000'",
        "ONEHAND_REFLECTION: expected true or false, found 'maybe'",
        "ONEHAND_GRACE: expected a number from 0 to 3,600, found 'nan'",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("collector:4317", "collector", "grpc://collector:4317", "http://collector", "http://:1"),
        *("http://collector:0x1", "http://collector:4317/v1/traces", "http://a:b@collector:1"),
        *("http://collector:99999", "http://[collector:1"),
    ],
)
def test_unusable_collectors(text: str) -> None:
    """A collector is a scheme, a host and a port, and nothing else."""
    with pytest.raises(SettingsError, match="--tracing-endpoint: expected http://HOST:PORT or"):
        parse("--tracing-endpoint", text)


def test_settings_that_contradict() -> None:
    """A request that is allowed must also fit into what may be in work."""
    with pytest.raises(SettingsError, match="max_queued_bytes: expected at least max_message"):
        parse("--max-queued-bytes", "2048")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--tls-key k", "tls_certificate, tls_key: expected both or none, found one"),
        ("--tls-client-ca c", "tls_client_ca: expected tls_certificate beside it, found none"),
        (
            "--max-seconds 600",
            "max_connection_grace: expected at least max_seconds, 600.0, found 90.0",
        ),
    ],
)
def test_settings_that_need_one_another(flags: str, problem: str) -> None:
    """Half of TLS is no TLS, and old connections must outlast the longest request."""
    with pytest.raises(SettingsError) as caught:
        parse(*flags.split())

    assert str(caught.value) == problem


def test_long_requests_on_ageless_connections() -> None:
    """Where connections have no age, they need no grace."""
    assert parse("--max-seconds", "600", "--max-connection-age", "0").max_seconds == 600


def test_unknown_variables() -> None:
    """A variable that sets nothing is pointed out, with the one that may have been meant."""
    found = settings.unknown_variables({"ONEHAND_MODEL": "x", "ONEHAND_PORT": "1", "PATH": ""})

    assert found == ["ONEHAND_MODEL sets nothing; did you mean ONEHAND_MODELS?"]


def test_plain_values() -> None:
    """For the log, settings are plain values."""
    assert Settings(models=Path("here")).to_dict()["models"] == "here"
