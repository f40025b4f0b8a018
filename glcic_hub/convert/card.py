"""What a converted model's card (`README.md`) says: where the weights come from, how exact they are, the licence."""

import copy
import dataclasses
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glcic_hub.model import GLCICModel

OFFICIAL = {"b1527543a0ee22c23fca44cefdf48531": "completionnet_places2.t7 of 2018, the official model for Places2"}
"""MD5 checksums of official files, from `download_model.sh` of satoshiiizuka/siggraph2017_inpainting."""

EXACT = "It computes the same function as the source, up to rounding to float32."
APPROXIMATE = (
    "It is an approximation of the source: MMagic clamps its output where this network has a sigmoid, so that every "
    "output value is off by at most {error} (of 1), apart from rounding; all else is exact."
)
ASSUMED = (
    "Assumed, because such a file does not say it: RGB in [0, 1] minus the mean as input, 0 in the hole, the mask "
    "(1 = hole) as fourth channel, Conv -> BatchNorm -> ReLU, sigmoid output; the official model has it so."
)
PAPERS_SIZES = "`sample_size` 256 and `max_hole_size` 128 are the paper's for Places2: no checkpoint says them."

BY_NC_SA = "cc-by-nc-sa-4.0"
LICENCES = {
    "torch7": "The official GLCIC weights are licensed under "
    "[CC BY-NC-SA 4.0](https://creativecommons.org/licenses/by-nc-sa/4.0/) by Satoshi Iizuka, Edgar Simo-Serra and "
    "Hiroshi Ishikawa: name them, no commercial use, and the same licence for what is made from them, this model "
    "included.",
    "mmagic": "MMagic publishes its weights under the Apache License 2.0; of another checkpoint its author decides.",
    "sequential": "The author of the checkpoint decides on its licence; the public files of this layout are "
    "conversions of the official weights, which are under CC BY-NC-SA 4.0 in every format.",
}
OFFICIAL_MEAN = (0.4560, 0.4472, 0.4155)
"""Of the official model for Places2, to four digits; as yangwangx and liruilong940607 give it."""
UNKNOWN_CHECKSUM = "The checksum is of no official file that is known here: correct the licence if it is another's."


def describe(path: Path, data: bytes, title: str) -> str:
    """Say in one sentence which file was converted."""
    name = re.sub(r"[^\w. -]", "_", path.name)  # it goes into Markdown, and into a template
    official = f", {OFFICIAL[md5(data)]}" if md5(data) in OFFICIAL else ""
    sums = f"md5 {md5(data)}, sha256 {hashlib.sha256(data).hexdigest()}"
    return f"Converted by `glcic convert` from `{name}` ({title}{official}; {sums})."


def licence_notes(kind: str, data: bytes) -> list[str]:
    """Say what is known about the licence."""
    return [LICENCES[kind]] + ([UNKNOWN_CHECKSUM] if kind == "torch7" and md5(data) not in OFFICIAL else [])


def write_into_card(model: "GLCICModel", notes: list[str], kind: str) -> None:
    """Let everything that writes this model's card (saving, pushing) write the notes and the licence."""
    info = model._hub_mixin_info
    card_data = copy.deepcopy(info.model_card_data)  # shared by all models
    has_official_mean = all(abs(a - b) < 1e-3 for a, b in zip(model.mean.tolist(), OFFICIAL_MEAN))
    if kind == "torch7" or (kind == "sequential" and has_official_mean):
        card_data.license = BY_NC_SA
    text = "\n\n".join(notes)
    template = f"{info.model_card_template.rstrip()}\n\n## Where the weights come from\n\n{text}\n"
    model._hub_mixin_info = dataclasses.replace(info, model_card_template=template, model_card_data=card_data)


def md5(data: bytes) -> str:
    """The checksum by which official files are recognised."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
