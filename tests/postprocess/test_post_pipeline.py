"""Post-processing as text, and done to a prediction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.learning import predict_onnx
from core.postprocess.apply import check_possible, postprocess
from core.postprocess.pipeline import (
    STEPS,
    DenseCrf,
    FillHoles,
    Looks,
    Pipeline,
    SmallRegions,
    Step,
    StepSpec,
    Watershed,
)

VALUES = np.array([0, 3], np.uint8)
GREY = np.full((8, 8, 3), 128, np.uint8)


def test_a_pipeline_is_written_as_text() -> None:
    text = "crf:iterations=8,sxy=40;min_region=64;fill_holes=32;watershed:distance=8"
    assert Pipeline.parsed(text) == Pipeline(
        (
            DenseCrf(iterations=8, sxy=40),
            SmallRegions(pixels=64),
            FillHoles(pixels=32),
            Watershed(distance=8),
        )
    )
    assert str(Pipeline.parsed(text)) == "crf:iterations=8,sxy=40;min_region=64;fill_holes=32;watershed=8"
    assert Pipeline.parsed(" fill_holes = 5 ; crf_ "[:16]) == Pipeline((FillHoles(pixels=5),))
    assert not Pipeline.parsed("")
    assert Pipeline.parsed("min_region:pixels=9") == Pipeline.parsed("min_region=9")
    assert Pipeline.parsed("watershed") == Pipeline((Watershed(),))
    looked = Pipeline.parsed("tta=4;crf;fill_holes=3")
    assert (looked.looks, str(looked)) == (4, "tta=4;crf=5;fill_holes=3")
    assert looked.on_maps == (DenseCrf(), FillHoles(pixels=3))
    assert (Pipeline.parsed("crf").looks, Pipeline.parsed("tta").looks) == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("crv", "there is no post-processing step crv; is it crf?"),
        (
            "sharpen=3",
            "there is no post-processing step sharpen; there are tta, crf, min_region, fill_holes, watershed",
        ),
        ("min_region=many", "min_region: pixels is many; it must be a whole number from 1"),
        ("min_region=", "min_region: pixels is nothing"),
        ("crf:iterations=0", "crf: iterations is 0; it must be a whole number from 1 to 50"),
        ("crf:sxy=nan", "crf: sxy is nan; it must be a number from 1 to 1000"),
        ("crf:speed=1", "crf has no parameter speed; there are iterations, sxy"),
        ("crf=5:iterations=6", "crf has iterations twice"),
        ("min_region=5;min_region=6", "min_region is in the post-processing twice"),
        ("min_region=5;crf", "crf must be the first step"),
        ("crf;tta", "tta must be the first step"),
        ("tta=9", "tta: looks is 9; it must be a whole number from 2 to 8"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pipeline.parsed(text)
    assert said in str(caught.value)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Step, ...]:
    found = []
    for spec in draw(st.sets(st.sampled_from(STEPS))):
        values = {
            p.name: draw(st.integers(int(p.least) + 1, min(50, int(p.most))))
            if p.whole
            else draw(st.integers(1, 4)) / 4
            for p in spec.parameters
            if p.name not in ("sxy", "srgb")
        }
        found.append(
            spec.made(
                {n: max(v, next(p.least for p in spec.parameters if p.name == n)) for n, v in values.items()}
            )
        )
    first = [Looks, DenseCrf]
    return tuple(sorted(found, key=lambda step: first.index(type(step)) if type(step) in first else 2))


@given(steps())
def test_text_and_steps_say_the_same(given_steps: tuple[Step, ...]) -> None:
    pipeline = Pipeline(given_steps)
    assert Pipeline.parsed(str(pipeline)) == pipeline


@pytest.mark.parametrize("end", ["least", "most", "between"])
@pytest.mark.parametrize("spec", STEPS, ids=lambda spec: spec.name)
def test_no_digit_of_a_number_is_lost(spec: StepSpec, end: str) -> None:
    ends = {p.name: (p.least, p.most, p.least + (p.most - p.least) * 0.123456789) for p in spec.parameters}
    which = ("least", "most", "between").index(end)
    kinds = {p.name: int if p.whole else float for p in spec.parameters}
    step = spec.made({name: kinds[name](values[which]) for name, values in ends.items()})
    text = str(Pipeline((step,)))
    assert Pipeline.parsed(text) == Pipeline((step,))
    if spec.name in predict_onnx.DONE_HERE:
        assert isinstance(step, SmallRegions | FillHoles)
        assert predict_onnx.parsed(text) == [(spec.name, step.pixels)]


def test_the_confidence_is_of_the_class_that_is_shown() -> None:
    chances = np.full((2, 8, 8), 0.5, np.float16)
    chances[1, 2:4, 2:4], chances[0, 2:4, 2:4] = 0.9, 0.1  # a speck of class 3
    chances[0, 5:], chances[1, 5:] = 0.8, 0.2
    classes, confidence = postprocess(Pipeline(), VALUES[chances.argmax(axis=0)], chances, GREY, VALUES, 0)
    assert classes[2, 2] == 3
    assert confidence[2, 2] == 229
    classes, confidence = postprocess(
        Pipeline.parsed("min_region=5"), VALUES[chances.argmax(axis=0)], chances, GREY, VALUES, 0
    )
    assert not classes.any()
    assert confidence[2, 2] == 25
    assert confidence[6, 6] == 204


def test_after_a_crf_the_confidence_is_the_crf_s() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 1, (2, 8, 8)) + np.array([1.0, 0.0])[:, None, None]
    chances = (np.exp(logits) / np.exp(logits).sum(axis=0)).astype(np.float16)
    before, unsure = postprocess(Pipeline(), VALUES[chances.argmax(axis=0)], chances, GREY, VALUES, 0)
    after, sure = postprocess(
        Pipeline.parsed("crf"), VALUES[chances.argmax(axis=0)], chances, GREY, VALUES, 0
    )
    assert before.any()
    assert not after.any()
    assert sure.mean() > unsure.mean()


def test_what_cannot_be_done_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="these classes have no background"):
        check_possible(Pipeline.parsed("watershed"), (10, 10), None, classes=2)
    with pytest.raises(UsageError, match="up to 13 megapixels; this one has 25"):
        check_possible(Pipeline.parsed("crf"), (5000, 5000), 0, classes=2)
    check_possible(Pipeline.parsed("min_region=5"), (5000, 5000), None, classes=20)
    with pytest.raises(UsageError, match="up to 40 megapixels; this one has 100"):
        check_possible(Pipeline.parsed("min_region=5"), (10000, 10000), 0, classes=2)
    check_possible(Pipeline(), (100_000, 100_000), None, classes=150)
    with pytest.raises(UsageError, match=r"up to 5\.33 megapixels with 150 classes; this one has 25"):
        check_possible(Pipeline.parsed("min_region=5"), (5000, 5000), None, classes=150)
