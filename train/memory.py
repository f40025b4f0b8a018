"""How much memory is free, and a common rule for what may be kept there."""

from pathlib import Path

import psutil
import torch

LARGEST_SHARE = 0.5
"""Pictures are kept in memory when they take at most this share of what is free."""

_CGROUP = Path("/sys/fs/cgroup")


def free_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that this process can still allocate on the device; on the CPU a container's limit counts (cgroup v2)."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(psutil.virtual_memory().available, _left_in_container(_CGROUP))


def check_fits_in_memory(wanted: int, what: str, device: torch.device | str = "cpu") -> None:
    """Check that `wanted` bytes are at most `LARGEST_SHARE` of the device's free memory.

    Raises:
        MemoryError: they are more; with one sentence.
    """
    free = free_memory(device)
    if wanted > LARGEST_SHARE * free:
        raise MemoryError(
            f"{what} would take {wanted / 2**30:.2f} GiB, more than {LARGEST_SHARE:.0%} "
            f"of the {free / 2**30:.2f} GiB that are free on {device}"
        )


def _left_in_container(group: Path) -> float:
    try:
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        # The file cache is counted as used, and given up when memory is asked for.
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())["file"]
        return float("inf") if limit == "max" else int(limit) - int(used) + int(cached)
    except (OSError, KeyError, ValueError):  # no such limit on this machine
        return float("inf")
