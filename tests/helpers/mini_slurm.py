"""A whole SLURM in one folder of one machine: a controller, three nodes, six pretended GPUs of two models.

The daemons run as the user who starts them, listen on the loopback interface alone and need no root, no
database and no cgroups. Whoever is on this machine could submit jobs while they run: good for tests only.
"""

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

# The model of each node's GPUs, and their device files; SLURM wants one character device a GPU.
GPUS: Mapping[str, tuple[str, list[str]]] = {
    "gpu1": ("h200", ["/dev/null", "/dev/zero", "/dev/full", "/dev/random"]),
    "gpu2": ("a100", ["/dev/null", "/dev/zero"]),
}
NODES = ("cpu1", *GPUS)
PATIENCE = 30  # s until a daemon or a job must have done what it was told
UP = {"idle", "mixed", "allocated"}  # states of a node that takes or runs jobs

SLURM_CONF = """\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
# no secrets: the ports are on the loopback interface
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
PluginDir={plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# a node has what is written here, whatever this machine has
SlurmdParameters=config_overrides
GresTypes=gpu
# memory limits without cgroups: the use is looked at every second
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# a job that no partition could ever take is refused, not queued for ever
EnforcePartLimits=ALL
SchedulerParameters=bf_interval=1
# squeue shows finished jobs that long
MinJobAge=3600
# a dead node is noticed, and told from a slow one, within seconds
SlurmdTimeout=10
ReturnToService=2
KillWait=10
TaskProlog={folder}/prolog
{nodes}
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=1440
PartitionName=gpu Nodes=gpu[1-2] MaxTime=1440
"""

# What each task sees, in a file named after its job.
PROLOG = """\
#!/bin/sh
echo "$SLURMD_NODENAME ${{CUDA_VISIBLE_DEVICES-none}}" >> {folder}/seen/$SLURM_JOB_ID
"""


class MiniSlurm:
    """The running daemons, and SLURM's own commands on them.

    Parameters
    ----------
    root : where the packages were unpacked.
    folder : for configuration, state and logs.
    """

    def __init__(self, root: Path, folder: Path):
        self.folder = folder
        self.sbin, libraries = root / "usr/sbin", next(root.glob("usr/lib/*/slurm-wlm"))
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": os.pathsep.join([str(root / "usr/bin"), os.environ["PATH"]]),
            "LD_LIBRARY_PATH": os.pathsep.join([str(libraries), str(libraries.parent)]),
        }
        self.daemons: dict[str, subprocess.Popen] = {}
        self._configure(libraries)

    def _configure(self, plugins: Path) -> None:
        ports = _free_ports(1 + len(NODES))
        host = socket.gethostname().partition(".")[0]
        nodes, gres = [], []
        for name, port in zip(NODES, ports[1:], strict=True):
            model, files = GPUS.get(name, ("", []))
            has = f" Gres=gpu:{model}:{len(files)}" if files else ""
            nodes.append(
                f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
                f"CPUs=16 RealMemory=64000{has}"
            )
            gres += [f"NodeName={name} Name=gpu Type={model} File={file}" for file in files]
        values = {
            "folder": self.folder,
            "host": host,
            "ports": ports,
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "plugins": plugins,
            "nodes": "\n".join(nodes),
        }
        for name in ("state", "seen"):
            (self.folder / name).mkdir()
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**values))
        (self.folder / "gres.conf").write_text("\n".join(gres) + "\n")
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        (self.folder / "prolog").write_text(PROLOG.format(**values))
        (self.folder / "prolog").chmod(0o755)

    def start(self, name: str) -> None:
        """Start the daemon of a node, or ``slurmctld``; it ends with this process, however that ends."""
        is_node = name != "slurmctld"
        stepd = ["-N", name, "-d", str(self.sbin / "slurmstepd")] if is_node else []
        program = self.sbin / ("slurmd" if is_node else "slurmctld")
        self.daemons[name] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", str(program), "-D", *stepd],
            env=self.environment | ({"SLURMD_NODENAME": name} if is_node else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def call(self, *command: str) -> str:
        """Output of one of SLURM's commands."""
        return subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def live_nodes(self) -> set[str]:
        """Nodes that take or run jobs; none while the controller starts."""
        lines = subprocess.run(
            ["sinfo", "--Node", "--noheader", "--format=%N %T"],
            env=self.environment,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        return {name for name, state in map(str.split, lines) if state in UP}

    def start_nodes(self) -> None:
        """Start what does not run, and wait until every node takes jobs."""
        for name in ("slurmctld", *NODES):
            if name not in self.daemons:
                self.start(name)
        wait_for(lambda: self.live_nodes() == set(NODES), f"the nodes are not idle; see {self.folder}")

    def jobs(self) -> list[dict[str, str]]:
        """Every job since the start, as SLURM knows it, in the order of submission."""
        names = {"id": "%i", "state": "%T", "partition": "%P", "node": "%N", "comment": "%k", "memory": "%m"}
        lines = self.call(
            "squeue", "--states=all", "--noheader", "--sort=i", f"--format={'|'.join(names.values())}"
        )
        return [dict(zip(names, line.split("|"), strict=True)) for line in lines.splitlines()]

    def processes(self, **environment: str) -> list[int]:
        """Processes of this cluster that were started with such variables."""
        wanted = {f"{name}={value}" for name, value in environment.items()}
        wanted.add(f"SLURM_CONF={self.environment['SLURM_CONF']}")
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if wanted <= set(entry.read_text(errors="replace").split("\0")):
                    found.append(int(entry.parent.name))
            except OSError:
                pass  # it has ended
        return found

    def kill_node(self, name: str) -> None:
        """What a power cut does: the node's daemon and all that it started are gone at once."""
        _kill(self.processes(SLURMD_NODENAME=name))
        self.daemons.pop(name).wait()

    def stop(self) -> None:
        """End the daemons and all that they have started."""
        while pids := self.processes():
            _kill(pids)
        for daemon in self.daemons.values():
            daemon.wait()


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _free_ports(n_ports: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_ports)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def wait_for(condition: Callable[[], Any], complaint: str, *, seconds: float = PATIENCE) -> Any:
    """The first true value of ``condition()``; an error after ``seconds``."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(complaint)
        time.sleep(0.2)
    return value
