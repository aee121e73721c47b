"""A Ray cluster on this machine whose nodes can be killed, frozen and cut off.

Where root may do so, each node has a network of its own, on a bridge that the head is on, too. A node whose
link is down is cut off as by a pulled cable: what is sent either way is lost without a word.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_OBJECT_STORE_BYTES = 80 * 2**20
# Ray itself gives up after half a minute; a busy machine may need another try.
_SECONDS_TO_START = 60
# Of the nodes and their addresses; the head is 1.
_NUMBERS = (2, 3)
_STARTS = 5

_PARENT = re.compile(r"^PPid:\s+(\d+)$", re.MULTILINE)


@dataclass(eq=False)
class Node:
    """A node: the process that has all of its others below it, and its place in the network.

    Attributes:
        number: of its address and its network, from 2; the head is 1.
    """

    number: int
    process: subprocess.Popen

    @property
    def processes(self) -> list[int]:
        """All of its processes."""
        return [self.process.pid, *below(self.process.pid)]


class Nodes:
    """A head and one or two nodes with one core each, in processes of this machine.

    Attributes:
        address: of the head.
        workers: the nodes; one until the cluster grows.
        has_networks: whether nodes can be cut off.
    """

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self._folder = folder
        self._name = f"snas{os.getpid()}"
        # 198.18.0.0/15 is for benchmarks (RFC 2544).
        self._subnet = f"198.18.{os.getpid() % 256}"
        self.has_networks = self._made_bridge()
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
        if self.has_networks:
            head["node_ip_address"] = self._ip(1)
        self.workers: list[Node] = []
        try:
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
            self.address = self._cluster.address
            self._add(_NUMBERS[0])
        except BaseException:
            self.close()
            raise

    def grow(self) -> None:
        """Starts the second node, where there is one."""
        for number in _NUMBERS[len(self.workers) :]:
            self._add(number)

    def kill(self, node: Node) -> None:
        """Kills all of a node and starts another one in its place."""
        self._end(node)
        self.heal(node)
        self.workers[self.workers.index(node)] = self._started(node.number)

    def gone(self) -> list[Node]:
        """Returns the nodes that ended by themselves: the head had taken them for dead."""
        return [node for node in self.workers if node.process.poll() is not None]

    def tend(self) -> None:
        """Starts nodes again that ended by themselves."""
        for node in self.gone():
            self.kill(node)

    def freeze(self, node: Node) -> list[int]:
        """Stops all processes of a node where they are, and returns them for `thaw`."""
        processes = node.processes
        _signal(processes, signal.SIGSTOP)
        return processes

    def thaw(self, processes: list[int]) -> None:
        """Lets processes go on."""
        _signal(processes, signal.SIGCONT)

    def cut(self, node: Node) -> None:
        """Takes the link of a node down."""
        _ip("link", "set", self._link(node.number), "down")

    def heal(self, node: Node) -> None:
        """Takes the link of a node up."""
        if self.has_networks:
            _ip("link", "set", self._link(node.number), "up")

    def close(self) -> None:
        """Ends all nodes and takes their networks away."""
        for node in self.workers:
            self._end(node)
        if hasattr(self, "_cluster"):
            self._cluster.shutdown()
        if self.has_networks:
            for number in _NUMBERS:
                subprocess.run(
                    ["ip", "netns", "del", self._network(number)], check=False, capture_output=True
                )
            subprocess.run(["ip", "link", "del", self._name], check=False, capture_output=True)

    def _add(self, number: int) -> None:
        if self.has_networks:
            self._make_network(number)
        self.workers.append(self._started(number))

    def _end(self, node: Node) -> None:
        _signal(node.processes, signal.SIGKILL)
        node.process.wait()

    def _started(self, number: int) -> Node:
        """Starts a node, one at a time: their sockets are numbered in a folder that they share."""
        inside = ["nsenter", f"--net=/run/netns/{self._network(number)}"] if self.has_networks else []
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--address", self.address]
        start += ["--node-ip-address", self._ip(number), "--num-cpus=1", "--disable-usage-stats"]
        start += ["--include-log-monitor=false", "--min-worker-port=0", "--max-worker-port=0"]
        start += ["--dashboard-agent-listen-port=0", f"--object-store-memory={_OBJECT_STORE_BYTES}"]
        said = self._folder / f"node-{number}"
        for _ in range(_STARTS):
            with said.open("wb") as file:
                process = subprocess.Popen(
                    [*inside, *start], stdout=file, stderr=subprocess.STDOUT, start_new_session=True
                )
            node = Node(number, process)
            until = time.monotonic() + _SECONDS_TO_START
            while process.poll() is None and time.monotonic() < until:
                if b"Ray runtime started" in said.read_bytes():
                    return node
                time.sleep(0.1)
            self._end(node)
        raise RuntimeError(f"A node does not start:\n{said.read_text(errors='replace')[-3000:]}")

    def _made_bridge(self) -> bool:
        try:
            _ip("link", "add", self._name, "type", "bridge")
        except (OSError, subprocess.CalledProcessError):
            return False
        try:
            _ip("addr", "add", f"{self._subnet}.1/24", "dev", self._name)
            _ip("link", "set", self._name, "up")
            # Whether there may be networks at all.
            _ip("netns", "add", self._network(2))
            _ip("netns", "del", self._network(2))
        except subprocess.CalledProcessError:
            _ip("link", "del", self._name)
            return False
        return True

    def _make_network(self, number: int) -> None:
        network, link = self._network(number), self._link(number)
        _ip("netns", "add", network)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", network)
        _ip("link", "set", link, "master", self._name, "up")
        _ip("-n", network, "addr", "add", f"{self._ip(number)}/24", "dev", "eth0")
        _ip("-n", network, "link", "set", "eth0", "up")
        _ip("-n", network, "link", "set", "lo", "up")
        # Ray asks which address a packet to somewhere else would have.
        _ip("-n", network, "route", "add", "default", "via", self._ip(1))

    def _ip(self, number: int) -> str:
        return f"{self._subnet}.{number}" if self.has_networks else self.address.rpartition(":")[0]

    def _network(self, number: int) -> str:
        return f"{self._name}-{number}"

    def _link(self, number: int) -> str:
        return f"{self._name}-{number}"


@contextlib.contextmanager
def nodes(folder: Path) -> Iterator[Nodes]:
    """Gives a cluster that asks for a token.

    Args:
        folder: for the token, and what the nodes say.
    """
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(random.SystemRandom().randbytes(32).hex())
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_worker_niceness": "0",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        with contextlib.closing(Nodes(folder)) as found:
            yield found
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def below(root: int) -> list[int]:
    """Returns all processes below another one."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = _PARENT.search((entry / "status").read_text())
                children[int(parent[1]) if parent else 0].append(int(entry.name))
    found = list(children[root])
    # Grows while it is gone through.
    for one in found:
        found.extend(children[one])
    return found


def _signal(processes: list[int], number: int) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
