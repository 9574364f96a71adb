"""What the sandbox adds to a command, in milliseconds: python3 bench/sandbox.py target/release/windlass-worker [/usr/bin/bwrap]

Runs /bin/true directly and through the helper, as a worker does, and prints the fastest and the median of each. The order
that the helper reads is the one of worker/src/sandbox/order.rs.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

ROUNDS = 50


def order(folder, bubblewrap):
    policy = {
        "enforce": ["files", "limits", "privileges", "processes"],
        "read": ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/proc"],
        "write": [folder],
        "hide": [],
        "network": True,
        "limits": {"cpu": 60, "memory": 4 << 30, "processes": 512, "file_size": 1 << 30, "open_files": 1024},
        "bubblewrap": bubblewrap,
        "probe": None,
    }
    text = json.dumps({"worker": os.getpid(), "argv": ["/bin/true"], "env": [], "policy": policy})
    return (f"{len(text):010}{text}" * (2 if bubblewrap else 1)).encode()


def measure(name, argv, given, folder):
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(argv, input=given, cwd=folder, env={}, capture_output=True, check=True)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    print(f"{name:12} fastest {times[0]:6.1f} ms   median {times[ROUNDS // 2]:6.1f} ms")


def main():
    worker, *bubblewrap = sys.argv[1:]
    helper = [os.path.abspath(worker), "sandbox-exec"]
    with tempfile.TemporaryDirectory() as folder:
        measure("direct", ["/bin/true"], b"", folder)
        measure("sandbox", helper, order(folder, None), folder)
        for program in bubblewrap:
            measure("bubblewrap", helper, order(folder, program), folder)


main()
