"""The hole as a montage: pieces of the photo that are cut where they agree.

Votes of patches make a mean, which is softer than the photo. But they say from where to copy. The displacements that
patches choose are the labels of a graph of blocks (He and Sun: "Statistics of patch offsets for image completion", ECCV
2012); each block may take the few that cost it least. A label costs a block what the network's completion and the known
pixels beside it say against it; two labels cost neighbouring blocks what is seen of the seam between them, relative to
how much there is to see (Kwatra et al.: "Graphcut textures", SIGGRAPH 2003). `propagation.py` finds labels that cost
little together; then what several blocks copy is made dearer, and it finds labels again (an idea of Kaspar et al.:
"Self tuning texture optimization", Computer Graphics Forum 2015). `pieces.py` blends what they copy. Seams that are cut
pixel by pixel measured the same.
"""

import math

import torch
from scipy import ndimage
from torch.nn import functional as F

from glcic_hub.filling.patches import HELD, Level
from glcic_hub.filling.pieces import Photo, blended, rows_of
from glcic_hub.filling.progress import Progress, part_of, unseen
from glcic_hub.filling.propagation import Pairs, cheapest

CANDIDATES = 256
"""Displacements that a hole may be made with: those that most patches chose."""

LABELS = 12
"""Of them each block may take so many, those that cost it least by itself. 16 measured the same, and 64
that were the same for all blocks within 1.5 %, without order."""

BLOCK = 4
"""Side of a block in pixels, at least. 6 measured 2 % worse."""

BLOCKS = 28
"""So many of them make the side of a square of the hole's area: the larger a hole the larger its blocks."""

LARGEST_GRID = 2**13
"""So many blocks at most cover the hole's box, which bounds time and memory where a net of thin holes covers much."""

HINTS_WEIGHT = 1.0
"""How much the difference in a level's hints (a sum of squares, weighted as `synthesis.py` says) costs. With half of it
brush strokes measure 2 % worse; with twice as much, and seams at half, 1 % better. Squares and eyes find them equal."""

RIM = 4
"""Known pixels up to so many pixels from the hole are compared."""

RIM_WEIGHT = 12.0
"""How much their mean square difference costs. Between 3 and 15 all measured within 2 %, without order."""

UNSEEN = 0.02
"""That difference where it cannot be seen, because the label leads to where nothing is known."""

SEAM_WEIGHT = 0.02
"""How much a seam costs where two labels differ by as much as their gradients. Half of it measured the same."""

FLAT = 0.002
"""Added to the mean square of the gradients: in flat places everything is seen."""

SAMPLES = 4
"""Pixels along and across a seam that are compared."""

REUSE_WEIGHT = 0.003
"""How much it costs a block to copy what another one copies, too. Feature distance is up to 1.2 % higher than without,
but things are repeated less: two vision models ranked it before 0 on 22 of 48 sheets, and behind on 12."""

REUSE_KEPT = 0.5
"""This share of the costs of before is added to those of the next time: otherwise blocks would swap what they copy."""

REVISIONS = 2
"""So often labels are found again with such costs."""

LOST = 1000.0
"""What it costs a block if all that it copies is unknown; a share of it costs that share."""


def assembled(level: Level, hole: torch.Tensor, sources: torch.Tensor, progress: Progress = unseen) -> torch.Tensor:
    """The picture with its hole made of pieces of what is known.

    Args:
        level: the picture at its own scale; its image stays in the hole where no piece reaches.
        hole: bool (h, w), disjoint from what is known; not empty.
        sources: what its wanted patches chose.
        progress: called with the share of the work that is done, from 0 to 1.

    Returns:
        A picture like the level's image, another one in the hole.
    """
    photo = Photo(level.image[0], level.known)
    blocks = _Blocks(photo, level.hints[0], hole)
    displacements, costs = _labels(level, sources, blocks)
    progress(0.3)
    labels = _labelled(blocks, displacements, costs, part_of(progress, 0.3, 0.5))
    progress(0.8)
    y, x, moves = blocks.y, blocks.x, _taken(displacements, labels)[blocks.owner]
    result = level.image.clone()
    result[0, :, y, x] = blended(photo, y, x, moves, result[0, :, y, x].T, part_of(progress, 0.8, 0.2)).T
    return result


class _Blocks:
    """The blocks of a hole.

    Args:
        photo: what may be copied.
        hints: float32 (n, h, w), at any scale: what else is compared.
        hole: bool (h, w).
    """

    def __init__(self, photo: Photo, hints: torch.Tensor, hole: torch.Tensor):
        self.photo, self.hints = photo, hints
        squares = photo.looks.square()
        self.squares, self.strengths = squares.sum(1), squares[:, 3:].sum(1)
        self.y, self.x = torch.nonzero(hole, as_tuple=True)
        self.top, self.left = int(self.y.min()), int(self.x.min())
        box = (int(self.y.max()) + 1 - self.top) * (int(self.x.max()) + 1 - self.left)
        sides = math.sqrt(len(self.y)) / BLOCKS, math.sqrt(box / LARGEST_GRID)
        self.side = max(BLOCK, *(math.ceil(side - 0.5) for side in sides))
        row, column = (self.y - self.top) // self.side, (self.x - self.left) // self.side
        columns = int(column.max()) + 1
        cells, self.owner = torch.unique(row * columns + column, return_inverse=True)  # of each pixel: its block
        self.row, self.column = cells // columns, cells % columns
        self.is_white = (self.row + self.column) % 2 == 0  # as on a chessboard
        grid = torch.full((int(row.max()) + 2, columns + 1), -1, device=photo.device)
        grid[self.row, self.column] = torch.arange(len(cells), device=photo.device)
        self.below, self.right = grid[self.row + 1, self.column], grid[self.row, self.column + 1]  # -1: none
        self._find_rim(hole)
        at, owners = torch.stack([self.y, self.x]).float(), self.owner.expand(2, -1)  # MPS reduces no integers
        ends = (
            at.new_zeros(2, len(cells)).scatter_reduce(1, owners, at, how, include_self=False)
            for how in ("amin", "amax")
        )
        self.starts, last = (end.long() for end in ends)  # of each block's pixels
        self.sizes = last + 1 - self.starts
        self.unknown = _sums(F.pad((~photo.known).long(), (self.side,) * 4, value=1))

    def _find_rim(self, hole: torch.Tensor) -> None:
        """Known pixels near the hole; each belongs to the block that is nearest."""
        distance, nearest = ndimage.distance_transform_edt(~hole.cpu().numpy(), return_indices=True)
        y, x = (torch.tensor(at, device=self.photo.device) for at in ((distance > 0) & (distance <= RIM)).nonzero())
        known = self.photo.at(y, x) < self.photo.none
        self.rim_y, self.rim_x = y[known], x[known]
        owner = torch.full(hole.shape, -1, device=self.photo.device)
        owner[self.y, self.x] = self.owner
        beside_y, beside_x = torch.tensor(nearest, device=self.photo.device)[:, self.rim_y, self.rim_x]
        self.rim_owner = owner[beside_y, beside_x]

    def _mean(self, sums: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
        """Means of a map over what blocks, as rectangles, copy. `sums`: the map's, with a border of a block's side."""
        width = sums.shape[1]
        # what is wholly outside is moved into the border
        top, left = (
            (start + self.side + move).clamp(min=0).minimum(length - 1 - size)
            for start, move, length, size in zip(self.starts, (down, across), sums.shape, self.sizes)
        )
        upper, lower, right = top * width, (top + self.sizes[0]) * width, left + self.sizes[1]
        total = sums.take(lower + right) - sums.take(upper + right) - sums.take(lower + left) + sums.take(upper + left)
        return total.float() / self.sizes.prod(0)

    def costs(self, displacements: torch.Tensor) -> torch.Tensor:
        """What displacements (k, 2) cost each block, (k, blocks)."""
        step = max(1, HELD // (len(self.row) * len(self.hints) + 3 * len(self.rim_y)))
        return torch.cat([self._costs(part[:, :1], part[:, 1:]) for part in displacements.split(step)])

    def _costs(self, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
        photo, middle = self.photo, (self.side - 1) // 2
        y, x = self.top + self.row * self.side + middle, self.left + self.column * self.side + middle
        differences = self._hints_at(y + down, x + across) - self._hints_at(y, x)[:, None]
        costs = HINTS_WEIGHT * differences.square().sum(0) + LOST * self._mean(self.unknown, down, across)
        own, copied = photo.at(self.rim_y, self.rim_x), photo.at(self.rim_y + down, self.rim_x + across)
        wrong = (rows_of(photo.colours, copied) - photo.colours[own]).square().mean(2)
        wrong = torch.where(copied == photo.none, UNSEEN, wrong)
        return costs.index_add_(1, self.rim_owner, wrong, alpha=RIM_WEIGHT / (RIM * self.side))

    def reuse(self, displacements: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """About how many other blocks copy what a block, as a rectangle, would, (blocks, k).

        Args:
            displacements: those that it may take, (blocks, k, 2).
            labels: which of them each takes now.
        """
        taken = _taken(displacements, labels)
        copied = self.photo.at(*(torch.stack([self.y, self.x], 1) + taken[self.owner]).T)
        uses = copied.bincount(minlength=self.photo.none + 1)[:-1].view(self.photo.height, self.photo.width)
        every = self._mean(_sums(F.pad(uses, (self.side,) * 4)), *displacements.permute(2, 1, 0)).T
        shares = self.owner.bincount().float() / self.sizes.prod(0)  # of a rectangle that are the block's own pixels
        off = (displacements - taken[:, None]).abs().float() / self.sizes.T[:, None]
        own = shares[:, None] * (1 - off).clamp(min=0).prod(2)
        return (every - own).clamp(min=0)

    def _hints_at(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        height, width = self.hints.shape[1:]
        y, x = y * height // self.photo.height, x * width // self.photo.width
        return self.hints[:, y.clamp(0, height - 1), x.clamp(0, width - 1)]

    def seams(self, displacements: torch.Tensor, is_below: bool) -> Pairs:
        """The seams between blocks and those below, or to the right, if blocks have displacements (blocks, k, 2)."""
        neighbour = self.below if is_below else self.right
        (first,) = torch.nonzero(neighbour >= 0, as_tuple=True)
        second = neighbour[first]
        steps = torch.arange(SAMPLES, device=self.photo.device)
        along, over = ((2 * steps + 1) * self.side // (2 * SAMPLES)), steps - SAMPLES // 2
        along, over = along.repeat(SAMPLES), over.repeat_interleave(SAMPLES)
        down, across = (over, along) if is_below else (along, over)
        y = self.top + self.row[second, None, None] * self.side + down
        x = self.left + self.column[second, None, None] * self.side + across
        step = max(1, HELD // (2 * displacements.shape[1] * SAMPLES**2 * self.photo.looks.shape[1]))
        parts = zip(*(part.split(step) for part in (y, x, displacements[first], displacements[second])))
        return Pairs(first, second, torch.cat([self._differences(*part) for part in parts]))

    def _differences(self, y: torch.Tensor, x: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """What is seen of seams at pixels (pairs, 1, samples) between each two displacements (pairs, k, 2)."""
        looks, squares, strengths = self._seen(y, x, one)
        other_looks, other_squares, other_strengths = self._seen(y, x, other)
        differences = squares[:, :, None] + other_squares[:, None]
        differences = torch.baddbmm(differences, looks, other_looks.transpose(1, 2), alpha=-2).clamp_(min=0)
        # means over samples and channels, as 9 numbers of 3 channels are one difference
        strengths = (strengths[:, :, None] + other_strengths[:, None]) / 2 + 3 * SAMPLES**2 * FLAT
        return differences.div_(strengths).mul_(SEAM_WEIGHT)

    def _seen(
        self, y: torch.Tensor, x: torch.Tensor, moves: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Looks of pixels displaced, (pairs, k, n), the sum of their squares, and that of their gradients'."""
        places = self.photo.at(y + moves[..., :1], x + moves[..., 1:])  # (pairs, k, samples)
        looks = rows_of(self.photo.looks, places).flatten(2)
        return looks, self.squares.take(places).sum(2), self.strengths.take(places).sum(2)


def _labels(level: Level, sources: torch.Tensor, blocks: _Blocks) -> tuple[torch.Tensor, torch.Tensor]:
    """The displacements each block may take, int64 (blocks, k, 2), and what they cost it, (blocks, k)."""
    there, here = level.split(sources), level.split(level.targets)
    middle = level.rows, level.columns
    votes = torch.zeros(2 * level.rows, 2 * level.columns, dtype=torch.float32, device=level.device)
    at = there[0] - here[0] + middle[0], there[1] - here[1] + middle[1]
    votes.index_put_(at, votes.new_ones(len(sources)), accumulate=True)
    # what is displaced by a pixel more or less is the same piece
    around = torch.where(votes > 0, F.avg_pool2d(votes[None, None], 3, stride=1, padding=1)[0, 0] + votes / 1000, 0)
    peaks = torch.nonzero((votes > 0) & (around == F.max_pool2d(around[None, None], 3, stride=1, padding=1)[0, 0]))
    order = around[peaks[:, 0], peaks[:, 1]].argsort(descending=True, stable=True)
    candidates = peaks[order[:CANDIDATES]] - peaks.new_tensor(middle)
    costs = blocks.costs(candidates).T
    own, chosen = costs.sort(dim=1, stable=True)
    return candidates[chosen[:, :LABELS]], own[:, :LABELS].contiguous()


def _labelled(
    blocks: _Blocks, displacements: torch.Tensor, costs: torch.Tensor, progress: Progress = unseen
) -> torch.Tensor:
    """The number of a displacement for each block, int64 (blocks,), among those that it may take."""
    seams = [blocks.seams(displacements, is_below) for is_below in (False, True)]
    progress(0.3)
    labels, dearer = cheapest(costs, seams, blocks.is_white), torch.zeros_like(costs)
    for number in range(REVISIONS):
        progress(0.3 + 0.7 * (number + 1) / (REVISIONS + 1))
        dearer = REUSE_KEPT * dearer + REUSE_WEIGHT * blocks.reuse(displacements, labels)
        labels = cheapest(costs + dearer, seams, blocks.is_white)
    return labels


def _taken(displacements: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of each block's displacements (blocks, k, 2) that of its label, (blocks, 2)."""
    return displacements[torch.arange(len(labels), device=labels.device), labels]


def _sums(values: torch.Tensor) -> torch.Tensor:
    """Of a map (h, w): what is above and to the left of each corner in all, (h + 1, w + 1)."""
    return F.pad(values.cumsum(0).cumsum(1), (1, 0, 1, 0))
