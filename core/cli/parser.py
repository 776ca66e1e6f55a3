"""The command line's grammar. Imports neither torch nor Qt, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn, get_args

from core.errors import UsageError
from core.learning.prediction.uncertainty import UncertaintySource
from core.postprocess.pipeline import Pipeline

EXPORT_FORMATS = ("masks", "labelme", "weights", "onnx")
IMPORT_FORMATS = ("labelme", "masks")
PREDICT_FORMATS = ("masks", "labelme", "overlay")


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process, so that one place decides about exit codes."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().strip()}")


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return value


def positive_seconds(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return value


def option(text: str) -> tuple[str, str | int]:
    """`name=value`, the value a whole number where it looks like one."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, int(value) if value.removeprefix("-").isdecimal() else value


def setting(text: str) -> tuple[str, str]:
    """`name=value`, the value as it stands."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def shard(text: str) -> tuple[int, int]:
    """`2/4` as (1, 4)."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text} is no share; from 1/4 to 4/4, say")
    return int(number) - 1, int(count)


def class_names(text: str) -> tuple[str, ...]:
    """Comma-separated names, none empty, none twice."""
    names = tuple(name.strip() for name in text.split(","))
    if any(not name for name in names):
        raise argparse.ArgumentTypeError("a class name is empty")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError("a class name stands twice")
    return names


def make_parser() -> argparse.ArgumentParser:
    """The parser of every headless command; `maskloop [PATH]` alone is the window's."""
    parser = _Parser(
        prog="maskloop",
        description="Draw, train, correct, export. Without a command: open the window, "
        "on PATH (a project, a folder, an image or a labelme JSON) when one is given.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="open the sample project and train; without a window, predict and export as well"
    )
    demo.add_argument("--headless", action="store_true", help="no window, even where there is a display")
    demo.add_argument("--seconds", type=positive_seconds, default=60.0, help="training time (default 60)")
    demo.add_argument(
        "--out",
        type=Path,
        default=None,
        help="folder for the project, and for what is exported without a window",
    )
    demo.add_argument("--seed", type=int, default=0, help="of the training run (default 0)")

    init = commands.add_parser("init", help="make a project")
    init.add_argument("directory", type=Path, metavar="DIR")
    init.add_argument("--images", type=Path, default=None, help="folder of images (default: DIR/images)")
    init.add_argument("--classes", type=class_names, default=None, help="exactly these, comma-separated")

    bring = commands.add_parser("import", help="bring annotations of another program into a project")
    bring.add_argument("project", type=Path)
    bring.add_argument("source", type=Path, metavar="SRC")
    bring.add_argument("--format", required=True, choices=IMPORT_FORMATS)

    train = commands.add_parser("train", help="train on everything labelled so far")
    train.add_argument("project", type=Path)
    train.add_argument("--model", default="auto", help="auto, or a name of `maskloop models`")
    train.add_argument("--encoder", default=None, help="for models that take one")
    train.add_argument("--encoder-weights", default="default", help="default, none, or a file")
    train.add_argument("--preset", choices=("fast", "balanced", "best"), default="balanced")
    train.add_argument(
        "--option",
        action="append",
        default=[],
        type=option,
        metavar="NAME=VALUE",
        help="an option of the network, such as width=16; may be given several times",
    )
    train.add_argument("--crop", type=positive_int, default=None, help="side of a training crop, pixels")
    train.add_argument("--batch", type=positive_int, default=None, help="crops a step")
    budget = train.add_mutually_exclusive_group()
    budget.add_argument("--seconds", type=positive_seconds, default=None, help="training time")
    budget.add_argument("--steps", type=positive_int, default=None, help="optimizer steps in all")
    train.add_argument(
        "--patience",
        type=positive_int,
        default=None,
        metavar="N",
        help="end after N validations in a row without a better score",
    )
    train.add_argument(
        "--folds",
        type=positive_int,
        default=None,
        metavar="K",
        help="cross-validate on K folds, then train on all",
    )
    train.add_argument(
        "--class-weights",
        choices=("none", "inverse_sqrt", "median_frequency"),
        default="inverse_sqrt",
        help="how much more pixels of rare classes count (default: by the root of their rarity)",
    )
    train.add_argument(
        "--rare-crops",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="share of crops cut around rare classes and fresh corrections (default 0.5)",
    )
    train.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="any other setting of a run, such as loss=ce+lovasz or schedule=poly; several times if need be",
    )
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    train.add_argument("--seed", type=int, default=0)
    again = train.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue the newest run")
    again.add_argument(
        "--auto-resume",
        action="store_true",
        help="continue the newest run if it is not finished, else start one: for jobs that are started again",
    )
    _json(train)

    predict = commands.add_parser(
        "predict", help="segment images with a project's best run or a weights file"
    )
    predict.add_argument("source", type=Path, metavar="PROJECT|WEIGHTS")
    predict.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="images, or folders of images")
    predict.add_argument("--out", type=Path, required=True)
    predict.add_argument("--format", choices=PREDICT_FORMATS, default="masks")
    _post(predict)
    predict.add_argument(
        "--uncertainty",
        choices=get_args(UncertaintySource),
        default=None,
        help="write a grey picture of the uncertainty as well, into OUT/uncertainty: from mirrored looks,"
        " from dropout left on, or from the networks of several runs",
    )
    predict.add_argument(
        "--members",
        type=Path,
        nargs="+",
        default=[],
        metavar="WEIGHTS",
        help="the other networks of an ensemble (default: those of the project's other runs)",
    )
    predict.add_argument("--subfolders", action="store_true", help="look into the folders of folders as well")
    predict.add_argument(
        "--again", action="store_true", help="predict also what these weights have predicted there before"
    )
    predict.add_argument(
        "--shard",
        type=shard,
        default=None,
        metavar="I/N",
        help="predict only the I-th of N shares, for several programs at once (default: as torchrun says;"
        " under torchrun an image that is left out is told, and the exit code stays 0)",
    )
    _device(predict)
    _json(predict)

    evaluate = commands.add_parser("evaluate", help="score predictions against masks")
    evaluate.add_argument("source", type=Path, metavar="PROJECT|WEIGHTS")
    evaluate.add_argument("--images", type=Path, required=True)
    evaluate.add_argument("--masks", type=Path, required=True, help="index masks, matched by stem")
    _post(evaluate)
    _device(evaluate)
    _json(evaluate)

    export = commands.add_parser("export", help="write masks, labelme files, weights or ONNX")
    export.add_argument("project", type=Path)
    export.add_argument("--format", required=True, choices=EXPORT_FORMATS)
    export.add_argument("--out", type=Path, required=True)
    _post(export, "post-processing that goes with the network, which weights and onnx say of themselves")

    models = commands.add_parser("models", help="list every model, or tell all about one")
    models.add_argument("name", nargs="?", default=None, metavar="NAME", help="one model, in full")
    _json(models)
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _post(parser: argparse.ArgumentParser, meaning: str = "what is done to every prediction") -> None:
    parser.add_argument(
        "--post",
        type=Pipeline.parsed,
        default=Pipeline(),
        metavar="STEPS",
        help=f"{meaning}, such as tta=4;crf:iterations=5,sxy=60;min_region=64;"
        "fill_holes=32;watershed:distance=8 (default: nothing)",
    )


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
