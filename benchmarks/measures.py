"""What a process has cost so far."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stages:
    """CPU seconds of this process, by what they were spent on."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what the block costs."""
        began = cpu_seconds()
        yield
        self.cpu[name] = self.cpu.get(name, 0.0) + cpu_seconds() - began


def cpu_seconds() -> float:
    """User and system time of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def wall_seconds() -> float:
    """How long ago this process was started, to a hundredth of a second: `cpu_seconds` counts from there too."""
    began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


def peak_mb() -> float:
    """The most memory that this process ever had; `getrusage` would begin with that of its parent."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) / 1024
