"""What the figures were made on."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

import cv2
import torch

import glcic_hub
from glcic_hub.filling.completer import fastest_dtype
from glcic_hub.model import DEFAULT_NAME

PACKAGES = ("torch", "opencv-python-headless", "onnxruntime", "diffusers", "numpy", "scipy")


def has_bf16() -> bool:
    """Whether float32 weights are run in bfloat16 on this processor."""
    return fastest_dtype(torch.float32, torch.device("cpu")) == torch.bfloat16


def use_threads(count: int) -> None:
    """Let PyTorch and OpenCV compute with this many threads."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def describe() -> dict:
    """Date, processor, memory and versions, for the record."""
    versions = {"glcic-hub": glcic_hub.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bf16_in_hardware": has_bf16(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "model": DEFAULT_NAME,
        "versions": versions,
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in path.read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.machine()
