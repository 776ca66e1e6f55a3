"""What the prediction bar says: whose prediction is shown and how good it is, or why there is none yet."""

from __future__ import annotations

from typing import Final

from app.learning.score_words import is_tested, score_words
from app.readable import format_age
from core.learning.events import (
    EngineReady,
    Event,
    Failed,
    OverlayCompared,
    Prediction,
    ScoredOn,
    TrainingStarted,
    Validated,
)

INSTANT: Final = "Instant learner"
"""How predictions begin to name their source in which the instant learner has a say."""


class OverlayWords:
    """Follows the engine's events and puts them into words. Plain data, no widgets."""

    def __init__(self) -> None:
        self._saved = ""
        self._engine_ready = False
        self._engine_gone = False
        self._live = False
        self._drawn = False
        self._failed = False
        self._learned = False  # the instant learner has predicted some image of this project
        self._run: str | None = None
        self._validated: Validated | None = None
        self._compared: OverlayCompared | None = None

    def project_changed(self) -> None:
        """Another project: nothing is known of its runs yet."""
        self._saved = ""
        self._failed = self._learned = False
        self._run = self._validated = self._compared = None

    def image_changed(self) -> None:
        """Another image, which may be predictable where the last was not."""
        self._failed = False

    def set_live(self, on: bool) -> None:
        """Whether the instant learner follows what is drawn."""
        self._live = on

    def set_drawn(self, drawn: bool) -> None:
        """Whether anything is drawn that it can learn from."""
        self._drawn = drawn

    def set_saved(self, name: str) -> None:
        """The earlier run whose weights the engine predicts with, "run of 06:12"; "" for none."""
        self._saved = name

    def engine_changed(self, *, ready: bool, gone: bool) -> None:
        """The engine came up, is being started, or is gone for good."""
        self._engine_ready, self._engine_gone = ready, gone
        self._learned &= ready
        if gone:
            self._saved = ""

    def on_event(self, event: Event) -> bool:
        """Take an event of the engine in; whether the words may have changed."""
        match event:
            case EngineReady():
                self._engine_ready, self._engine_gone = True, False
            case Prediction() if not self._learned and event.source.startswith(INSTANT):
                self._learned = True
            case TrainingStarted():
                self._run, self._validated, self._compared = event.run, None, None
            case Validated():
                self._validated = event
            case OverlayCompared():
                self._compared = event
            case Failed() if event.during == "Predict":
                self._failed = True
            case Failed() if event.during == "LearnLive":
                self._live = False  # it cannot, and the engine asks it no more
            case _:
                return False
        return True

    def of(self, prediction: Prediction) -> str:
        """Whose prediction this is: "U-Net, run of 06:12, mIoU 0.51 on 4 held-out images"."""
        compared = self._compared
        if compared is None or compared.run_is_shown or compared.older != prediction.source:
            return self._of_latest(prediction)
        new = "not scored yet" if compared.run_miou is None else f"at {compared.run_miou:.2f}"
        older = _scored(prediction.source, compared.older_miou, compared.on, compared.images)
        return f"{older}; new run {new}"

    def _of_latest(self, prediction: Prediction) -> str:
        source, found = prediction.source, self._validated
        if prediction.miou is not None:
            return _scored(source, prediction.miou, prediction.scored_on, prediction.scored_images)
        if found is None or found.miou is None or prediction.run is None or prediction.run != self._run:
            return source
        if not source.startswith(INSTANT):
            return _scored(source, found.miou, found.on, found.images)
        # Of both together nobody has taken the score: it is the deep network's.
        deep = source.removeprefix(INSTANT).removeprefix(" and ").partition(",")[0]
        return f"{source}; {deep} alone {score_words(found.miou, found.on, found.images)}"

    @staticmethod
    def caveat(prediction: Prediction | None) -> tuple[str, str]:
        """What to know before this prediction is believed, shortly and at length; "" for nothing."""
        if prediction is None:
            return "", ""
        guessed, bent = prediction.weak_background, prediction.bent
        details = [text for text, said in ((GUESSED_DETAIL, guessed), (BENT_DETAIL, bent)) if said]
        return GUESSED if guessed else "", "\n\n".join(details)

    def without(self) -> str:
        """Why nothing is shown, and when something will be; "" where only training helps."""
        if self._failed:
            return "This image could not be predicted"
        if self._saved:
            doing = "Predicting with" if self._engine_ready else "Loading"
            return f"{doing} the network of the {self._saved} …"
        if self._run is not None:
            return "The first prediction comes with the first steps"
        if not self._live or self._engine_gone:
            return ""
        if not self._drawn:
            return "Draw something: a prediction follows within seconds"
        if not self._engine_ready:
            return "Loading the instant learner …"
        return "Predicting this image …" if self._learned else "Learning what is drawn …"


def _scored(source: str, miou: float | None, on: ScoredOn | None, images: int | None) -> str:
    return source if miou is None else f"{source}, {score_words(miou, on, images)}"


ONLY_SHOWN: Final = "What is predicted of an image of this size is only shown; draw over what is right."


def no_prediction(absence: str = "") -> str:
    """Why nothing can be done with a prediction; `absence` is what the bar says of it."""
    said = "There is no prediction for this image yet."
    return f"{said} {absence.removesuffix(' …')}." if absence else said


OLD_S: Final = 3.0
"""A prediction is refreshed about every second: only what is older is worth a word."""


def behind(prediction: Prediction, *, edits: int, seconds: float, training: bool, live: bool) -> str:
    """How far a prediction is behind what it could know: "2 edits behind", "8 s old"; "" where it is not.

    Args:
        prediction: what is shown.
        edits: of this image since the revision that it knew.
        seconds: since it came.
        training: a run goes on.
        live: the instant learner follows what is drawn.
    """
    if edits > 0 and (training or (live and prediction.source.startswith(INSTANT))):
        return f"{edits} edit{'' if edits == 1 else 's'} behind"
    return f"{format_age(seconds)} old" if training and seconds >= OLD_S else ""


GUESSED: Final = "background guessed"
"""Said while undrawn pixels stand in for background."""
GUESSED_DETAIL: Final = (
    "Too little is labelled as background yet: what is not drawn counts for it, a little. Mark an image as"
    " done once all in it is drawn, or a finished area of it, and it need not be guessed any more."
)
BENT_DETAIL: Final = (
    "While you look at this image, what you drew in it counts for more here: other images, and what is"
    " exported, follow it less closely. Scores, and how far such expectations were off, are without that."
)

NOT_TESTED: Final = "not yet tested"
"""Said in place of a confidence that nobody has held against labels."""
NOT_TESTED_DETAIL: Final = (
    "How sure this is cannot be said yet: nobody has compared it with labels that it has not learned from."
    " The instant learner is tested once two images are labelled, a run's network once five are done."
)


def sureness(prediction: Prediction, confidence: float) -> str:
    """A mean confidence 0..1 as "87 % sure", where a score on unknown images stands behind it."""
    if not is_tested(prediction):
        return NOT_TESTED
    return f"{sure_percent(confidence)} % sure"


def sureness_detail(prediction: Prediction, confidence: float, *, whole: bool, objects: bool = True) -> str:
    """What "87 % sure" means, and how far it can be believed.

    Args:
        prediction: what is shown.
        confidence: mean 0..1 over the pixels that are shown as an object, or over all where none is.
        whole: of the whole image, not of a part of it.
        objects: whether any pixel is shown as an object.
    """
    if not is_tested(prediction):
        return NOT_TESTED_DETAIL
    where = "of this image" if whole else "in view"
    right = sure_percent(confidence)
    said = f"Of 100 pixels {where} that it shows as an object it expects {right} to be right."
    if not objects:
        said = f"It shows no object {where}, and expects that to be right for {right} of 100 pixels."
    error = prediction.calibration_error
    if error is None:
        return f"{said} How far that can be believed has not been measured."
    return (
        f"{said} On images that it had not learned from, such expectations were off by"
        f" {100 * error:.0f} in 100 (expected calibration error {error:.2f})."
    )


def sure_percent(confidence: float) -> int:
    """A mean confidence 0..1 as a whole percentage that is 100 only where nothing is in doubt."""
    return min(99, int(100 * confidence)) if confidence < 1 else 100
