"""What must not wait for work that takes seconds: a look at the commands that have come in meanwhile."""

from __future__ import annotations

from core.images.upright import Box
from core.learning.commands import (
    CloseProject,
    LabelsChanged,
    OpenProject,
    PostProcess,
    Shutdown,
    Stop,
    Train,
    Watch,
)
from core.learning.inbox import Inbox
from core.learning.overlay.schedule import Target


class Urgency:
    """Looks into the inbox, and takes nothing out."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    @property
    def anything(self) -> bool:
        """Whether any command waits."""
        return bool(self._inbox.waiting())

    @property
    def ends_a_start(self) -> bool:
        """Whether a run that is being prepared is not wanted any more."""
        return self._inbox.closed or self._waits(Stop, Shutdown, OpenProject, CloseProject)

    def before(self, target: Target | None) -> bool:
        """Whether something should not wait for a slow prediction of this image.

        None: of no image in particular.
        """
        if self.ends_a_start or self._waits(Train, PostProcess):
            return True
        key = None if target is None else target.key
        return any(isinstance(c, Watch) and c.key != key for c in self._inbox.waiting())

    def before_the_rest(self, target: Target) -> bool:
        """The same of a prediction that takes long and loses little by being broken off.

        New labels come before the rest of a large image, or another image ahead; so does another view of it.
        """
        if self.before(target) or self._waits(LabelsChanged):
            return True
        return self.view_of(target) not in (None, target.view)

    def view_of(self, target: Target) -> Box | None:
        """Where the view of this image has moved to, while nobody has taken that in; None: it has not."""
        views = [c.view for c in self._inbox.waiting() if isinstance(c, Watch) and c.key == target.key]
        return views[-1] if views else None

    def _waits(self, *kinds: type) -> bool:
        return any(isinstance(command, kinds) for command in self._inbox.waiting())
