"""A salt-api look-alike, manager and server, whose forks and clients come and go.

Prints how many there have been; ends when standard input does.
"""
import ctypes
import os
import select
import signal
import socket
import sys
import time

libc = ctypes.CDLL(None)
# As Salt keeps it open: without, nothing but the name says salt-api.
log = open(os.path.join(os.path.dirname(sys.argv[0]), "log"), "a")
PR_SET_PDEATHSIG = 1

server = os.fork()
if server != 0:
    os.waitpid(server, 0)
    sys.exit()
libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
address = listener.getsockname()
print("ready", address[1], os.getpid(), flush=True)

forks = 0
connections = 0
alive = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(5):
        if os.fork() == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            time.sleep(0.01 * (forks % 50))
            os._exit(0)
        forks += 1
        alive += 1
    for _ in range(20):
        client = socket.create_connection(address)
        accepted, _ = listener.accept()
        client.close()
        accepted.close()
        connections += 1
    while alive > 120:
        os.wait()
        alive -= 1
print(forks, connections, flush=True)
