"""What a network is made of: its blocks with the sizes of their maps, its numbers, what it sees.

Built and passed through on torch's meta device, where tensors have sizes and no values: even the largest
network takes no memory. It takes seconds all the same, and comes in pieces, between which an engine can
attend to something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core.errors import UsageError
from core.learning.explain.blend import blocks_of_blend
from core.learning.explain.explained import PICTURE, Block, Explanation
from core.learning.explain.receptive_field import receptive_field
from core.learning.explain.trace import PASSED_ON, Group, Recorder, trace
from core.models.blend import BlendNetwork
from core.models.network import SegmentationNetwork
from core.models.random_forest import ForestNetwork
from core.models.registry import build, model_spec
from core.models.specs import Option

USUAL_TILE: Final = 512
SMALLEST_TILE: Final = 32
LARGEST_TILE: Final = 4096
MOST_BLOCKS: Final = 28
"""In a diagram: with more of them, neighbours of a part are one."""
_TITLES: Final = {
    "encoder": "Encoder",
    "ups": "Decoder",
    "levels": "Decoder",
    "units": "Decoder",
    "decoder": "Decoder",
    "head": "Scores",
    "score": "Scores",
    "context": "Context",
    "forest": "Trees",
    "fc6": "fc6",
    "fc7": "fc7",
}
AGAIN: Final = "weights of an earlier block, used again"
HAND_MADE: Final = "features made by hand: nothing of them is learned"
_BETWEEN: Final = (
    ("upsampling", "Upsampling"),
    ("transposed", "Upsampling"),
    ("unpool", "Unpooling"),
    ("concatenate", "Joined"),
    ("add", "Joined"),
    ("pool", "Pooling"),
    ("divide", "Standardized"),
)
"""Titles of blocks that belong to no part, by what is in them."""
_COPIES: Final = 5
"""Value, gradient, two moments of AdamW and the moving average of every parameter."""
_WORKING: Final = 1.5
"""What convolutions need at work, on top of what is kept for the gradient."""


def explaining(
    name: str,
    *,
    tile: int = USUAL_TILE,
    classes: int = 2,
    encoder: str | None = None,
    options: Mapping[str, Option] | None = None,
) -> Generator[None, None, Explanation]:
    """Explain a network of the registry, a piece of the work at a time.

    Raises:
        UsageError: an unknown name, encoder or option, or a tile that is out of bounds.
    """
    if not SMALLEST_TILE <= tile <= LARGEST_TILE:
        nearest = min(max(tile, SMALLEST_TILE), LARGEST_TILE)
        raise UsageError(
            f"a tile of {tile} pixels cannot be explained; take {SMALLEST_TILE} to {LARGEST_TILE}: {nearest}"
        )
    network = _on_meta(name, classes=classes, encoder=encoder, options=options or {})
    yield
    picture = torch.empty(1, 3, tile, tile, device="meta")
    try:
        recorder = trace(network, picture)
        yield
        seen_by = recorder
        if network.encoder.output_stride == 1:
            # A pixel's trees ask about its own features only, in an order that hides where they are.
            seen_by = trace(network.encoder, picture)
            yield
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"{name} cannot take a tile of {tile} pixels ({reason}); take a larger one"
        ) from error
    parts = [part for part in network.modules() if isinstance(part, SegmentationNetwork)]
    margin = max(part.surroundings(tile)[0] for part in parts)
    field = yield from receptive_field(seen_by, picture, margin=margin)
    values = sum(parameter.numel() for parameter in network.parameters())
    macs = train_bytes = None
    if not isinstance(network, ForestNetwork):
        macs = _macs(network, picture)
        yield
        train_bytes = 4 * _COPIES * values + int(_WORKING * kept_bytes(network, picture))
        yield
    if isinstance(network, BlendNetwork):
        blocks = blocks_of_blend(network, tile)
        scores = len(blocks) - 1
    else:
        blocks, scores = blocks_of(recorder)
    return Explanation(
        name=name,
        title=model_spec(name).title,
        encoder=network.encoder_name,
        options=network.options,
        tile=tile,
        classes=classes,
        parameters=values,
        macs=macs,
        predict_bytes=4 * values + peak_bytes(recorder),
        train_bytes=train_bytes,
        field=field,
        blocks=blocks,
        scores=scores,
    )


def blocks_of(recorder: Recorder) -> tuple[tuple[Block, ...], int]:
    """The blocks of a traced network, and which of them feeds which; and the position of its scores."""
    groups = recorder.grouping.groups
    inputs: list[list[int]] = [[] for _ in groups]
    for operation in recorder.operations:
        if operation.block == PASSED_ON:
            continue
        for source in operation.sources:
            if source != operation.block and source not in inputs[operation.block]:
                inputs[operation.block].append(source)
    scores = recorder.maker.get(id(recorder.result), len(groups) - 1)
    blocks, with_weights = [], set()
    counted: set[int] = set()
    for number, (group, sources) in enumerate(zip(groups, inputs, strict=True)):
        fresh = group.weights.keys() - counted
        counted |= fresh
        with_weights |= {number} if group.weights else set()
        blocks.append(
            Block(
                part=group.part,
                title=_title_of(group, scores=number == scores),
                shape=group.shape,
                layers=_layers(group),
                parameters=sum(group.weights[weight] for weight in fresh),
                inputs=tuple(sorted(sources)),
                maps=number,
            )
        )
    few = tuple(
        replace(block, layers=(*block.layers, AGAIN))
        if block.maps in with_weights and not block.parameters
        else block
        for block in condensed(blocks, MOST_BLOCKS)
    )
    return few, next(place for place, block in enumerate(few) if block.maps >= scores)


def condensed(blocks: Sequence[Block], most: int) -> tuple[Block, ...]:
    """The same blocks; while they are more than `most`, neighbours of one part are taken together.

    The part that is divided most comes first, so that the others keep what they show.
    """
    result = tuple(blocks)
    while len(result) > most:
        divided = Counter(block.part for block, after in pairwise(result) if block.part == after.part)
        if not divided:
            break
        ((part, _),) = divided.most_common(1)
        result = _taken_together(result, part)
    return result


def _taken_together(blocks: Sequence[Block], part: str) -> tuple[Block, ...]:
    """Neighbours of a part as one block, which gives what the last of them gives."""
    result: list[Block] = []
    place: dict[int, int] = {PICTURE: PICTURE}
    for number, block in enumerate(blocks):
        sources = {place[source] for source in block.inputs}
        last = result[-1] if result else None
        if last is not None and last.part == block.part == part:
            here = len(result) - 1
            result[-1] = replace(
                block,
                layers=_counted(last.layers, block.layers),
                parameters=last.parameters + block.parameters,
                inputs=tuple(sorted((sources | set(last.inputs)) - {here})),
            )
        else:
            here = len(result)
            result.append(replace(block, inputs=tuple(sorted(sources))))
        place[number] = here
    return tuple(result)


def _title_of(group: Group, *, scores: bool) -> str:
    """What people call a part of a network."""
    if group.whole:
        return "Features"
    if group.part:
        return _TITLES.get(group.part, group.part.replace("_", " ").capitalize())
    if scores:
        return "Scores"
    words = " ".join(group.layers)
    return next((title for word, title in _BETWEEN if word in words), "In between")


def peak_bytes(recorder: Recorder) -> int:
    """The most that maps take at one time while a tile is passed through and nothing is kept for learning."""
    last_use: dict[int, int] = {}
    sizes: dict[int, int] = {}
    made: list[list[int]] = []
    for number, operation in enumerate(recorder.operations):
        for tensor in (*operation.inputs, *operation.outputs):
            last_use[_storage(tensor)] = number
            sizes[_storage(tensor)] = tensor.untyped_storage().nbytes()
        made.append([_storage(output) for output in operation.outputs])
    alive: set[int] = set()
    peak = 0
    for number, storages in enumerate(made):
        alive.update(storages)
        peak = max(peak, sum(sizes[storage] for storage in alive))
        alive = {storage for storage in alive if last_use[storage] > number}
    return peak


def kept_bytes(module: nn.Module, picture: Tensor) -> int:
    """What learning from a picture (1, C, H, W) keeps for the gradient, float32, parameters left out."""
    own = {_storage(tensor) for tensor in [*module.parameters(), *module.buffers()]}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in own:
            kept[_storage(tensor)] = tensor
        return tensor

    # Two pictures: batch normalisation of a map of one value cannot learn from one.
    pair = picture.expand(2, -1, -1, -1).clone()
    was_training = module.training
    module.train()
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            module(pair)
    finally:
        module.train(was_training)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) // 2


def _macs(module: nn.Module, picture: Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(picture)
    return int(counter.get_total_flops()) // 2


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _layers(group: Group) -> tuple[str, ...]:
    if group.whole:
        return (HAND_MADE,)
    return tuple(f"{count} x {layer}" if count > 1 else layer for layer, count in group.layers.items())


def _counted(*blocks: tuple[str, ...]) -> tuple[str, ...]:
    """Layers of several blocks, those of one kind counted together."""
    counts: Counter[str] = Counter()
    for layer in chain.from_iterable(blocks):
        number, times, kind = layer.partition(" x ")
        if times and number.isdigit() and not kind[:1].isdigit():
            counts[kind] += int(number)
        else:
            counts[layer] += 1
    return tuple(f"{count} x {layer}" if count > 1 else layer for layer, count in counts.items())


def _on_meta(
    name: str, *, classes: int, encoder: str | None, options: Mapping[str, Option]
) -> SegmentationNetwork:
    try:
        with torch.device("meta"):
            return build(name, classes=classes, encoder=encoder, **options)
    except (RuntimeError, NotImplementedError):  # a few encoders compute with values while they are built
        network: SegmentationNetwork = build(name, classes=classes, encoder=encoder, **options).to("meta")
        return network
