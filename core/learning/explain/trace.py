"""A network's forward pass, written down: which operations, on which maps, in which part of it.

Operations are seen where torch dispatches them, so that functions between modules count as modules do. On the
meta device nothing is computed and every network is traced in a moment.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from core.learning.explain.explained import PICTURE

CONVOLUTION: Final = "convolution"
PADS: Final = frozenset({"replication_pad2d", "reflection_pad2d", "constant_pad_nd"})
LOST: Final = 4
"""Rows and columns that two convolutions without padding take away."""
PASSED_ON: Final = -2
"""In place of a block: what only adds or takes rows and columns at the border belongs to none."""
_PASSING: Final = frozenset({"detach", "alias", "view", "_unsafe_view", "reshape", "t", "expand", "clone"})
_MOVES: Final = frozenset({*PADS, *_PASSING, "slice", "permute"})
_NORMS: Final = {"batch_norm": "batch norm", "group_norm": "group norm", "layer_norm": "layer norm"}
_POOLS: Final = {
    "max_pool2d_with_indices": "max pool",
    "max_pool2d": "max pool",
    "avg_pool2d": "average pool",
    "pixel_unshuffle": "pool that keeps places",
}
_NAMES: Final = {
    "cat": "concatenate",
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "bmm": "matrix product",
    "mm": "matrix product",
    "relu": "ReLU",
    "silu": "SiLU",
    "hardtanh": "ReLU6",
    "hardswish": "hard swish",
    "sigmoid": "sigmoid",
    "hardsigmoid": "hard sigmoid",
    "mean": "average of the map",
    "pixel_shuffle": "unpool",
    "gather": "look up",
    "gt": "question",
    "logsumexp": "average of the votes",
}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation on maps that come from the image.

    Attributes:
        kind: its name in torch, without overload and the underscore of in-place ones.
        arguments: as it was called with.
        inputs: the tensors among them that come from the image. outputs: what it gave.
        path: of the module it was in; "" for the network itself.
        block: position of its block.
        sources: of the blocks that have made the inputs, as they were then; `PICTURE` for the image.
    """

    kind: str
    arguments: tuple[Any, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    path: str
    block: int
    sources: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Group:
    """Operations of one block.

    Attributes:
        part: the first name of their path. shape: (channels, height, width) of the last map.
        weights: parameters that were used, by identity.
        whole: it is a part that has none, and a block all the same.
    """

    part: str
    shape: tuple[int, int, int]
    layers: Counter[str] = field(default_factory=Counter)
    weights: dict[int, int] = field(default_factory=dict)
    whole: bool = False

    @property
    def hw(self) -> tuple[int, int]:
        """Its resolution."""
        return self.shape[1:]


class Grouping:
    """Puts operations into blocks, one after the other: a block is one part at one resolution.

    What a network does between its parts belongs to the block before it, unless it changes the resolution;
    pools, upsamplings and joins belong to what follows them.

    Args:
        whole: parts that have no parameters and are blocks of their own all the same.
    """

    def __init__(self, whole: frozenset[str] = frozenset()) -> None:
        self.groups: list[Group] = []
        self._whole = whole

    def add(self, kind: str, path: str, output: Tensor, layer: str, weights: Mapping[int, int]) -> int:
        """The position of the block of an operation."""
        part = path.partition(".")[0]
        if not is_map(output):  # an aside: attention, a map's average
            if not self.groups or (self.groups[-1].part in self._whole and part not in ("", *self._whole)):
                self.groups.append(Group(part, (1, 1, 1)))
            group = self.groups[-1]
        else:
            group = self._of(part, kind, output, bool(weights))
            group.shape = (int(output.shape[1]), int(output.shape[2]), int(output.shape[3]))
        if layer:
            group.layers[layer] += 1
        group.weights |= weights
        return len(self.groups) - 1

    def _of(self, part: str, kind: str, output: Tensor, learns: bool) -> Group:
        hw = int(output.shape[-2]), int(output.shape[-1])
        last = self.groups[-1] if self.groups else None
        if last is not None and last.part == part and (last.hw == (1, 1) or part in self._whole):
            return last  # so far it has looked at single pixels, or it is not to be divided
        if last is not None and last.part == part and 0 < last.hw[0] - hw[0] <= LOST and hw[0] > 2 * LOST:
            return last  # convolutions without padding
        if last is not None and last.hw == hw:
            if not last.weights and last.part not in self._whole:  # so far a pool, an upsampling, a join
                last.part = part or last.part
                return last
            if last.weights and any(word in kind for word in _NORMS):
                return last
            if part == last.part or (not learns and kind != "cat" and part == ""):
                return last
        self.groups.append(Group(part, (int(output.shape[1]), *hw), whole=part in self._whole))
        return self.groups[-1]


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operations on what comes from `picture`.

    Args:
        module: whose operations they are.
        picture: what goes into it.
        keep: remember them and their tensors; else only group them.

    Attributes:
        maps: what each block gave last, by its position.
        result: what the module gave; of several tensors the last one.
        maker: the block that has made a tensor, by the tensor's identity; none for the picture.
    """

    def __init__(self, module: nn.Module, picture: Tensor, *, keep: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.grouping = Grouping(
            frozenset(
                name
                for name, child in module.named_children()
                if name == "encoder" and not any(True for _ in child.parameters())
            )
        )
        self.operations: list[Operation] = []
        self.maps: dict[int, Tensor] = {}
        self.result: Tensor | None = None
        self.maker: dict[int, int] = {}
        self._keep = keep
        self._known: dict[int, Tensor] = {id(picture): picture}
        self._parameters = {id(parameter): parameter.numel() for parameter in module.parameters()}
        self._pieces: dict[int, tuple[Tensor, dict[int, int]]] = {}
        """What was made of parameters alone, such as a slice, and of which; kept alive for their identity."""
        self._paths: list[str] = []

    @contextlib.contextmanager
    def following(self, module: nn.Module) -> Iterator[None]:
        """Know in which module each operation happens."""
        hooks: list[Any] = []
        for name, child in module.named_modules():
            if name:
                hooks.append(child.register_forward_pre_hook(lambda *_, path=name: self._paths.append(path)))
                hooks.append(child.register_forward_hook(lambda *_: self._leave()))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def finish(self, result: Any) -> None:
        """The module has given this: the maps of the block that made it."""
        *_, last = _tensors((result,))
        self.result = last
        block = self.maker.get(id(last))
        if block is not None and is_map(last):
            self.maps[block] = last
            self.grouping.groups[block].shape = int(last.shape[1]), int(last.shape[2]), int(last.shape[3])

    def _leave(self) -> None:
        self._paths.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do it, and note it."""
        del types
        result = func(*args, **(kwargs or {}))
        given = [*_tensors(args), *_tensors(tuple((kwargs or {}).values()))]
        inputs = tuple(tensor for tensor in given if id(tensor) in self._known)
        outputs = tuple(_tensors((result,)))
        if inputs and outputs:
            self._note(func.overloadpacket.__name__.rstrip("_"), args, given, inputs, outputs)
        elif used := self._weights_in(given):
            self._pieces |= {id(output): (output, used) for output in outputs}
        return result

    def _weights_in(self, given: Sequence[Tensor]) -> dict[int, int]:
        """Parameters among tensors, whole or in pieces: their sizes, by identity."""
        found: dict[int, int] = {}
        for tensor in given:
            if id(tensor) in self._parameters:
                found[id(tensor)] = self._parameters[id(tensor)]
            elif id(tensor) in self._pieces:
                found |= self._pieces[id(tensor)][1]
        return found

    def _note(
        self,
        kind: str,
        args: tuple[Any, ...],
        given: Sequence[Tensor],
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
    ) -> None:
        weights = self._weights_in(given)
        path = self._paths[-1] if self._paths else ""
        block = PASSED_ON
        moved = kind in _MOVES or (kind == "index_select" and is_map(outputs[0]))
        if not moved:
            block = self.grouping.add(kind, path, outputs[0], layer_of(kind, args, outputs[0]), weights)
            if is_map(outputs[0]):
                self.maps[block] = outputs[0]
        sources = tuple(self.maker.get(id(tensor), PICTURE) for tensor in inputs)
        made_by = self.maker.get(id(inputs[0])) if moved else block
        if made_by is not None:
            self.maker |= {id(output): made_by for output in outputs}
        # Kept alive, so that no other tensor gets the identity of one that is gone.
        self._known |= {id(output): output for output in outputs}
        if self._keep:
            self.operations.append(Operation(kind, args, inputs, outputs, path, block, sources))


def is_map(output: Tensor) -> bool:
    """Whether it has rows and columns: (N, C, H, W)."""
    return output.ndim == 4 and tuple(output.shape[-2:]) != (1, 1)


def trace(module: nn.Module, picture: Tensor) -> Recorder:
    """The forward pass of a module in evaluation mode on a picture (N, C, H, W)."""
    was_training = module.training
    module.eval()
    recorder = Recorder(module, picture)
    try:
        with torch.no_grad(), recorder.following(module), recorder:
            recorder.finish(module(picture))
    finally:
        module.train(was_training)
    return recorder


def layer_of(kind: str, args: tuple[Any, ...], output: Tensor) -> str:
    """What people call an operation; "" for one that is not worth a word."""
    if kind in _PASSING:
        return ""
    if kind == CONVOLUTION:
        return _convolution(args)
    for word, name in _NORMS.items():
        if word in kind:
            return name
    if kind in _POOLS:
        size = output.shape[-1] and round(args[0].shape[-1] / output.shape[-1])
        return f"{_POOLS[kind]} {size} x {size}"
    if kind.startswith("upsample"):
        how = next(word for word in ("nearest", "bilinear", "bicubic") if word in kind)
        return f"{how} upsampling x {output.shape[-1] / args[0].shape[-1]:g}"
    return _NAMES.get(kind, "")


def _convolution(args: tuple[Any, ...]) -> str:
    weight, stride, dilation, transposed, groups = args[1], args[3][0], args[5][0], args[6], args[8]
    name = "transposed convolution" if transposed else "convolution"
    if groups > 1:
        name = f"depthwise {name}" if groups == args[0].shape[1] else f"grouped {name}"
    text = f"{name} {weight.shape[-2]} x {weight.shape[-1]}"
    if stride > 1:
        text += f" stride {stride}"
    return text + (f" dilated {dilation}" if dilation > 1 else "")


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
