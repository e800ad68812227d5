"""How many processor cores this process may really use.

A container on a 64-core host may be allowed one. ``os.cpu_count`` does not know that; the
scheduler's affinity mask and the control group's quota do. Both versions of control groups are
read as the kernel documents them: https://docs.kernel.org/admin-guide/cgroup-v2.html and
https://docs.kernel.org/scheduler/sched-bwc.html.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CpuBudget", "cpu_budget"]


@dataclass(frozen=True)
class CpuBudget:
    """What the kernel grants to this process.

    Attributes:
        affinity: cores that the scheduler may place it on.
        quota: cores' worth of time that its control groups allow; ``None`` = no limit.
    """

    affinity: int
    quota: float | None

    @property
    def cores(self) -> int:
        """Threads that can run at once without being throttled; at least 1.

        A quota of 1.5 gives 1: a second thread would use the quota up in the middle of a period
        and leave every request to wait for the next one.
        """
        if self.quota is None:
            return self.affinity
        return max(1, min(self.affinity, int(self.quota)))


def cpu_budget(root: Path = Path("/"), affinity: int | None = None) -> CpuBudget:
    """Return the budget of this process.

    Args:
        root: where ``proc`` and ``sys`` are; another one in tests.
        affinity: number of cores in the affinity mask; ``None`` = ask the scheduler.
    """
    if affinity is None:
        affinity = _affinity()
    quotas = [*_quotas_v2(root), *_quotas_v1(root)]
    return CpuBudget(affinity=affinity, quota=min(quotas, default=None))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # not Linux: there is no mask to ask for


def _quotas_v2(root: Path) -> Iterator[float]:
    group = _own_groups(root).get("")
    if group is None:
        return
    for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
        for folder in _upwards(root / mount, group):
            limit, _, period = _read(folder / "cpu.max").partition(" ")
            if limit not in ("", "max"):
                yield int(limit) / int(period)


def _quotas_v1(root: Path) -> Iterator[float]:
    group = _own_groups(root).get("cpu")
    if group is None:
        return
    for mount in ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"):
        for folder in _upwards(root / mount, group):
            limit = int(_read(folder / "cpu.cfs_quota_us") or -1)
            if limit > 0:
                yield limit / int(_read(folder / "cpu.cfs_period_us"))


def _own_groups(root: Path) -> dict[str, str]:
    """Return the path of this process's control group by controller; "" is version 2."""
    groups = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """Yield the folder of the group and of each group around it: every one of them can limit.

    Inside a container the group's path may be the host's and not exist; the mount itself, which
    then is the container's own group, is always among the answers.
    """
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _read(path: Path) -> str:
    return path.read_text("ascii").strip() if path.is_file() else ""
