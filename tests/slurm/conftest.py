"""A real Slurm on this machine, and the sweep that runs on it: `make test-slurm`.

Skipped unless Slurm and munge are installed and root asks: `apt install slurm-wlm munge`.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.slurm import driver

ROOT = Path(__file__).resolve().parents[2]
DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
# Preemption by partition; a job that is requeued may start again after cred_expire and a second.
CONF = """
ClusterName=elsa
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={slurmd}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=15
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=5,bf_interval=5
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 State=UP
PartitionName=high Nodes=ALL PriorityTier=10 State=UP
"""


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.fixture(scope="session")
def slurm():
    """Daemons of their own, started by hand, in a short-lived folder; what their tools need."""
    missing = [name for name in DAEMONS if shutil.which(name, path=_path()) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt install slurm-wlm munge")
    if os.getuid() != 0:
        pytest.skip("Slurm's daemons are started as root")
    folder = Path(tempfile.mkdtemp(prefix="elsa-slurm-"))
    folder.chmod(0o755)
    environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o400)
    ports = {"ctld": free_port(), "slurmd": free_port()}
    text = CONF.format(folder=folder, host=socket.gethostname(), **ports)
    (folder / "slurm.conf").write_text(text)
    started = []
    try:
        for words in (
            [
                *("munged", "--foreground", "--force", f"--key-file={folder}/key"),
                *(f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid"),
                *(f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"),
            ],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D"],
        ):
            with (folder / f"{words[0]}.out").open("w") as out:
                started.append(subprocess.Popen(words, env=environment, stdout=out, stderr=out))
            time.sleep(1)
        _wait_until_idle(folder, environment)
        yield environment
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_idle(folder, environment):
    """Waits until the node takes jobs."""
    state = ""
    for _ in range(60):
        ran = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True
        )
        state = ran.stdout + ran.stderr
        if ran.stdout.split() == ["idle"]:
            return
        time.sleep(1)
    logs = [path.read_text()[-2000:] for path in folder.glob("*.out")]
    pytest.fail("\n".join(["Slurm's node does not come up:", state, *logs]))


def _path():
    """PATH, with the folders of daemons."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class Sweeps:
    """Starts sweeps of the small experiment in a folder, with Slurm's environment.

    Attributes:
      folder: where.
    """

    def __init__(self, folder, environment):
        self.folder, self._environment = folder, environment
        driver.write(folder)

    def start(self, *words):
        """The command, started."""
        path = os.pathsep.join([str(ROOT), str(self.folder)])
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.run", "--config=steps.py", *words],
            cwd=self.folder,
            env={**self._environment, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words):
        """Exit code, output and errors of the command, run to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=1200)
        return process.returncode, out, err

    def ask(self, *words):
        """What a tool of Slurm prints."""
        ran = subprocess.run(
            words, env=self._environment, capture_output=True, text=True, check=True
        )
        return ran.stdout

    def queue(self):
        """Job -> state, of those that Slurm lists."""
        lines = self.ask("squeue", "-h", "-r", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)


@pytest.fixture
def sweeps(slurm, tmp_path):
    return Sweeps(tmp_path, slurm)
