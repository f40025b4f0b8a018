"""The training data that the options name, as crops and as the batches of a run."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator

from train.dataset import TrainingCrops, find_pictures, source_names
from train.interruption import leave_signals_to_the_main_process
from train.loading import Batch, load_batches


def open_crops(args: argparse.Namespace, accelerator: Accelerator):
    """`TrainingCrops`, `StreamedCrops` or `DeviceCrops`: all have `first(count)` and `picture_count`.

    Raises:
        ImportError, MemoryError, OSError, ValueError: with one sentence, when there are no such data.
    """
    processes = accelerator.num_processes
    length = args.max_train_steps * args.train_batch_size * processes
    if args.dataset_name:
        from train.streaming import StreamedCrops, open_stream

        stream = open_stream(args.dataset_name, args.dataset_config_name, args.data_files, args.image_column)
        return StreamedCrops(
            stream,
            args.image_column,
            args.resolution,
            args.resize_range,
            length,
            args.seed,
            args.recoloured_share,
            args.shuffle_buffer_size,
        )
    pictures = find_pictures(args.train_data_dir)
    if args.cache_on_device:
        from train.device_crops import DeviceCrops

        return DeviceCrops(
            pictures, args.resolution, args.resize_range, args.seed, accelerator.device, args.recoloured_share
        )
    copies = processes * max(1, args.dataloader_num_workers)
    return TrainingCrops(
        pictures,
        args.resolution,
        args.resize_range,
        length,
        args.seed,
        args.recoloured_share,
        args.cache_pictures,
        cache_copies=copies,
    )


def open_batches(args: argparse.Namespace, crops, first_step: int, accelerator: Accelerator) -> Iterator[Batch]:
    """The batches of this process from step `first_step` to the end of the run."""
    rank, processes = accelerator.process_index, accelerator.num_processes
    if args.cache_on_device:
        for step in range(first_step, args.max_train_steps):
            yield Batch(crops.batch(step, args.train_batch_size, rank, processes), [])  # `crops.damaged` has them all
        return
    yield from load_batches(
        crops,
        args.train_batch_size,
        first_step=first_step,
        rank=rank,
        world=processes,
        workers=args.dataloader_num_workers,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=leave_signals_to_the_main_process,
    )


def data_names(args: argparse.Namespace) -> list[str]:
    """Names of the data without folders, for a record."""
    if not args.dataset_name:
        return source_names(args.train_data_dir)
    return [public_name(args.dataset_name), *(Path(pattern).name for pattern in args.data_files or ())]


def public_name(name: str) -> str:
    """A name that may be a folder or file of this machine, without the folders around it; any other as it is."""
    return Path(name).resolve().name if Path(name).exists() else name
