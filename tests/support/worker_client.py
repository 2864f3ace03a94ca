"""Stands for a worker of pytest-xdist where xdist starts one: the worker is forked by another process.

python worker_client.py SOCKET ...: it hands its standard input and output over, and ends with the worker.
"""

import os
import signal
import socket
import sys

signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker has it too, and ends
with socket.socket(socket.AF_UNIX) as forks:
    forks.connect(sys.argv[1])
    socket.send_fds(forks, [b"\0"], [0, 1])
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    forks.recv(1)
