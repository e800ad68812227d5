"""The processor budget from control groups of both versions, on made-up file systems."""

from pathlib import Path

import pytest

from serving.cpu import cpu_budget


def write(root: Path, files: dict[str, str]) -> None:
    """Write files below ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.mark.parametrize(
    ("files", "quota", "cores"),
    [
        ({}, None, 64),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, None, 64),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "100000 100000"}, 1.0, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "350000 100000"}, 3.5, 3),
        (
            {
                "proc/self/cgroup": "0::/pods/one/main",
                "sys/fs/cgroup/pods/cpu.max": "800000 100000",
                "sys/fs/cgroup/pods/one/cpu.max": "200000 100000",
                "sys/fs/cgroup/pods/one/main/cpu.max": "max 100000",
            },
            2.0,
            2,
        ),
        (
            {
                "proc/self/cgroup": "0::/the/hosts/path",
                "sys/fs/cgroup/cpu.max": "300000 100000",
            },
            3.0,
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/box\n1:name=systemd:/\n0::/",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "400000",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            4.0,
            4,
        ),
    ],
    ids=["none", "no limit", "one", "half", "fraction", "parents", "namespace", "version 1"],
)
def test_quota(tmp_path: Path, files: dict[str, str], quota: float | None, cores: int) -> None:
    """The tightest limit of the group and all groups around it counts, rounded down."""
    write(tmp_path, files)

    budget = cpu_budget(tmp_path, affinity=64)

    assert budget.quota == quota
    assert budget.cores == cores


def test_affinity_limits_too(tmp_path: Path) -> None:
    """A quota larger than the affinity mask gives no more cores than the mask."""
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "800000 100000"})

    assert cpu_budget(tmp_path, affinity=2).cores == 2


def test_this_machine() -> None:
    """Asked of the real machine, there is at least one core."""
    assert cpu_budget().cores >= 1
