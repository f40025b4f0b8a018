"""How good the network is while it trains, on fixed crops of other pictures with fixed holes."""

import argparse
import math

import torch

from glcic_hub.network import CompletionNetwork, complete_batch
from train.dataset import TrainingCrops, find_pictures, source_names
from train.losses import completion_loss, random_holes

VALIDATION_PICTURES = 256
"""At most so many: enough to tell two checkpoints apart, few enough to measure often."""

_SEED = 7  # not that of the run: runs with other seeds are measured on the same crops and holes


class Validation:
    """Crops of `--validation_data_dir`, each with one hole; both made as in training, but in the pictures' own colours.

    Args:
        args: the settings; data, crops and holes follow from them alone.

    Raises:
        FileNotFoundError, ValueError: there are no such pictures; see `find_pictures`.
    """

    def __init__(self, args: argparse.Namespace):
        pictures = find_pictures(args.validation_data_dir)
        count = min(len(pictures), VALIDATION_PICTURES)
        crops = TrainingCrops(pictures, args.resolution, args.resize_range, count, _SEED)
        self._images = torch.stack([crops[index] for index in range(count)])
        self._masks = random_holes(args, count, [_SEED])[0]
        self._batch_size = args.train_batch_size
        self.protocol = {
            "data": source_names(args.validation_data_dir),
            "pictures": count,
            "resolution": args.resolution,
            "resize_range": list(args.resize_range),
            "hole_sizes": [args.min_hole_size, args.max_hole_size],
            "free_form_share": args.free_form_share,
            "silhouette_share": args.silhouette_share,
        }
        """What two measurements must have in common to be compared; JSON types."""

    @torch.no_grad()
    def measure(self, network: CompletionNetwork, mean: torch.Tensor) -> dict[str, float]:
        """Over the samples of all holes: `hole_l1_x100`, percent of the full range, and `hole_psnr`, dB."""
        was_training = network.training
        network.eval()
        absolute = squared = 0.0
        for start in range(0, len(self._images), self._batch_size):
            part = slice(start, start + self._batch_size)
            image, mask = self._images[part].to(mean.device), self._masks[part].to(mean.device)
            completed = complete_batch(network, image, mask, mean)
            absolute += ((completed - image).abs() * mask).sum().item()
            squared += completion_loss(completed, image, mask).item() * mask.sum().item() * image.shape[1]
        network.train(was_training)
        samples = self._masks.sum().item() * self._images.shape[1]
        return {"hole_l1_x100": 100 * absolute / samples, "hole_psnr": psnr(squared / samples)}


def psnr(squared_error: float) -> float:
    """Peak signal to noise ratio in dB of a mean squared error of values in [0, 1]; at most 100."""
    return -10 * math.log10(max(squared_error, 1e-10))
