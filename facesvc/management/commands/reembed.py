import os
from argparse import ArgumentParser
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from facesvc.management.service_command import CommandInEach
from recognition import model_change
from recognition.model_change import TemplateTarget
from recognition.packs import calibrations, engine


class Command(CommandInEach):
    help = (
        "Make the templates of another model pack beside the present ones, from the stored crops. "
        "May be stopped and run again. `models activate` then changes over. Both do so in each "
        "collection."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--pack", required=True)
        parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)

    def handle_here(self, **options: Any) -> None:
        if options["workers"] < 1:
            raise CommandError("--workers must be at least 1.")
        target = TemplateTarget(options["pack"], engine.active_model().template_key)
        # If nobody measured the pack, that is said before the first face.
        in_use = calibrations.measurement_in_use(target.pack)
        engine.calibration_of(engine.pack(target.pack), in_use)
        left = run(self, target, options["workers"])
        advice = f"Now run `manage.py models activate {target.pack}`." if not left else ""
        self.stdout.write(f"{left} faces have no template of {target.version}. {advice}".rstrip())


def run(command: BaseCommand, target: TemplateTarget, workers: int) -> int:
    """Re-embed with a progress bar, list the faces that cannot be, and count what is missing."""
    todo = model_change.missing(target.version).count()
    problems: Counter[str] = Counter()
    try:
        with tqdm(total=todo, unit="face", desc=f"Templates of {target.version}") as bar:
            for batch in model_change.reembed(target, workers=workers):
                bar.update(len(batch))
                for outcome in batch:
                    if outcome.problem:
                        problems[outcome.problem] += 1
                        with tqdm.external_write_mode():
                            command.stdout.write(f"{outcome.face_id}: {outcome.problem}")
    except BrokenProcessPool:
        raise CommandError("A worker was killed. Run it again: what is done is kept.") from None
    for problem, count in problems.items():
        command.stdout.write(f"{count} faces: {problem}.")
    return model_change.missing(target.version).count()
