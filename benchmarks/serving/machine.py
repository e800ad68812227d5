"""What the machine is, and how busy others kept it: printed beside every result."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Steal", "describe", "memory_mib", "steal"]

_MIB = 1024.0


@dataclass(frozen=True)
class Steal:
    """The kernel's count of processor time since boot, in ticks.

    Attributes:
        stolen: when this machine wanted to run and the host gave the core to another one.
        total: all of it.
    """

    stolen: int
    total: int

    def percent_since(self, earlier: "Steal") -> float:
        """Return the share of processor time stolen since then, in percent."""
        return 100.0 * (self.stolen - earlier.stolen) / max(1, self.total - earlier.total)


def steal() -> Steal:
    """Return the count so far; see proc(5), ``/proc/stat``."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return Steal(stolen=ticks[7], total=sum(ticks))


def describe() -> dict[str, str | int]:
    """Return what a reader must know of the machine."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def memory_mib(process: int) -> dict[str, float]:
    """Return the resident memory of a process and its descendants, in MiB.

    ``rss`` counts pages that several of them share once for each, ``pss`` once in all.
    """
    totals = {"rss": 0.0, "pss": 0.0}
    for member in _family(process):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            name = line.partition(":")[0].lower()
            if name in totals:
                totals[name] += int(line.split()[1]) / _MIB
    return totals


def _family(process: int) -> list[int]:
    members = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            members += _family(int(child))
    return members
