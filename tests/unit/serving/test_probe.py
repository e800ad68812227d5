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
