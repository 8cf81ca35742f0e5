"""Runs one command and writes what it cost: `launcher.py REPORT COMMAND [ARGUMENT …]`.

Linux counts the memory of the process that spawns a command into the command's own peak. This one
is therefore as small as Python gets (9 MiB), and imports nothing of the project.
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    report, *command = sys.argv[1:]
    begun = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall_s = time.perf_counter() - begun
    unit = 1 if sys.platform == "darwin" else 1024
    with open(report, "w") as file:
        json.dump(
            {
                "exit_code": os.waitstatus_to_exitcode(status),
                "wall_s": wall_s,
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss * unit,
            },
            file,
        )
