"""The probe's answers that need no server; see the integration tests for the rest."""

import pytest

from serving import probe


def test_bad_settings_are_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings that cannot be used end it with 2, and a line for each."""
    monkeypatch.setenv("ONEHAND_PORT", "abc")
    monkeypatch.setenv("ONEHAND_HEALTH_PORT", "70000")

    with pytest.raises(SystemExit) as end:
        probe.main([])

    lines = sorted(capsys.readouterr().err.splitlines())
    assert end.value.code == 2
    assert len(lines) == 2
    assert all(line.startswith("python -m serving health: ") for line in lines)
    assert "ONEHAND_HEALTH_PORT: " in lines[0]
    assert "ONEHAND_PORT: " in lines[1]


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, "127.0.0.1:1"),
        ({"HOST": "0.0.0.0"}, "127.0.0.1:1"),  # noqa: S104
        ({"HOST": "::"}, "[::1]:1"),
        ({"HOST": "127.0.0.2"}, "127.0.0.2:1"),
        ({"HOST": "127.0.0.2", "HEALTH_HOST": "127.0.0.3", "HEALTH_PORT": "2"}, "127.0.0.3:2"),
    ],
)
def test_it_asks_where_the_server_listens(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], asked: str
) -> None:
    """By default the probe asks the server that these settings make."""
    seen = []

    def check(target: str, _service: str, _seconds: float) -> str:
        seen.append(target)
        return "SERVING"

    monkeypatch.setattr(probe, "check", check)
    for name, value in {"PORT": "1", **variables}.items():
        monkeypatch.setenv(f"ONEHAND_{name}", value)

    assert probe.main([]) == 0
    assert seen == [asked]
