"""Settings from flags and environment, and what is said of unusable ones."""

import argparse
import dataclasses
from pathlib import Path

import pytest

from serving import settings
from serving.settings import Settings, SettingsError


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
        if isinstance(field.default, bool):
            assert getattr(parse(**{variable: "off"}), field.name) is False
            assert getattr(parse(f"--no-{flag[2:]}"), field.name) is False
            assert getattr(parse(flag, **{variable: "off"}), field.name) is True
        elif field.name.startswith("log_"):
            other = {"log_level": "debug", "log_format": "console"}[field.name]
            assert getattr(parse(**{variable: other}), field.name) == other
            assert getattr(parse(flag, field.default, **{variable: other}), field.name) != other
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


def test_settings_that_contradict() -> None:
    """A request that is allowed must also fit into what may be in work."""
    with pytest.raises(SettingsError, match="max_queued_bytes: expected at least max_message"):
        parse("--max-queued-bytes", "2048")


def test_unknown_variables() -> None:
    """A variable that sets nothing is pointed out, with the one that may have been meant."""
    found = settings.unknown_variables({"ONEHAND_MODEL": "x", "ONEHAND_PORT": "1", "PATH": ""})

    assert found == ["ONEHAND_MODEL sets nothing; did you mean ONEHAND_MODELS?"]


def test_plain_values() -> None:
    """For the log, settings are plain values."""
    assert Settings(models=Path("here")).to_dict()["models"] == "here"
