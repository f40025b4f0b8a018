"""`glcic batch`."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from glcic_hub.cli import options
from glcic_hub.cli.checks import check_is_no_file, check_is_writable, check_quality, make_folder, say
from glcic_hub.cli.texts import BATCH_DESCRIPTION, BATCH_EPILOG
from glcic_hub.errors import FailedWork, WrongUse, quoted, reason
from glcic_hub.formats import WRITABLE
from glcic_hub.opening import pixel_limit
from glcic_hub.workflow import device_of

if TYPE_CHECKING:
    from glcic_hub.batch import Outcome
    from glcic_hub.batch.plan import Plan

FAILURES_SHOWN = 10
DOUBTS_SHOWN = 10


def add_to(commands: argparse._SubParsersAction) -> None:
    """Its arguments."""
    command = commands.add_parser(
        "batch",
        usage="%(prog)s PHOTOS [PHOTOS ...] [--masks MASKS [MASKS ...]] -o OUT [options]",
        help="complete many images: files, folders and tar files",
        description=BATCH_DESCRIPTION,
        epilog=BATCH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("photos", metavar="PHOTOS", type=Path, nargs="+", help="images, folders or tar files")
    command.add_argument(
        "--masks",
        metavar="MASKS",
        type=Path,
        nargs="+",
        help="the same, or one mask for all; without it, the transparent part of each image is filled",
    )
    command.add_argument(
        "--mask-name",
        metavar="PATTERN",
        help='how masks are named, such as "{stem}_mask.png"; without --masks they are beside the images',
    )
    command.add_argument("-o", "--out", metavar="OUT", type=Path, required=True, help="the folder for the results")
    options.add_results(command)
    command.add_argument(
        "--processes",
        metavar="N",
        type=options.processes,
        help="how many, each with one thread (default: one per core, or four per GPU)",
    )
    options.add_filling(command)
    options.add_reading(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Plan, complete, sum up.

    Raises:
        WrongUse, FailedWork: with one sentence.
    """
    from glcic_hub.batch import complete_all, default_processes, errors_file
    from glcic_hub.batch.plan import make_plan, share_of, single_mask

    suffix = f".{args.format}"
    settings = options.settings_of(args, WRITABLE[suffix])
    check_quality(args.quality, settings.file_format)
    if args.invert and not args.masks:
        raise WrongUse("--invert needs --masks: give masks, or leave it out")
    check_is_no_file(args.out)
    share = share_of(os.environ)
    plan = make_plan(args.photos, args.masks, args.out, suffix, args.force, share, args.mask_name)
    if mask := single_mask(args.masks):
        try:
            with pixel_limit(args.max_megapixels):
                mask.load()
        except (OSError, ValueError) as error:
            raise WrongUse(f"cannot use {quoted(mask.label)}: {reason(error)}") from error
    if args.device and plan.jobs:
        device_of(settings)  # the processes would say it, one after the other
    make_folder(args.out)
    check_is_writable(args.out)

    say_ignored(args, plan)
    processes = args.processes or (default_processes(share, settings.device) if plan.jobs else 1)
    outcome = complete_all(plan, args.out, settings, processes, share)
    try:
        sum_up(args, plan, outcome, errors_file(args.out, share))
    except FailedWork as error:
        if share.count == 1:
            raise
        say(args, error)  # launchers end all other processes when one fails


def say_ignored(args: argparse.Namespace, plan: "Plan") -> None:
    """Which files were skipped because they are not images, if any."""
    if plan.ignored:
        counts = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in plan.ignored.most_common(5))
        say(args, f"skipped, because they are not images: {counts}")


def sum_up(args: argparse.Namespace, plan: "Plan", outcome: "Outcome", errors: Path | str) -> None:
    """Say what became of the plan; `errors` is the file that says why images failed.

    Raises:
        FailedWork: not all is completed.
    """
    empty = f" ({outcome.empty} of them as they were, because their masks are empty)" if outcome.empty else ""
    say(args, f"{outcome.completed} completed{empty}, {plan.done} done before, {len(outcome.failed)} failed")
    if outcome.first_alone:
        say(args, f"{outcome.first_alone} of them have several frames or pages: only the first was completed")
    for doubt in sorted(outcome.doubts)[:DOUBTS_SHOWN]:
        say(args, doubt)
    if len(outcome.doubts) > DOUBTS_SHOWN:
        say(args, f"{len(outcome.doubts) - DOUBTS_SHOWN} more masks are doubtful")
    print(args.out)
    if outcome.failed:
        for name, sentence in outcome.failed[:FAILURES_SHOWN]:
            say(args, f"{quoted(name)}: {sentence}")
        raise FailedWork(f"not all were completed; {quoted(errors)} says which and why")
