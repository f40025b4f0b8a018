"""Patches of a picture at one scale: which known patch is like a patch of the hole, and what the chosen ones say.

The search is PatchMatch's (Barnes et al., SIGGRAPH 2009): a patch tries what its neighbours chose, moved along, and
places near its own choice. Patches are compared by their principal components, together with values that are given
for each place (`hints`), so that a comparison takes less than thirty numbers instead of 243. Half of the patches try at
once, which suits vector instructions and GPUs alike; a choice is cheaper where neighbours continue the same piece.
"""

import math
from functools import cached_property

import torch
from torch.nn import functional as F

from glcic_hub.filling.grids import NEIGHBOURS

PATCH = 9
"""Side of the patches, in pixels of each scale. On squares 7 is 0.7 % worse in L1 and in feature distance, 11 the same;
on brush strokes 7 is the same, 11 1.3 % worse, 5 2 % worse."""

COMPONENTS = 16
"""Principal components by which patches are compared, besides their mean colour; 24 and 48 measured the same."""

SAMPLE = 1000
"""From how many known patches these components are made."""

DECAY = 1.6
"""By which factor a patch's vote falls with each pixel that it lies deeper in the hole: what is near to known pixels
is more certain. 1.3 and 2.2 measured 0.5 % worse in feature distance."""

LEAST_CONFIDENCE = 1e-4
"""Deeper than this factor all patches count alike."""

NEAREST_AMONG = 2**12
"""The exhaustive search looks at so many known patches, evenly spread; four times as many measured the same."""

RADII = (8, 3, 1)
"""How far around its present choice a patch looks for a better one, in pixels."""

HELD = 2**22
"""Numbers held at once where patches are described and compared and votes are counted: it bounds the memory."""

COHERENCE = 0.5
"""How much it is worth, in mean costs, that one neighbour continues the same piece of the picture. 0.1 with
a tolerance of 0.7 measured 0.5 % worse on squares and 0.8 % on brush strokes."""

TOLERANCE = 0.2
"""A patch that costs so many mean costs more than another one has 1/e of its vote."""


class Level:
    """The picture at one scale: patches that may be copied, and patches that are wanted because they touch the hole.

    A patch is named by the number of its upper left corner, row by row, among all corners (`rows` x `columns`).

    Args:
        image: float32 (1, 3, h, w), known pixels and a first guess of the others.
        known: bool (h, w).
        hole: bool (h, w), disjoint from `known`: what is wanted. Pixels that are neither and reached by a wanted patch
            are filled as well.
        depth: float32 (h, w): how far each pixel is from the known ones, in pixels of this scale.
        hints: float32 (1, n, h, w): what else is compared, at the middle of a patch; read by the search alone.
        stride: only every so many corners, down and across, are wanted.
        generator: decides which patches the components are made from, and where is searched.
    """

    def __init__(
        self,
        image: torch.Tensor,
        known: torch.Tensor,
        hole: torch.Tensor,
        depth: torch.Tensor,
        hints: torch.Tensor,
        stride: int,
        generator: torch.Generator,
    ):
        self.image, self.known, self.hints, self.stride = image, known, hints, stride
        self.generator = generator
        self.device = image.device
        self.height, self.width = known.shape
        self.rows, self.columns = self.height - PATCH + 1, self.width - PATCH + 1
        self.usable = ~_any_in_patches(~known).flatten()
        self.sources = torch.nonzero(self.usable)[:, 0]
        wanted = _any_in_patches(hole)
        wanted &= self._on_lattice(self.rows)[:, None] & self._on_lattice(self.columns)
        self.targets = torch.nonzero(wanted.flatten())[:, 0]
        self.number = torch.full((self.rows * self.columns,), -1, dtype=torch.int32, device=self.device)
        self.number[self.targets] = torch.arange(len(self.targets), dtype=torch.int32, device=self.device)
        reached = F.pad(_any_in_patches(hole), (PATCH - 1,) * 4)
        self.pixels = torch.nonzero((_any_in_patches(reached) & ~known).flatten())[:, 0]
        middle = depth[PATCH // 2 :, PATCH // 2 :][: self.rows, : self.columns].flatten()[self.targets]
        self.log_confidence = (-middle * math.log(DECAY)).clamp(min=math.log(LEAST_CONFIDENCE))
        self.colours = image[0].flatten(1).T.contiguous()  # (pixels, 3)

    def _on_lattice(self, corners: int) -> torch.Tensor:
        at = torch.arange(corners, device=self.device)
        return (at % self.stride == 0) | (at == corners - 1)  # the last ones reach the picture's border

    def split(self, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and columns of patches."""
        return torch.div(numbers, self.columns, rounding_mode="floor"), numbers % self.columns

    def wanted_near(self, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """The number, among `targets`, of the wanted patch at a corner or shortly before it; -1 where there is none."""
        at = []
        for place, corners in ((row, self.rows), (column, self.columns)):
            place = place.clamp(0, corners - 1)
            at.append(torch.where(place == corners - 1, place, place - place % self.stride))
        return self.number[at[0] * self.columns + at[1]]

    def drawn(self, count: int) -> torch.Tensor:
        """So many known patches, by chance."""
        numbers = torch.randint(len(self.sources), (count,), generator=self.generator, device=self.generator.device)
        return self.sources[numbers.to(self.device)]

    # Comparing

    @cached_property
    def basis(self) -> torch.Tensor:
        """(n, 3, PATCH, PATCH): components and mean colours, scaled so that distances are mean squares of a patch."""
        top, left = self.split(self.drawn(min(SAMPLE, len(self.sources))))
        cells = torch.arange(PATCH, device=self.device)
        cells = (cells[:, None] * self.width + cells).flatten()
        some = self.colours[(top * self.width + left)[:, None] + cells].transpose(1, 2)  # (patches, 3, cells)
        some = (some - some.mean(2, keepdim=True)).flatten(1)
        components = torch.linalg.eigh(some.T @ some)[1].flip(1)[:, :COMPONENTS].T / math.sqrt(some.shape[1])
        means = torch.eye(3, dtype=torch.float32, device=self.device).repeat_interleave(PATCH**2, 1)
        means = means / (math.sqrt(3) * PATCH**2)
        return torch.cat([components, means]).reshape(-1, 3, PATCH, PATCH).contiguous()

    @cached_property
    def features(self) -> torch.Tensor:
        """What all patches are compared by, float32 (rows * columns, n)."""
        return self.described(self.image)

    def described(self, image: torch.Tensor, rows: slice | None = None) -> torch.Tensor:
        """The features of all patches of a picture like `image`, or of those in some rows."""
        first, last = (0, self.rows) if rows is None else (rows.start, rows.stop)
        count = len(self.basis)
        size = (last - first, self.columns, count + self.hints.shape[1])
        result = torch.empty(size, dtype=torch.float32, device=self.device)
        half = PATCH // 2
        hints = self.hints[0, :, half : half + self.rows, half : half + self.columns]
        step = max(1, HELD // (self.columns * result.shape[2]))
        for top in range(first, last, step):
            stop = min(top + step, last)
            part = result[top - first : stop - first]
            part[..., :count] = F.conv2d(image[:, :, top : stop + PATCH - 1], self.basis)[0].permute(1, 2, 0)
            part[..., count:] = hints[:, top:stop].permute(1, 2, 0)
        return result.flatten(0, 1)

    def described_targets(self, image: torch.Tensor) -> torch.Tensor:
        """The features of the wanted patches of a picture like `image`, (targets, n)."""
        top = int(self.targets[0]) // self.columns
        rows = slice(top, int(self.targets[-1]) // self.columns + 1)
        return self.described(image, rows).index_select(0, self.targets - top * self.columns)

    def nearest(self, wanted: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For each wanted patch the most similar of the known ones, and its cost, by exhaustive search.

        Args:
            wanted: features of the wanted patches, (targets, n).
            features: those of all patches.
        """
        sources = self.sources[:: math.ceil(len(self.sources) / NEAREST_AMONG)]
        offered = features[sources]
        offered = torch.cat([-2 * offered, offered.square().sum(1, keepdim=True)], 1).T.contiguous()
        asked = torch.cat([wanted, torch.ones_like(wanted[:, :1])], 1)
        found = [(part @ offered).min(1) for part in asked.split(HELD // len(sources))]
        costs = torch.cat([one.values for one in found]) + wanted.square().sum(1)
        return sources[torch.cat([one.indices for one in found])], costs.clamp(min=0)

    @cached_property
    def beside(self) -> torch.Tensor:
        """The numbers, among `targets`, of each one's four neighbours, (4, targets); -1 where there is none."""
        return torch.stack([self._neighbour(dy * self.stride, dx * self.stride) for dy, dx in NEIGHBOURS])

    def _neighbour(self, dy: int, dx: int) -> torch.Tensor:
        top, left = self.split(self.targets)
        y, x = top + dy, left + dx
        valid = (y >= 0) & (y < self.rows) & (x >= 0) & (x < self.columns)
        return torch.where(valid, self.number[torch.where(valid, y * self.columns + x, 0)], -1)

    def _agreeing(self, offered: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """How many neighbours' choices are displaced by as much as what is offered: the same piece goes on there."""
        displacements = sources - self.targets
        same = displacements[self.beside.clamp(min=0)] == offered - self.targets
        return (same & (self.beside >= 0)).sum(0)

    def improved(
        self, wanted: torch.Tensor, sources: torch.Tensor, distances: tuple[int, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Better choices than `sources` for wanted patches of the given features, and their costs.

        Each neighbour that continues the same piece makes a choice cheaper (`COHERENCE`); the costs that are
        returned are without that.

        `distances`: from how far, in wanted patches, neighbours' choices are tried.
        """
        costs = (wanted - self.features.index_select(0, sources)).square().sum(1)
        worth = COHERENCE * costs.mean()

        def tried(y, x, valid, sources, costs):
            valid = valid & (y >= 0) & (y < self.rows) & (x >= 0) & (x < self.columns)
            offered = torch.where(valid, y * self.columns + x, 0)
            cost = (wanted - self.features.index_select(0, offered)).square().sum(1)
            gain = worth * (self._agreeing(offered, sources) - self._agreeing(sources, sources))
            better = valid & self.usable[offered] & (cost - gain < costs)
            return torch.where(better, offered, sources), torch.where(better, cost, costs)

        every = torch.ones_like(sources, dtype=torch.bool)
        for radius in RADII:
            size = (2, len(sources))
            off = torch.randint(-radius, radius + 1, size, generator=self.generator, device=self.generator.device)
            y, x = self.split(sources)
            sources, costs = tried(y + off[0].to(self.device), x + off[1].to(self.device), every, sources, costs)
        top, left = self.split(self.targets)
        is_white = (top // self.stride + left // self.stride) % 2 == 0
        for step in (distance * self.stride for distance in distances):
            for dy, dx in ((down * step, right * step) for down, right in NEIGHBOURS):
                neighbour = self._neighbour(dy, dx)
                for colour in (is_white, ~is_white):  # as on a chessboard: whom a choice is to agree with keeps still
                    y, x = self.split(sources[neighbour.clamp(min=0)])
                    sources, costs = tried(y - dy, x - dx, colour & (neighbour >= 0), sources, costs)
        return sources, costs

    # Voting

    def voted(self, sources: torch.Tensor, costs: torch.Tensor) -> torch.Tensor:
        """The picture, like `image`, in which the chosen patches have said what the hole looks like."""
        log_weights = self.log_confidence - costs / (TOLERANCE * costs.mean().clamp(min=1e-8))
        top, left = self.split(sources)
        corners = top * self.width + left
        colours = self.colours.clone()
        for part in self.pixels.split(HELD // 2 ** (2 + PATCH // self.stride)):
            voters, steps = self._voters(part)
            covering = voters >= 0
            weights = torch.softmax(torch.where(covering, log_weights[voters.clamp(min=0)], -torch.inf), 1)
            votes = self.colours.index_select(0, (corners[voters.clamp(min=0)] + steps).flatten())
            said = torch.bmm(weights[:, None], votes.view(*voters.shape, 3))[:, 0]
            colours[part] = torch.where(covering.any(1, keepdim=True), said, colours[part])
        return colours.T.reshape(self.image.shape)

    def _voters(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The wanted patches that cover each pixel (-1: none), and how far in them it lies behind their corner."""
        y, x = torch.div(pixels, self.width, rounding_mode="floor"), pixels % self.width
        (top, valid_top), (left, valid_left) = self._covering(y, self.rows), self._covering(x, self.columns)
        valid = (valid_top[:, :, None] & valid_left[:, None]).flatten(1)
        corner = (top[:, :, None] * self.columns + left[:, None]).flatten(1)
        step = ((y[:, None] - top)[:, :, None] * self.width + (x[:, None] - left)[:, None]).flatten(1)
        voters = torch.where(valid, self.number[torch.where(valid, corner, 0)], -1)
        return voters, torch.where(voters < 0, 0, step)

    def _covering(self, at: torch.Tensor, corners: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Along one axis: corners on the lattice whose patches may cover the places, and whether they do."""
        steps = torch.arange(math.ceil(PATCH / self.stride), device=self.device)
        corner = (torch.div(at, self.stride, rounding_mode="floor")[:, None] - steps) * self.stride
        if (corners - 1) % self.stride:
            corner = torch.cat([corner, torch.full_like(corner[:, :1], corners - 1)], 1)
        return corner, (corner >= 0) & (corner < corners) & (corner <= at[:, None]) & (at[:, None] - corner < PATCH)


def _any_in_patches(where: torch.Tensor) -> torch.Tensor:
    """Whether a patch has a pixel that is `where`: bool, by its upper left corner."""
    found = F.max_pool2d(where[None, None].float(), (PATCH, 1), stride=1)
    return F.max_pool2d(found, (1, PATCH), stride=1)[0, 0] > 0
