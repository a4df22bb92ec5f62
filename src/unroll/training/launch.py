"""One training in several processes, on this machine or several: how they start, meet and end.

The stage's own process becomes the agent of PyTorch's `torchrun`: it starts the stage again, once for each process, and
all of them anew, from the last checkpoint, when one has died. What is no accident (a mistake of the person's, Ctrl-C)
is written to a file, the outcome, after which nothing is begun again.
"""

import ctypes
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil

from unroll.errors import UserError, as_user_error
from unroll.nn.device import ComputeSettings, prepare

if TYPE_CHECKING:
    import torch

    from unroll.training.parallel import Group

OUTCOME = "UNROLL_OUTCOME"  # in the environment of what is launched: the file, whose name is the number of the agent
RESTARTS = 3
PORTS = 65_535  # the last one; no more hosts either
MEET_SECONDS = 600  # that hosts wait for each other, at the start and after one has died
PR_SET_PDEATHSIG = 1  # of Linux's prctl


@dataclass(frozen=True)
class Hosts:
    """The machines that train together, as the usual variables state it."""

    count: int
    rank: int
    address: str
    port: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Hosts":
        """From `NNODES`, `NODE_RANK`, `MASTER_ADDR` and `MASTER_PORT`; without the first, this machine alone."""
        count = _number(environment, "NNODES", "1", 1, PORTS)
        if count == 1:
            return cls(1, 0, "127.0.0.1", 0)
        if not environment.get("MASTER_ADDR"):
            raise UserError(
                f"NNODES is {count}, and MASTER_ADDR is not set: the address of the host whose NODE_RANK is 0"
            )
        if "NODE_RANK" not in environment:
            raise UserError(f"NNODES is {count}, and NODE_RANK is not set: the number of this host, 0 to {count - 1}")
        rank = _number(environment, "NODE_RANK", "0", 0, count - 1)
        port = _number(environment, "MASTER_PORT", "29500", 1, PORTS)
        return cls(count, rank, environment["MASTER_ADDR"], port)


def _number(environment: Mapping[str, str], name: str, default: str, least: int, most: int) -> int:
    stated = environment.get(name, default)
    if not stated.isdecimal() or not least <= int(stated) <= most:
        raise UserError(f"{name} in the environment should be a number from {least} to {most}; found {stated!r}")
    return int(stated)


def is_for_many(settings: ComputeSettings) -> bool:
    """Whether this process is to launch others, and is none of them."""
    return OUTCOME not in os.environ and (settings.processes > 1 or Hosts.of(os.environ).count > 1)


def launch(run: str, settings: ComputeSettings) -> NoReturn:
    """Run this very command in several processes that train `run`, and exit as they do.

    Raises `UserError` with what one of them refused, or if the hosts do not meet.
    """
    prepare(settings)  # refuses, if need be, before anything is started
    hosts = Hosts.of(os.environ)
    own = _own_address(hosts.address)
    _use_interface(own)
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads))
    # Torchrun's own store keeps the addresses of processes that have died, and those that come after would try them.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    logging.disable(logging.ERROR)  # of what torchrun logs: how it ended is told once, by us
    with tempfile.TemporaryDirectory(prefix="unroll-") as folder:
        outcome = Path(folder) / str(os.getpid())
        os.environ[OUTCOME] = str(outcome)
        code = _run_agent(
            run, ["--log-dir", folder, "--local-addr", own, *_torchrun(run, settings, hosts), *sys.argv], hosts
        )
        if outcome.exists():
            found = json.loads(outcome.read_text(encoding="utf-8"))
            if found["problems"]:
                raise UserError(found["problems"])
            code = code or found["code"]
    raise SystemExit(code)


def _torchrun(run: str, settings: ComputeSettings, hosts: Hosts) -> list[str]:
    """Its options."""
    waits = dict.fromkeys(("timeout", "join_timeout", "read_timeout"), MEET_SECONDS)
    stated: dict[str, Any] = {"is_host": "true" if hosts.rank == 0 else "false", **waits}
    return [
        *("--nnodes", str(hosts.count), "--nproc-per-node", str(settings.processes)),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{hosts.address}:{hosts.port}", "--rdzv-id", run),
        *("--rdzv-conf", ",".join(f"{name}={value}" for name, value in stated.items())),
        *("--max-restarts", str(RESTARTS)),
    ]


def _run_agent(run: str, arguments: list[str], hosts: Hosts) -> int:
    """Be the agent until all is over; the exit code."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    try:
        torchrun.run(torchrun.parse_args(arguments))  # type: ignore[no-untyped-call]
    except SignalException as error:
        return 128 + error.sigval
    except ChildFailedError as error:
        died = ", ".join(f"{rank} with exit code {failure.exitcode}" for rank, failure in error.failures.items())
        print(
            f"{run}: processes have died once more after {RESTARTS} restarts: {died}; dvc repro goes on from the last "
            "checkpoint",
            file=sys.stderr,
        )
        return 1
    except RendezvousError as error:
        where = f"{hosts.address}:{hosts.port}"
        raise UserError(f"runs.{run}: {hosts.count} hosts did not meet at {where}, or one has left: {error}") from None
    return 0


def place() -> int:
    """Of this process among those of its machine that were launched."""
    return int(os.environ["LOCAL_RANK"]) if OUTCOME in os.environ else 0


@contextmanager
def joined(run: str, device: "torch.device") -> Iterator["Group"]:
    """A block in which this process trains `run` with those that were launched with it, or alone.

    What ends the block ends the others, too, and for good, unless it is another process's death.
    """
    if OUTCOME not in os.environ:
        from unroll.training.parallel import Group

        yield Group()
        return
    from unroll.training.processes import PeerLostError, Processes

    outcome = Path(os.environ[OUTCOME])
    _end_with_agent(int(outcome.name))
    try:
        group = Processes(device)
        _end_if_over(group, outcome)
        with redirect_stderr(sys.stderr if group.first else open(os.devnull, "w")):  # noqa: PTH123
            if restart := int(os.environ["TORCHELASTIC_RESTART_COUNT"]):
                print(f"{run}: a process has died; all begin again ({restart} of {RESTARTS})", file=sys.stderr)
            yield group
        group.leave()
    except PeerLostError as error:
        if place() == 0:
            print(f"{run}: this process has lost another one: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except SystemExit as left:
        if left.code:
            _leave_word(outcome, left.code)
        raise SystemExit(0) from None
    except Exception as error:
        told = as_user_error(error)
        if told is None:
            traceback.print_exc()
        _leave_word(outcome, 2 if told else 1, told.problems if told else ())
        raise SystemExit(1) from None


def _end_if_over(group: "Group", outcome: Path) -> None:
    """Leave if any process of any host has left word that all is over."""
    code = json.loads(outcome.read_text(encoding="utf-8"))["code"] if outcome.exists() else 0
    if code := max(group.gather(code)):
        raise SystemExit(code)


def _leave_word(outcome: Path, code: Any, problems: Any = ()) -> None:
    """Have nothing begin again after this; of several words of one host the first counts."""
    try:
        with outcome.open("x", encoding="utf-8") as file:
            json.dump({"code": code, "problems": list(problems)}, file)
    except FileExistsError:
        pass


def _end_with_agent(agent: int) -> None:
    """Be told to stop when the process `agent` dies, which can no longer do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != agent:
            raise SystemExit(1)


def _own_address(address: str) -> str:
    """Of this host where it reaches `address`; its name may lead elsewhere."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))  # sends nothing
        except OSError as error:
            raise UserError(f"MASTER_ADDR: no way to {address!r}: {error.strerror}") from None
        own: str = probe.getsockname()[0]
    return own


def _use_interface(own: str) -> None:
    """Have gloo and NCCL use the interface with this address."""
    for interface, addresses in psutil.net_if_addrs().items():
        if any(found.address == own for found in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
