"""What a batch is to do: which photo with which mask into which file, and what of it is this process's share."""

import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from glcic_hub.batch.sources import find_pictures
from glcic_hub.errors import WrongUse, quoted, reason
from glcic_hub.formats import READABLE
from glcic_hub.picture_files import Found, PictureFile

STEM = "{stem}"
"""In the pattern of masks' names: the name of the photo without its suffix."""


@dataclass(frozen=True)
class Share:
    """Which part of the work this process does: every `count`-th image, from number `rank` on.

    `local_rank` counts the shares on this machine; it decides which GPU is taken.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0


@dataclass(frozen=True)
class Job:
    """One photo: with `mask` None its transparency is the mask. `out` is where the result goes."""

    photo: PictureFile
    mask: PictureFile | None
    out: Path | str


@dataclass
class Plan:
    """The share of one process.

    Attributes:
        jobs: what is to be done, sorted by name.
        done: how many results are there already.
        problems: (what, one sentence) for each photo that cannot be completed.
        ignored: how many files are not images, by suffix.
    """

    jobs: list[Job]
    done: int
    problems: list[tuple[str, str]]
    ignored: Counter[str]

    def add(self, job: Job, skip: bool, masks: str | None, mask_name: str | None = None) -> None:
        """Sort in one more photo; `skip`: it is done, `masks`: where its mask must be (None: it needs none).

        `mask_name`: as of `make_plan`.
        """
        if skip:
            self.done += 1
        elif masks and job.mask is None:
            wanted = wanted_key(job.photo.name, mask_name) + ("" if _has_suffix(mask_name) else ".*")
            self.problems.append((job.photo.label, f"there is no mask for it: {quoted(wanted)} is not in {masks}"))
        else:
            self.jobs.append(job)


def share_of(environment: Mapping[str, str]) -> Share:
    """The share that torchrun, accelerate and others give by RANK, WORLD_SIZE and LOCAL_RANK; all, without them.

    Raises:
        WrongUse: they are not whole numbers, or RANK is not below WORLD_SIZE.
    """
    if not {"RANK", "WORLD_SIZE"} <= environment.keys():
        return Share()
    given = {name: environment.get(name, "0") for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    if not all(value.isdecimal() for value in given.values()) or int(given["RANK"]) >= int(given["WORLD_SIZE"]):
        words = ", ".join(f"{name}={value}" for name, value in given.items())
        raise WrongUse(f"the environment has {words}; both must be whole numbers, with RANK below WORLD_SIZE")
    return Share(*(int(given[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def make_plan(
    photos: Sequence[Path],
    masks: Sequence[Path] | None,
    out: Path,
    suffix: str,
    force: bool,
    share: Share,
    mask_name: str | None = None,
) -> Plan:
    """Look at names alone; no image is opened and nothing is written.

    Args:
        photos: images, folders and tar files.
        masks: the same, with the photos' names but for the suffix, or one image for all photos; None: each photo's
            transparency.
        out: the folder of the results; it need not exist.
        suffix: of the results, with its dot.
        force: do again what is done.
        share: the shares together are all images, and no two have one in common, whatever is done already.
        mask_name: what the mask of a photo is called, with "{stem}" for the photo's name without its suffix; its own
            suffix may be missing. Masks are beside the photos if there are no `masks`, and not taken for photos then.

    Raises:
        WrongUse: there is nothing to do, or two files would be written to one place, or over an input.
    """
    for folder in (*photos, *(masks or ())):
        _check_is_apart(out, folder)
    for_all = single_mask(masks)
    if mask_name is not None and (STEM not in mask_name or for_all):
        raise WrongUse(f"--mask-name needs {STEM}, the name of the image, and a folder of masks, not a single mask")
    found = find_pictures(photos)
    found_masks = find_pictures(masks) if masks and not for_all else Found()
    if mask_name is not None and not masks:
        masks, wanted = photos, {wanted_key(photo.name, mask_name) for photo in found.pictures}
        found_masks.pictures = [file for file in found.pictures if key(file.name, mask_name) in wanted]
        found.pictures = [file for file in found.pictures if key(file.name, mask_name) not in wanted]
    mask_of = by_key(found_masks.pictures, mask_name)
    if not found.pictures and not found.problems:
        raise WrongUse(_nothing_found(photos, found))
    outs = [out / name for name in result_names(found.pictures, suffix, out)]
    read = (*found.pictures, *found_masks.pictures, *([for_all] if for_all else ()))
    inputs = {os.path.realpath(path) for path in {file.path for file in read}}

    plan = Plan([], 0, found.problems + found_masks.problems if share.rank == 0 else [], found.ignored)
    for photo, path in list(zip(found.pictures, outs))[share.rank :: share.count]:
        is_done = os.path.isfile(path)  # False where the name is too long, which writing will say
        if is_done and os.path.realpath(path) in inputs:
            raise WrongUse(f"{quoted(path)} would be written over an input: choose another folder with -o")
        mask = for_all or mask_of.get(wanted_key(photo.name, mask_name))
        plan.add(Job(photo, mask, path), is_done and not force, _names(masks) if masks else None, mask_name)
    return plan


def single_mask(masks: Sequence[Path] | None) -> PictureFile | None:
    """The image that is the mask of all photos, if `masks` is one."""
    if masks and len(masks) == 1 and masks[0].suffix.lower() in READABLE and not masks[0].is_dir():
        return PictureFile(masks[0], masks[0].name)
    return None


def by_key(masks: Sequence[PictureFile], mask_name: str | None = None) -> dict[str, PictureFile]:
    """The masks by their `key`.

    Raises:
        WrongUse: a photo has two masks.
    """
    mask_of: dict[str, PictureFile] = {}
    for mask in masks:
        other = mask_of.setdefault(key(mask.name, mask_name), mask)
        if other is not mask:
            raise WrongUse(
                f"{quoted(other.label)} and {quoted(mask.label)} are masks of the same photo: remove one of them"
            )
    return mask_of


def key(name: str, mask_name: str | None = None) -> str:
    """Under what a mask is found: its name, without its suffix unless `mask_name` (as of `make_plan`) has one.

    Letters with accents are always written alike.
    """
    return _written_alike(name if _has_suffix(mask_name) else str(PurePosixPath(name).with_suffix("")))


def wanted_key(photo: str, mask_name: str | None = None) -> str:
    """The `key` of a photo's mask, which is in the folder of the photo."""
    path = PurePosixPath(photo)
    return _written_alike(posixpath.normpath(path.parent / (mask_name or STEM).replace(STEM, path.stem)))


def _has_suffix(mask_name: str | None) -> bool:
    return mask_name is not None and PurePosixPath(mask_name).suffix.lower() in READABLE


def _written_alike(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def result_names(pictures: Sequence[PictureFile], suffix: str, out: object) -> list[str]:
    """The names of the results inside their folder `out`.

    Raises:
        WrongUse: two images have the same result.
    """
    first_with: dict[str, PictureFile] = {}
    for picture in pictures:
        name = str(PurePosixPath(picture.name).with_suffix(suffix))
        other = first_with.setdefault(name, picture)
        if other is not picture:
            target = quoted(f"{out}/{name}")
            raise WrongUse(
                f"{quoted(other.label)} and {quoted(picture.label)} would both be written to {target}: "
                "rename one, or complete them into different folders"
            )
    return list(first_with)


def _check_is_apart(out: Path, source: Path) -> None:
    """The results of one run must not be inputs of the next."""
    try:
        real_out, real_source = Path(os.path.realpath(out)), Path(os.path.realpath(source))
        if source.is_dir() and (real_out == real_source or real_source in real_out.parents):
            raise WrongUse(f"{quoted(out)} is inside {quoted(source)}, which is read: choose another folder with -o")
    except (OSError, ValueError) as error:  # For example, the name is too long.
        raise WrongUse(f"cannot use {quoted(source)}: {reason(error)}") from error


def _nothing_found(photos: Sequence[Path], found: Found) -> str:
    message = f"there is no image in {_names(photos)} ({', '.join(READABLE)})"
    if found.ignored[".tar"]:
        message += f"; name the tar files themselves: {photos[0]}/*.tar"
    return message


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(quoted, paths[:3])) + (", ..." if len(paths) > 3 else "")
