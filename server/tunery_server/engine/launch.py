"""Runs inside the engine's process: vLLM's own server with vLLM's own arguments.

``vllm serve`` cannot be used with the CPU build, whose distribution bears another name than the
one that the ``vllm`` command looks up.
"""

from vllm.entrypoints.launchers.api_server.entry import main

if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]
