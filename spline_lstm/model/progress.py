"""What a person sees of a fit: a bar in a terminal; elsewhere, where a bar would fill a log, a line an epoch."""

from __future__ import annotations

import logging
import sys
import time
from multiprocessing import parent_process

from tqdm import tqdm

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0


class FitProgress:
    """Follows a fit batch by batch.

    The first batch compiles the step. It takes seconds where others take milliseconds, so the clock of the
    estimate starts behind it.

    Args:
        done: Epochs that were done before.
        epochs: At most, those included.
        steps: Batches of an epoch.
    """

    def __init__(self, done: int, epochs: int, steps: int) -> None:
        self.done = done
        self.epochs = epochs
        self.steps = steps
        self.bar: tqdm | None = None
        self.started = 0.0
        if not done:
            log.info("compiling; then at most %d epochs of %d batches", epochs, steps)

    def batch_done(self) -> None:
        if self.bar is None:
            self.started = time.monotonic()
            self.bar = tqdm(
                total=self.epochs * self.steps,
                initial=self.done * self.steps + 1,
                desc=f"epoch {self.done + 1}/{self.epochs}",
                unit="batch",
                mininterval=PROGRESS_SECONDS,
                dynamic_ncols=True,
                disable=parent_process() is not None or not sys.stderr.isatty(),  # workers share a terminal
            )
        else:
            self.bar.update()

    def epoch_done(self, epoch: int, loss: float, validation: float | None = None) -> None:
        assert self.bar is not None
        scores = {"loss": f"{loss:.4f}"} | ({} if validation is None else {"validation": f"{validation:.4f}"})
        if self.bar.disable:
            seconds = (time.monotonic() - self.started) / (epoch - self.done)
            log.info(
                "epoch %d/%d: %s; %.1f s an epoch, at most %.0f s left",
                *(epoch, self.epochs, ", ".join(f"{name} {score}" for name, score in scores.items())),
                *(seconds, seconds * (self.epochs - epoch)),
            )
        else:
            self.bar.set_description(f"epoch {min(epoch + 1, self.epochs)}/{self.epochs}", refresh=False)
            self.bar.set_postfix(scores)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
