"""The load of the benchmark: idle processes, and a salt-api look-alike with its sockets.

It runs under a name that says which: `idle` or `salt-api` (the argv is what a look judges).
Everything ends when standard input does.
"""
import ctypes
import itertools
import os
import resource
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1
PEERS = 200
BATCH = 500
# Not those that the last run's clients may still have.
FIRST_PORT = 10_000 + os.getpid() % 200 * 250
libc = ctypes.CDLL(None)
numbers = itertools.count()
# As Salt keeps it open: without, nothing but the name says salt-api.
log = open(os.environ.get("BENCH_LOG", os.path.join(os.path.dirname(sys.argv[0]), "log")), "a")


def fork(work):
    """A child that dies with us, whatever ends us."""
    pid = os.fork()
    if pid == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        work()
        while True:
            signal.pause()
    return pid


def hold(pids):
    print("ready", *pids, flush=True)
    sys.stdin.read()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def orphaned(work):
    """Does it in a process whose parent has died, and ends once that and all its forks have."""
    reader, writer = os.pipe()
    manager = os.fork()
    if manager == 0:
        os.close(reader)
        if os.fork() == 0:
            work()
        os._exit(0)
    os.close(writer)
    os.waitpid(manager, 0)
    os.read(reader, 1)


def idle():
    hold([fork(lambda: None) for _ in range(int(os.environ["BENCH_PROCESSES"]))])


def salt_api():
    port, workers, each, queued = (
        int(os.environ[f"BENCH_{name}"]) for name in ("PORT", "WORKERS", "EACH", "QUEUED")
    )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    batches = [min(BATCH, each - done) for done in range(0, each, BATCH)]
    kept = []

    def accept(writer):
        for size in batches:
            for _ in range(size):
                kept.append(listener.accept()[0])
            os.write(writer, b"x")

    pids = []
    for _ in range(workers):
        reader, writer = os.pipe()
        pids.append(fork(lambda: accept(writer)))
        # One worker after the other, so that each takes its share; an accept queue that runs
        # over loses connections.
        for size in batches:
            connect(port, size)
            os.read(reader, 1)
        os.close(reader)
        os.close(writer)
    connect(port, queued)
    hold(pids)


def connect(port, count):
    for _ in range(count):
        number = next(numbers)
        peer = number % PEERS
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # No port twice: a SYN from the port of a client that has gone ends its CLOSE_WAIT socket.
        client.bind((f"127.1.{peer // 100}.{peer % 100 + 1}", FIRST_PORT + number // PEERS))
        client.connect(("127.0.0.1", port))
        client.close()


if os.path.basename(sys.argv[0]) != "salt-api":
    idle()
elif "BENCH_LOG" in os.environ:
    orphaned(salt_api)
else:
    salt_api()
