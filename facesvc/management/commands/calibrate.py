from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import CommandError
from tqdm import tqdm

from facesvc.management.service_command import CommandInOne
from recognition.collections.current import rule
from recognition.inference.pack.cohort import Cohort
from recognition.inference.pack.declaration import Calibration, ModelPack, pack_file
from recognition.measuring import calibration, cohorts, reports
from recognition.measuring.evaluation import error_curve
from recognition.measuring.folders import EmbeddedFolder, embed, find_labelled, open_pack
from recognition.measuring.here import enrolled, runs
from recognition.measuring.here.enrolled import EnrolledFaces
from recognition.measuring.pairs import all_pairs
from recognition.measuring.photos import Photo
from recognition.measuring.quality import measuring as quality_ranges
from recognition.measuring.reports import Json, MeasuredLevel, interval_of
from recognition.packs import calibrations, catalogue, first_pack
from recognition.packs.scores import ScoreScale

_ACTOR = "command:calibrate"
# How many pairs of photos the screen names.
_NAMED = 20


class Command(CommandInOne):
    # The checks complain about a pack that is not ready; this command makes it ready.
    requires_system_checks = []
    help = (
        "Measure what a pack's scores mean on a folder of labelled photos (one subfolder a person) "
        "and write it into its pack.yaml; or on the people who are enrolled (--gallery)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, nargs="?")
        parser.add_argument(
            "--gallery",
            action="store_true",
            help=f"measure on the people who are enrolled, at least {enrolled.PEOPLE_NEEDED}; the "
            "database keeps the result, and all processes use it",
        )
        parser.add_argument(
            "--pack", help="default: that of a new database; with --gallery, the one that serves"
        )
        parser.add_argument("--data", help="name of the data set (default: that of the folder)")
        parser.add_argument(
            "--report",
            type=Path,
            metavar="DIR",
            help="write report.json, det.svg and roc.svg there",
        )
        parser.add_argument(
            "--cohort",
            action="store_true",
            help="make a cohort of half of the people, if that helps to tell the others apart",
        )
        parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
        parser.add_argument(
            "--quality",
            action="store_true",
            help="measure from where on the pack recognises a face, which is what the quality "
            "score says, instead of what its scores mean",
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["folder"] is None) != options["gallery"]:
            raise CommandError("Name a folder of labelled photos, or say --gallery.")
        if options["gallery"] and options["quality"]:
            raise CommandError("--quality needs a folder of whole photos.")
        if options["workers"] < 1:
            raise CommandError("--workers must be at least 1.")
        if options["gallery"]:
            self._measure_gallery(options)
        else:
            self._measure_folder(options)

    def _measure_folder(self, options: dict[str, Any]) -> None:
        folder: Path = options["folder"]
        pack = open_pack(options["pack"] or first_pack.choose().pack)
        data = options["data"] or folder.resolve().name
        if options["cohort"]:
            cohorts.require_unused(pack)
            pack = replace(pack, cohort=None)
        labelled = find_labelled(folder, self.stdout)
        if options["quality"]:
            self._measure_quality(pack, labelled, options)
            return
        photos = embed(labelled, pack, workers=options["workers"])
        if options["cohort"]:
            pack, photos, data = self._with_cohort(pack, photos, data)
        measured = calibration.calibrate(
            photos.found().embeddings,
            photos.found().people,
            data=data,
            model_version=pack.model_version,
        )
        report = reports.describe_folder(pack, photos, folder)
        doubtful = reports.doubtful_labels(photos.found(), measured, folder)
        report["doubtful_labels"] = doubtful
        self._show(report, photos, measured, options["report"])
        self._doubt(doubtful)
        if not options["dry_run"]:
            cohorts.write_table(pack_file(pack.name, settings.PACK_FOLDERS).parent, pack.cohort)
            self._write(pack.name, lambda text: replace_measured(text, pack.cohort, measured))
            if pack.name in calibrations.measurements_in_use():
                runs.return_to_pack(pack.name, actor=_ACTOR)
                self.stdout.write("It replaces the calibration that --gallery measured.")

    def _measure_gallery(self, options: dict[str, Any]) -> None:
        with runs.only_one() as is_the_only_one:
            if not is_the_only_one:
                raise CommandError("A measurement on the people enrolled runs already.")
            counted = enrolled.census()
            if counted.lacks:
                raise CommandError(counted.lacks)
            pack = open_pack(options["pack"] or catalogue.active_name())
            self.stdout.write(
                f"{counted.measured} people with {counted.faces} faces make {counted.pairs:,} "
                f"pairs of two people. {enrolled.why()}"
            )
            found = self._look(pack, options["workers"])
            measured = enrolled.calibrate(found, pack)
            report: Json = {"pack": pack.name, "model_version": pack.model_version}
            self._show(report, found.folder, measured, options["report"])
            self._say_duplicates(enrolled.open_duplicates(found))
            if not options["dry_run"]:
                noted = runs.record(pack, found, measured, actor=_ACTOR)
                self.stdout.write(
                    f"Pairs of faces that are too alike for two people: {noted}. Their people are "
                    "possible duplicates."
                )
                self.stdout.write(f"The scores of {pack.name} mean this from now on.")

    def _look(self, pack: ModelPack, workers: int) -> EnrolledFaces:
        faces, seen = enrolled.choose(), []
        try:
            with tqdm(total=len(faces), unit="face", desc=f"Embedding ({pack.name})") as bar:
                for some in enrolled.look(faces, pack.name, workers=workers):
                    seen += some
                    bar.update(len(some))
        except BrokenProcessPool:
            raise CommandError("A worker was killed.") from None
        return enrolled.still_there(seen, pack)

    def _say_duplicates(self, count: int) -> None:
        if count:
            self.stdout.write(
                f"\nOpen possible duplicates among these people: {count}. They count as two. "
                "If they are one, the false match rates are lower than shown. Decide about them in "
                "the admin pages and measure again."
            )

    def _show(
        self, report: Json, photos: EmbeddedFolder, measured: Calibration, target: Path | None
    ) -> None:
        """Print what was measured; write the report, if there is a folder for it."""
        levels = reports.levels(photos.found(), ScoreScale(measured))
        report |= reports.describe_calibration(measured)
        report["operating_points"] = reports.describe_levels(levels)
        self._print(measured, photos, levels)
        report["error_versus_discard"] = self._discard(photos.found(), levels)
        if target:
            self._write_report(target, report, photos.found(), measured, levels)

    def _with_cohort(
        self, pack: ModelPack, photos: EmbeddedFolder, data: str
    ) -> tuple[ModelPack, EmbeddedFolder, str]:
        """The pack with a cohort, if it is worth it, and the photos to calibrate it with."""
        trial = cohorts.attempt(photos, pack, data=data)
        self.stdout.write(trial.sentence)
        if not trial.is_worth_it:
            return pack, photos, data
        return trial.pack, trial.others, f"{data}: the half of the people who are not in the cohort"

    def _measure_quality(
        self, pack: ModelPack, photos: Sequence[Photo], options: dict[str, Any]
    ) -> None:
        data = options["data"] or options["folder"].resolve().name
        fitted = quality_ranges.measure(pack, photos, data=data, workers=options["workers"])
        for line in quality_ranges.described(fitted):
            self.stdout.write(line)
        if not options["dry_run"]:
            self._write(pack.name, lambda text: quality_ranges.replaced(text, fitted.ranges))

    def _write(self, pack: str, change: Callable[[str], str]) -> None:
        """Changes the pack.yaml of a pack."""
        path = pack_file(pack, settings.PACK_FOLDERS)
        # Never half of it: workers that start now read this file.
        unfinished = path.with_suffix(".yaml.new")
        unfinished.write_text(change(path.read_text()))
        unfinished.replace(path)
        self.stdout.write(f"Written into {path}.")

    def _print(
        self, measured: Calibration, photos: EmbeddedFolder, levels: list[MeasuredLevel]
    ) -> None:
        write = self.stdout.write
        write(
            f"{len(photos.photos)} photos of {len(np.unique(photos.people))} people, "
            f"{len(photos.missed)} without a face; "
            f"{measured.mated_pairs} mated and {measured.non_mated_pairs} non-mated pairs."
        )
        for photo, problem in photos.missed.items():
            write(f"  {photo.path}: {problem}")
        qualities, least = photos.found().qualities, rule("MIN_FACE_QUALITY")
        write(
            f"{(qualities < least).mean():.1%} of the faces have a quality "
            f"below {least}; the lowest 3% are below "
            f"{np.quantile(qualities, 0.03):.3f}."
        )
        write("\nFMR      cosine    false matches  95% interval of the FMR")
        for point in measured.table:
            low, high = point.interval or (0.0, 1.0)
            mark = "  extrapolated" if point.extrapolated else ""
            write(
                f"{point.fmr:<8g} {point.cosine:.6f}  {point.pairs:>13}  {low:g} to {high:g}{mark}"
            )
        self._print_several(measured)
        write("\nlevel     confidence  cosine    FNMR (95% interval)")
        for level in levels:
            mark = "  cosine extrapolated" if level.extrapolated else ""
            figures = f"{level.confidence:<10}  {level.cosine:.6f}  {interval_of(level.fnmr)}"
            write(f"{level.name:9} {figures}{mark}")

    def _print_several(self, measured: Calibration) -> None:
        several = measured.several_photos
        if several is None:
            self.stdout.write(
                "\nToo few people have 3 photos or more to measure what these change."
            )
            return
        self.stdout.write(
            f"\nFalse matches with several photos, in those of one at FMR {several.fmr:g}\n"
            "photos  people  nearest  mean"
        )
        for row in several.measured:
            figures = f"{row.nearest:<7.2f}  {row.mean:.2f}"
            self.stdout.write(f"{row.photos:<6}  {row.people:<6}  {figures}")

    def _discard(self, found: EmbeddedFolder, levels: list[MeasuredLevel]) -> Json:
        """The FNMR without the worst faces, printed too; it falls if the quality score is good."""
        cosine = next(level.cosine for level in levels if level.name == "standard")
        steps = calibration.error_versus_discard(
            found.embeddings, found.people, found.qualities, cosine=cosine
        )
        self.stdout.write("\nFNMR at `standard` without the faces of the worst quality")
        for step in steps:
            worst = f"{step.discarded:4.0%} discarded (below {step.quality:.3f})"
            pairs = f"{step.fnmr.trials} pairs"
            self.stdout.write(f"{worst:27}  {interval_of(step.fnmr)}, {pairs}")
        return {"cosine": cosine, "steps": [asdict(step) for step in steps]}

    def _doubt(self, doubtful: list[Json]) -> None:
        if doubtful:
            self.stdout.write("\nSo alike that the labels are doubtful; they blur the lowest rates")
        for pair in doubtful[:_NAMED]:
            self.stdout.write(f"{pair['cosine']:.4f}  {pair['photo_a']}  {pair['photo_b']}")
        if len(doubtful) > _NAMED:
            self.stdout.write(f"and {len(doubtful) - _NAMED} more (--report lists them)")

    def _write_report(
        self,
        target: Path,
        report: Json,
        found: EmbeddedFolder,
        measured: Calibration,
        levels: list[MeasuredLevel],
    ) -> None:
        pairs = all_pairs(found.embeddings, found.people)
        report["curve"] = asdict(error_curve(pairs))
        title = (
            f"{report['pack']} on {measured.data}: {measured.photos:,} photos of "
            f"{measured.identities:,} people"
        )
        target.mkdir(parents=True, exist_ok=True)
        reports.write_json(target / "report.json", report)
        reports.write_charts(target, title, pairs, measured, levels)
        self.stdout.write(f"The report is in {target}.")


def replace_measured(text: str, cohort: Cohort | None, measured: Calibration) -> str:
    """pack.yaml with new last blocks; all before them stays to the letter."""
    head = cohorts.without(text).partition("\ncalibration:\n")[0].rstrip("\n")
    blocks = [cohorts.to_yaml(cohort)] if cohort else []
    return "\n\n".join([head, *blocks, calibration.to_yaml(measured)])
