"""How much memory a process took."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def process_peak() -> int:
    """Most memory that this process has had so far, in MB.

    Where there is no /proc, the maximum of getrusage, which a process inherits from the one that started it.
    """
    if STATUS.is_file():
        return int(STATUS.read_text().split("VmHWM:")[1].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
