import subprocess
import sys
from textwrap import dedent

import pytest

ARENAS = dedent("""
    import ctypes, sys, tempfile, threading
    from tunery_server.processes.memory import few_arenas

    if sys.argv[1] == "few":
        few_arenas()
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.fopen.restype = ctypes.c_void_p
    together = threading.Barrier(8)

    def allocate():
        together.wait()
        libc.malloc(100_000)
        together.wait()

    threads = [threading.Thread(target=allocate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tempfile.NamedTemporaryFile() as file:
        stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        print(open(file.name).read().count("<heap nr="))
""")


def arenas(how: str) -> int:
    """Of a process with eight threads that allocate at once."""
    command = [sys.executable, "-c", ARENAS, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_many_threads_share_two_arenas() -> None:
    assert arenas("few") <= 2 < arenas("many")
