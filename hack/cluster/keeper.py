"""The process that owns one cluster's node: ``python3 -m hack.cluster.keeper``.

It starts PID 1 of the node and holds the pipe that PID 1 reads, so neither outlives the other.
Until the launcher says "ready" on standard input, the launcher's death ends the node as well:
a killed ``up`` leaves nothing behind. When PID 1 is gone, for whatever reason, the keeper puts
back what the kernel does not: cgroups, sysctls, the number.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from hack.cluster import host, machine, paths, process

NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--mount-proc")
# What the host unmounts, the node lets go too; what the node mounts, the host never sees.
PROPAGATION = ("--propagation", "slave")
START_PATIENCE_S = 10.0


def main() -> int:
    """Start the node, report its PID 1 on standard output, and wait for its end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--init", required=True)
    parser.add_argument("--link", required=True)
    parser.add_argument("--cgroup", required=True)
    parser.add_argument("--number-lock", required=True, type=int)
    parser.add_argument("--owner", type=int)
    parser.add_argument("--name")
    options = parser.parse_args()
    os.chdir("/")
    host.remove_cgroups(options.cgroup)  # of a keeper that was killed itself
    node = subprocess.Popen(
        ["unshare", *NAMESPACES, *PROPAGATION, options.init, "--until-end-of-input"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert node.stdin is not None
    lease = node.stdin
    signal.signal(signal.SIGTERM, lambda *_: lease.close())
    try:
        _report(node, options.init)
        threading.Thread(target=_end_unless_ready, daemon=True).start()
        if options.owner is not None:
            threading.Thread(
                target=_end_with, args=(options.owner, options.name), daemon=True
            ).start()
        node.wait()
    finally:
        lease.close()
        node.wait()
        host.remove_link(options.link)
        host.remove_cgroups(options.cgroup)
        # First, so that of two clusters that end together the later one sees itself as the last.
        os.close(options.number_lock)
        machine.THIS.restore_after_last()
    return 0


def _report(node: subprocess.Popen[bytes], program: str) -> None:
    """Wait until PID 1 is our program and not the copy of unshare that becomes it."""
    deadline = time.monotonic() + START_PATIENCE_S
    wanted = str(Path(program).resolve())
    while node.poll() is None and time.monotonic() < deadline:
        for child in process.children(node.pid):
            if process.program_of(child) == wanted:
                print(json.dumps({"init": child}), flush=True)
                # Closed, so that the launcher's pipe does not stay open with us.
                os.dup2(2, 1)
                return
        time.sleep(0.01)
    raise SystemExit("unshare made no PID 1 that runs our program")


def _end_unless_ready() -> None:
    if sys.stdin.readline().strip() != "ready":
        os.kill(os.getpid(), signal.SIGTERM)


def _end_with(owner: int, name: str) -> None:
    """Wait for the owner's end, then do what it would have done: ``down``."""
    try:
        descriptor = os.pidfd_open(owner)
    except ProcessLookupError:
        pass
    else:
        select.select([descriptor], [], [])
    # A process of its own, because it waits for the lock of an ``up`` and then for our end.
    down = [sys.executable, "-m", "hack.cluster", "down", "--name", name]
    subprocess.run(down, cwd=paths.REPOSITORY, start_new_session=True, check=False)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
