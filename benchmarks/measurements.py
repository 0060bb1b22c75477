"""The measurements of `python -m benchmarks`: each a process of its own, over objects that are made once."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.agreement import Checksum, agree, of_contender, of_ours, same, sums, text_bytes
from benchmarks.contenders import JOINING, PARTIAL, few, installed, log_files
from benchmarks.enrichment_inputs import HOUR, PLACES, START
from benchmarks.object_server import ObjectServer, object_server
from kentik_dagster.core.flow_log_keys import hour_of
from kentik_dagster.lake.tables import Lake
from kentik_dagster.run_environment import RUN_ENVIRONMENT

OURS = "kentik_dagster"
BASELINE = "isal_gunzip"
_PROJECT = Path(__file__).parents[1]
_STAMP = "%Y%m%dT%H%MZ"
Cost = Mapping[str, Any]  # seconds `cpu` and `wall`, `peak_mb`; of ours also `imports`, `run` and `run_wall`


@dataclass(kw_only=True)
class Results:
    """What was measured.

    Attributes:
        objects: how many hold the records.
        rounds: of every round, the cost of each contender.
        larger: likewise for each larger address book; of the contenders that look owners up, and of gunzip.
        nothing_new: the cost of a run over an hour of which everything is there.
        requests: of S3, by name: of one run over all objects, of one with nothing new, and of a tick of the sensor.
        table_bytes: bytes of each table after one run.
        peaks: megabytes of a run by number of records.
        hours: the cost of the same objects as hours of a backfill, and as one hour.
    """

    options: argparse.Namespace
    objects: int
    rounds: list[dict[str, Cost]] = field(default_factory=list)
    larger: dict[int, list[dict[str, Cost]]] = field(default_factory=dict)
    stages: dict[str, list[Cost]] = field(default_factory=dict)
    nothing_new: Cost = field(default_factory=dict)
    tick: Cost = field(default_factory=dict)
    requests: dict[str, Cost] = field(default_factory=dict)
    table_bytes: dict[str, int] = field(default_factory=dict)
    peaks: dict[int, float] = field(default_factory=dict)
    hours: dict[str, Cost] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)


class Measurements:
    """Everything that the report says, measured one after the other."""

    def __init__(
        self,
        folder: Path,
        options: argparse.Namespace,
        *,
        progress: Callable[[str], None],
        tell: Callable[[str], object],
    ) -> None:
        self._folder = folder
        self._progress = progress
        self._tell = tell
        self._windows = max(1, options.objects // PLACES)
        self._results = Results(options=options, objects=self._windows * PLACES)

    def all(self) -> Results:
        """Make the objects, compare the contenders, and measure the rest."""
        options = self._results.options
        for interfaces in options.interfaces:
            inputs = self._inputs(interfaces)
            self._progress(f"{interfaces:,} interfaces: making {options.records:,} records")
            self._prepare(
                inputs, records=options.records // self._windows, windows=self._windows, interfaces=interfaces
            )
            contenders = [name for name in installed() if inputs == "all" or name in (BASELINE, *JOINING)]
            rounds = self._results.rounds if inputs == "all" else self._results.larger.setdefault(interfaces, [])
            for number in range(options.rounds):
                of = f"{interfaces:,} interfaces, round {number + 1} of {options.rounds}"
                rounds.append(self._round(of, inputs, contenders))
        self._stages()
        if not options.reduced:
            self._nothing_new()
            self._memory(options.long)
            self._backfill(options.hours)
            self._imports()
        return self._results

    def _stages(self) -> None:
        """Stage by stage, with each address book; with the largest also beside many interfaces that write nothing."""
        options = self._results.options
        books = {f"{interfaces:,} interfaces": self._inputs(interfaces) for interfaces in options.interfaces}
        if options.silent and not options.reduced:
            talking = options.interfaces[-1]
            books[f"{talking + options.silent:,}, {talking:,} of them talk"] = "silent"
            self._prepare(
                "silent", records=options.records // self._windows, windows=self._windows, interfaces=talking,
                silent=options.silent,
            )  # fmt: skip
        for number in range(options.rounds):
            for book, inputs in books.items():
                self._progress(f"stage by stage, one thread: {book}, round {number + 1}")
                prepared = self._folder / inputs
                with object_server(prepared / "logs") as server:
                    lake = self._empty("out") / "lake"
                    said = self._measured("stages", server, str(prepared), str(lake))
                self._results.stages.setdefault(book, []).append(said)

    def _inputs(self, interfaces: int) -> str:
        return "all" if interfaces == self._results.options.interfaces[0] else f"all of {interfaces}"

    def _round(self, of: str, inputs: str, contenders: Sequence[str]) -> dict[str, Cost]:
        costs: dict[str, Cost] = {}
        read: dict[str, Checksum] = {}
        for name in contenders:
            self._progress(f"{of}: {name}")
            out = self._empty("out")
            cost = self._measured("contenders", None, name, str(self._folder / inputs), str(out))
            checksum = of_contender(out) or self._without_files(name, inputs, cost["read"])
            if checksum is not None:
                read[name] = checksum
            costs[name] = self.as_if_of_all(cost) if name in PARTIAL else cost
        self._progress(f"{of}: {OURS}")
        costs[OURS] = self._ours(inputs, HOUR, HOUR)
        tables = of_ours(Lake(str(self._lake_of(inputs))))
        read |= dict(zip(("flow_logs", "enriched_flows"), tables, strict=True))
        first = next(iter(read))
        for name, checksum in read.items():
            agree(checksum, read[first], who=name, whom=first)
        self._tell(
            f"{of}: all read the same {read['flow_logs'].records:,} records; CPU seconds: "
            + ", ".join(f"{name} {cost['cpu']:.1f}" for name, cost in costs.items())
        )
        return costs

    def _without_files(self, name: str, inputs: str, said: Mapping[str, Any]) -> Checksum | None:
        """The checksum of a contender that wrote nothing; None: what it says is right, and is no checksum."""
        files = log_files(self._folder / inputs)
        if "fingerprint" in said:
            return Checksum(**said)
        same(said, sums(few(files)) if name in PARTIAL else {"text_bytes": text_bytes(files)}, who=name)
        return None

    def as_if_of_all(self, cost: Cost) -> Cost:
        """What a contender would have cost for all records; that its process starts does not cost more."""
        scale = self._results.options.records / cost["read"]["records"]
        scaled = {
            name: cost[f"start_{name}"] + scale * (cost[name] - cost[f"start_{name}"]) for name in ("cpu", "wall")
        }
        return {**cost, **scaled}

    def _ours(self, inputs: str, first: str, last: str) -> Cost:
        """A run over a bucket into an empty lake."""
        lake = self._lake(inputs)
        arguments = (str(lake), "benchmark-logs", first, last)
        with object_server(self._folder / inputs / "logs") as server:
            cost = self._measured("one_run", server, *arguments)
            counted = server.counted()
        if inputs == "all":
            self._results.requests["run"] = counted
            self._results.table_bytes = _sizes(Lake(str(lake)))
        return {**cost, "server": counted["cpu"]}

    def _nothing_new(self) -> None:
        """Over the lake of the last round with the first address book: the same run again, and a tick of the sensor."""
        arguments = (str(self._lake_of("all")), "benchmark-logs", HOUR, HOUR)
        with object_server(self._folder / "all" / "logs") as server:
            self._progress("a run with nothing new")
            self._results.nothing_new = self._measured("one_run", server, *arguments)
            self._results.requests["nothing new"] = server.counted()
            self._results.tick = self._measured("one_run", server, *arguments[:3])
            self._results.requests["tick"] = server.counted()

    def _memory(self, long: bool) -> None:
        """The same run over a quarter of the objects and, if there is time, over ten times as many."""
        windows = {"quarter": max(1, self._windows // 4)} | ({"tenfold": 10 * self._windows} if long else {})
        of_window = self._results.options.records // self._windows
        for name, count in windows.items():
            self._progress(f"memory: {count * of_window:,} records")
            self._link(name, {window: START + timedelta(seconds=window) for window in range(count)}, each=False)
            self._results.peaks[count * of_window] = self._ours(name, HOUR, HOUR)["peak_mb"]
        self._results.peaks[self._results.options.records] = max(one[OURS]["peak_mb"] for one in self._results.rounds)

    def _backfill(self, hours: int) -> None:
        """One object for each of some hours, in one run; and the same objects in one hour."""
        self._prepare("small", records=PLACES * self._results.options.records // hours, windows=1)
        spread = {number: START - timedelta(hours=number) for number in range(hours)}
        together = {number: START + timedelta(seconds=number) for number in range(hours)}
        for name, times in (("hours", spread), ("one hour", together)):
            self._progress(f"{hours} objects: {name}")
            self._link(name, times, each=True, of="small")
            first = hour_of(min(times.values()))
            self._results.hours[name] = self._ours(name, first, HOUR)
            if name == "hours":
                self._progress(f"{hours} hours again, with nothing to read")
                with object_server(self._folder / name / "logs") as server:
                    arguments = (str(self._lake_of(name)), "benchmark-logs", first, HOUR)
                    self._results.hours["hours again"] = self._measured("one_run", server, *arguments)

    def _imports(self) -> None:
        for name, code in {
            "the code location": "import kentik_dagster.definitions",
            "the libraries alone": "import dagster, polars, pyarrow, boto3, deltalake",
        }.items():
            code = f"{code}; import time; print(time.process_time())"
            environment = os.environ | {"KENTIK_DAGSTER_CONFIG": str(self._configuration())}
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=_PROJECT, env=environment, capture_output=True, text=True, check=True
            )
            self._results.imports[name] = float(done.stdout.split()[-1])

    def _configuration(self) -> Path:
        file = self._folder / "kentik.yaml"
        file.write_text(
            f"lake: {self._folder}/lake\nexports:\n- {{name: benchmark, region: us-east-1, bucket: benchmark-logs, "
            f"start: '{HOUR}:00'}}\n"
        )
        return file

    def _prepare(self, name: str, *, records: int, windows: int, interfaces: int = 0, silent: int = 0) -> None:
        """In a process of its own, so that nothing of it is measured; 0 interfaces: as many as first asked for."""
        interfaces = interfaces or self._results.options.interfaces[0]
        (self._folder / name).mkdir()
        code = (
            "from pathlib import Path; from benchmarks.enrichment_measured import prepare; "
            f"prepare(Path({str(self._folder / name)!r}), interfaces={interfaces}, "
            f"records={records}, windows={windows}, silent={silent})"
        )
        subprocess.run([sys.executable, "-c", code], cwd=_PROJECT, check=True)

    def _link(self, name: str, times: Mapping[int, Any], *, each: bool, of: str = "all") -> None:
        """Objects under other names, the same bytes on disk: of `each` time one object, or one of each place."""
        source = self._folder / of / "logs"
        stamp = f"{START:{_STAMP}}"
        files = sorted(file for file in source.rglob("*.log.gz") if stamp in file.name)
        shutil.copytree(self._folder / of / "known", self._folder / name / "known")
        for number, time in times.items():
            for file in [files[number % len(files)]] if each else files:
                key = str(file.relative_to(source)).replace(f"{START:%Y/%m/%d}", f"{time:%Y/%m/%d}")
                # The end of the name tells objects of one time apart.
                key = key.replace(stamp, f"{time:{_STAMP}}")[: -len("00000000.log.gz")] + f"{number:08x}.log.gz"
                target = self._folder / name / "logs" / key
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(file, target)

    def _lake_of(self, inputs: str) -> Path:
        return self._folder / f"lake of {inputs}" / "lake"

    def _lake(self, inputs: str) -> Path:
        """An empty lake that knows the address book."""
        lake = self._lake_of(inputs)
        shutil.rmtree(lake.parent, ignore_errors=True)
        shutil.copytree(self._folder / inputs / "known", lake)
        return lake

    def _empty(self, name: str) -> Path:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def _measured(self, module: str, server: ObjectServer | None, *arguments: str) -> Cost:
        environment = {**RUN_ENVIRONMENT, **os.environ, "POLARS_MAX_THREADS": "2"}
        environment |= server.environment() if server else {}
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            cwd=_PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"measuring {module} {arguments[0]} failed:\n{done.stderr[-4_000:]}")
        cost: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return cost


def _sizes(lake: Lake) -> dict[str, int]:
    return {
        name: int(lake[name].open().files["size_bytes"].sum())
        for name in ("flow_logs", "enriched_flows", "flow_log_objects")
    }
