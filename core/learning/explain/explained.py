"""What a network is made of, told in numbers: for the model page. Torch-free.

`core.learning.explain.network` finds it out, in the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.models.specs import Option

PICTURE: Final = -1
"""Among the inputs of a block: the image itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Layers of one part of a network that follow each other at one resolution.

    Attributes:
        part: what the network calls it, such as "encoder"; "" for what it does between its parts.
        title: the same for people.
        shape: (channels, height, width) of what it gives.
        layers: kinds of layers in the order in which they first come, such as "2 x convolution 3 x 3".
        parameters: how many numbers it learns.
        inputs: blocks whose maps it takes, by their positions; `PICTURE` for the image.
        maps: name of the maps it gives, for whoever asks to see them.
    """

    part: str
    title: str
    shape: tuple[int, int, int]
    layers: tuple[str, ...]
    parameters: int
    inputs: tuple[int, ...]
    maps: int = 0


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What of the image has a say in the scores of one pixel, theoretically: the middle counts far more.

    Attributes:
        height, width: of the box that holds it, pixels of the image as the network sees it; where pixels
            differ, by their place on the grid of coarser maps, that of the pixel that sees most.
        above, left: how many of those rows and columns lie before the pixel.
        whole: averages of whole maps, or attention, besides: everything has some say.
    """

    height: int
    width: int
    above: int
    left: int
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Pictures:
    """Grey pictures of one size, as bytes: they travel between processes.

    Attributes:
        shape: (how many, height, width). data: uint8, one picture after the other, row by row.
    """

    shape: tuple[int, int, int]
    data: bytes

    def __len__(self) -> int:
        return self.shape[0]

    def array(self) -> NDArray[np.uint8]:
        """(how many, height, width), uint8."""
        return np.frombuffer(self.data, np.uint8).reshape(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A network for tiles of one size.

    Attributes:
        name, title, encoder, options: of the registry.
        tile: side of the tile, pixels. classes: scores a pixel.
        parameters: how many numbers it learns.
        macs: multiplications and additions for one tile; None of a forest, which mostly compares.
        field: what a pixel's scores depend on.
        predict_bytes, train_bytes: memory for predicting one tile, and for learning from one, in float32;
            of what is grown and not learned by gradients, None for the latter.
        blocks: in the order in which they are computed.
        scores: position of the block that gives the scores.
    """

    name: str
    title: str
    encoder: str
    options: dict[str, Option]
    tile: int
    classes: int
    parameters: int
    macs: int | None
    predict_bytes: int
    train_bytes: int | None
    field: ReceptiveField
    blocks: tuple[Block, ...]
    scores: int = -1
