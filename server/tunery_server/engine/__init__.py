"""The inference engine: vLLM, unmodified, in a process of its own behind a Unix socket.

``command.py`` builds the command line, ``launch.py`` and ``plugin.py`` run inside that process and
are the only modules that import vllm; ``vllm_http.py`` talks to it.
"""
