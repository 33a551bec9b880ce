"""The installed programs, started in no time: forks of one process that has imported everything.

Scripts find them where they look for the environment, in VENV/bin. A client hands over its
arguments, environment, folder and open files; what runs then is the installed program itself.
"""

from __future__ import annotations

import array
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("fairseq-train", "biomedgpt", "python")
MODULES = (
    "fairseq_cli.train",
    "biomedgpt_fairseq.fairseq_evaluate",
    "biomedgpt_fairseq.report.html",
    "biomedgpt_fairseq.cli.main",
    "biomedgpt_fairseq.cli.evaluate",
    "biomedgpt_fairseq.cli.vocab",
    "data_utils.converter",
    "matplotlib.backends.backend_svg",
    "sklearn.metrics",
    "sacrebleu",
    "rouge_score.rouge_scorer",
    "torch.utils.tensorboard",
    "torch._dynamo",  # optimizers import it
)
CLIENT = """#!{python} -SE
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    program = os.path.basename(sys.argv[0])
    request = json.dumps([program, sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    files = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]).tobytes())
    server.sendmsg([len(request).to_bytes(4, "big")], [files])
    server.sendall(request)
    sys.exit(int(server.recv(16) or b"70"))
"""


@contextmanager
def warm_programs(folder: Path, root: Path) -> Iterator[Path]:
    """A folder to be used as VENV while the context lasts. root: that of the clone."""
    address = str(folder / "socket")
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        path = folder / "bin" / name
        path.write_text(CLIENT.format(python=sys.executable, address=address), "utf-8")
        path.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, address]
    # The server ends when its input does, even if this process is killed.
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as server:
        while not os.path.exists(address):
            if server.poll() is not None:
                raise RuntimeError(f"the server of programs ended with {server.returncode}")
            time.sleep(0.02)
        yield folder


def serve(address: str) -> None:
    """Run a program in a fork for every connection, until the input ends."""
    for name in MODULES:
        __import__(name)
    import torch

    torch.set_num_threads(1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address + ".new")
        listener.listen()
        os.rename(address + ".new", address)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                # A second fork, because waiting for the program must not block the next client.
                answer(client)
                os._exit(0)
            client.close()
            reap()


def reap() -> None:
    """Forget the ended children."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return


def answer(client: socket.socket) -> None:
    """Run the program that the client asks for and tell it the exit status."""
    files = array.array("i")
    head, ancillary, _, _ = client.recvmsg(4, socket.CMSG_SPACE(3 * files.itemsize))
    files.frombytes(ancillary[0][2])
    size, request = int.from_bytes(head, "big"), b""
    while len(request) < size:
        request += client.recv(size - len(request))
    child = os.fork()
    if child == 0:
        client.close()
        for target, source in enumerate(files):
            os.dup2(source, target)
        os._exit(run(*json.loads(request)))
    client.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def run(program: str, arguments: list[str], environment: dict[str, str], folder: str) -> int:
    """The exit status of a program, of `python -m MODULE` for one."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    try:
        if program == "python":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            path = str(Path(sys.executable).parent / program)
            sys.argv = [path, *arguments]
            runpy.run_path(path, run_name="__main__")
        status = 0
    except SystemExit as stopped:
        status = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:  # noqa: BLE001
        import traceback

        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve(sys.argv[1])
