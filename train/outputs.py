"""What a run leaves for people: the model, its record, pictures of how far it is. Every file whole or not at all."""

import argparse
import io
import json
import platform
import shutil
import tempfile
from pathlib import Path

import torch
from PIL import Image

from glcic_hub.atomic import write_whole
from glcic_hub.model import GLCICModel
from glcic_hub.network import CompletionNetwork, complete_batch
from train.checkpoints import UNFINISHED, Progress
from train.losses import composite, random_holes
from train.sources import data_names, public_name


def save_model(folder: Path, network: CompletionNetwork, config: dict, record: dict, output_dir: Path) -> None:
    """Write what `GLCICModel.from_pretrained(folder)` loads, and `training.json` beside it.

    Args:
        folder: `output_dir` or a folder in it; what is in it is replaced, file by file, when all of it is written.
        network: its weights are saved.
        config: the arguments of `GLCICModel`.
        record: the content of `training.json`.
        output_dir: of the run; what a killed run leaves there is removed when it is resumed.
    """
    model = GLCICModel(**config)
    model.network.load_state_dict(network.state_dict())
    unfinished = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}model-", dir=output_dir))
    try:
        model.save_pretrained(unfinished)
        (unfinished / "training.json").write_text(json.dumps(record, indent=2) + "\n")
        folder.mkdir(exist_ok=True)
        for file in unfinished.iterdir():
            if file.name == "README.md" and (folder / file.name).exists():
                continue  # it may have been written by hand
            write_whole(folder / file.name, file.read_bytes())
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def training_record(args: argparse.Namespace, progress: Progress, pictures: int | None) -> dict:
    """The settings, the data and the cost of the weights, for `training.json`, which is published with them.

    No folder of this machine is named. `pictures`: how many there are, None for a stream.
    """
    paths = ("output_dir", "train_data_dir", "data_files", "validation_data_dir", "resume_from_checkpoint")
    settings = {name: value for name, value in vars(args).items() if name not in paths}
    for name in ("pretrained_model_name_or_path", "dataset_name"):
        settings[name] = settings[name] and public_name(settings[name])
    cpu = f"CPU, {torch.get_num_threads()} thread(s)"
    return {
        "steps": progress.step,
        "adversarial_steps": max(0, progress.step - args.completion_steps - args.discriminator_steps - 1),
        "crops": progress.samples,
        "pictures": pictures,
        "data": data_names(args),
        "damaged": {name: progress.damage[name] for name in ("count", "names")},
        "minutes": round(progress.seconds / 60, 1),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "settings": settings,
    }


def save_samples(
    path: Path, network: CompletionNetwork, mean: torch.Tensor, image: torch.Tensor, args: argparse.Namespace
) -> None:
    """Write a picture of the crops `image` (B, 3, H, W): a row with holes, a row completed, a row as they were."""
    image = image.to(mean.device)
    masks = random_holes(args, len(image), [args.seed])[0].to(mean.device)
    was_training = network.training
    with torch.no_grad():
        completed = complete_batch(network.eval(), image, masks, mean)
    network.train(was_training)
    rows = [image * (1 - masks) + masks, composite(image, completed, masks), image]
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    buffer = io.BytesIO()
    Image.fromarray((sheet * 255).round().byte().permute(1, 2, 0).cpu().numpy()).save(buffer, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, buffer.getvalue())
