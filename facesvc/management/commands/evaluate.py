from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import CommandError

from facesvc.management.service_command import ServiceCommand
from recognition.inference.pack.declaration import ModelPack
from recognition.measuring import comparison, reports
from recognition.measuring.evaluation import (
    Fold,
    IdentificationRates,
    folds_by_person,
    identify,
    lfw_accuracy,
    listed_folds,
)
from recognition.measuring.folders import EmbeddedFolder, embed, find_labelled, open_pack
from recognition.measuring.groups import by_group, read_groups
from recognition.measuring.groups import describe as groups_as_json
from recognition.measuring.pairs import cosines_of
from recognition.measuring.photos import (
    ListedPair,
    Photo,
    PhotosError,
    people_of,
    photos_of,
    read_pairs,
    relative_to,
)
from recognition.measuring.reports import Json, MeasuredLevel, VerificationRates, interval_of
from recognition.measuring.several_photos import PersonRates
from recognition.measuring.speed import REFERENCE, Speed, measure
from recognition.packs import calibrations, first_pack
from recognition.packs.scores import ScoreScale

# How many photos without a face the screen names; the JSON names all.
_NAMED = 20


class Command(ServiceCommand):
    # The checks complain about a pack without a calibration, which is not needed here.
    requires_system_checks = []
    help = (
        "Measure how well a pack tells the people in a folder of labelled photos apart (one "
        "subfolder a person, or the name in the file name): verification by the protocol of "
        "Labeled Faces in the Wild, and identification of people of whom half are enrolled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, nargs="?")
        parser.add_argument(
            "--pairs",
            type=Path,
            metavar="CSV",
            help="path_a,path_b,same: the accuracy is over these, in this order; only the photos "
            "that it names are looked at",
        )
        parser.add_argument("--pack", help="default: that of a new database")
        parser.add_argument(
            "--groups",
            type=Path,
            metavar="CSV",
            help="person,group: how often strangers of one group match each other",
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        parser.add_argument("--data", help="name of the data set (default: that of the folder)")
        parser.add_argument("--label", help="name of the row in a comparison (default: the pack's)")
        parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
        parser.add_argument(
            "--compare",
            type=Path,
            nargs="+",
            metavar="JSON",
            help="measure nothing, but write what these files say of several packs into --page",
        )
        parser.add_argument(
            "--page", type=Path, metavar="MD", help="a page with marks, or a new one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        root: Path | None = options["folder"]
        if options["compare"] or options["page"]:
            if root or not (options["compare"] and options["page"]):
                raise CommandError("--compare needs --page, and measures no folder.")
            self._compare(options["compare"], options["page"])
        elif not root:
            raise CommandError("Name a folder, or files to --compare.")
        elif not root.is_dir():
            raise CommandError(f"{root} is not a folder.")
        else:
            self._measure(root, options)

    def _compare(self, files: list[Path], page: Path) -> None:
        found = comparison.read_reports(files)
        picture = page.parent / page.stem / "det.svg"
        before = page.read_text() if page.exists() else comparison.new_page()
        text = comparison.fill(before, found, f"{page.stem}/{picture.name}")
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(comparison.chart(found), encoding="utf-8")
        page.write_text(text, encoding="utf-8")
        self.stdout.write(f"{page} and {picture} show {len(found)} packs.")

    def _measure(self, root: Path, options: dict[str, Any]) -> None:
        groups = read_groups(options["groups"]) if options["groups"] else {}
        listed = read_pairs(options["pairs"], root) if options["pairs"] else None
        photos = find_labelled(root, self.stdout) if listed is None else photos_of(listed, root)
        pack = open_pack(options["pack"] or first_pack.choose().pack)
        folder = embed(photos, pack, workers=options["workers"])
        if listed is None:
            inside, folds = folder, folds_by_person(folder.embeddings, folder.people)
        else:
            folder, folds = self._with_people(folder, listed), _folds(folder, listed)
            inside = self._inside(folder, root)
        accuracy = lfw_accuracy(folds, balanced=listed is None)
        verified = reports.verification(inside, accuracy)
        identified = identify(inside.embeddings, inside.people)
        calibrated = calibrations.in_use(pack) if inside.found().photos else None
        levels = reports.levels(inside, ScoreScale(calibrated)) if calibrated else []
        people = reports.of_people(inside, ScoreScale(calibrated)) if calibrated else []
        self._print(pack, folder, root)
        self._print_figures(verified, identified, levels)
        self._print_people(people)
        by_groups = self._by_group(inside, groups, verified) if groups else None
        spent = self._speed(pack, photos)
        if options["json"]:
            label = options["label"] or pack.name
            data = options["data"] or root.resolve().name
            report = {
                **reports.describe_folder(pack, folder, root),
                **reports.describe_pack(pack, settings.MODELS_DIR, label=label, data=data),
                **reports.describe_verification(verified),
                "identification": reports.describe_identification(identified),
                "operating_points": reports.describe_levels(levels),
                "people_with_photos": [asdict(each) for each in people],
                "groups": by_groups,
                "speed": spent and asdict(spent),
            }
            reports.write_json(options["json"], report)

    def _by_group(
        self, folder: EmbeddedFolder, groups: dict[str, set[str]], verified: VerificationRates
    ) -> Json:
        """The errors of each group, printed too. Raises PhotosError."""
        at = reports.threshold_for_groups(verified)
        if at is None:
            raise PhotosError("the folder has too few pairs to compare groups")
        found = list(by_group(folder, groups, at[1].cosine))
        self.stdout.write(f"\nAmong each other, at the threshold of an FMR of {at[0]} of all")
        for each in found:
            self.stdout.write(
                f"  {each.group}: {each.people} people, FMR {interval_of(each.fmr)}, "
                f"FNMR {interval_of(each.fnmr)}"
            )
        return groups_as_json(found, *at)

    def _speed(self, pack: ModelPack, photos: Sequence[Photo]) -> Speed | None:
        """What the networks cost, printed too."""
        limits = {"max_bytes": settings.MAX_IMAGE_BYTES, "max_pixels": settings.MAX_IMAGE_PIXELS}
        spent = measure(pack, open_pack(REFERENCE), photos, settings.MODELS_DIR, limits)
        if spent:
            stages = ", ".join(f"{name} {ms:.1f} ms" for name, ms in spent.milliseconds.items())
            self.stdout.write(
                f"\nCPU of one thread, pictures of {spent.side} pixels: {stages}; "
                f"{spent.times_reference:.2g} times {REFERENCE}"
            )
        return spent

    def _with_people(self, folder: EmbeddedFolder, listed: list[ListedPair]) -> EmbeddedFolder:
        """The folder with people by the list, and by the names of folders or files."""
        people = people_of(folder.photos, listed)
        if people.contradiction:
            self.stdout.write(
                f"Folders and file names are not people (line {people.contradiction.line} of the "
                "list): only the list says who is one person."
            )
        return replace(folder, people=people.numbers)

    def _inside(self, folder: EmbeddedFolder, root: Path) -> EmbeddedFolder:
        inside = np.array([relative_to(photo.path, root) is not None for photo in folder.photos])
        if not inside.all():
            self.stdout.write(
                f"{np.count_nonzero(~inside)} photos are not below {root}: they count in the "
                "accuracy only."
            )
        return folder.only(inside)

    def _print(self, pack: ModelPack, folder: EmbeddedFolder, root: Path) -> None:
        self.stdout.write(
            f"{pack.name} ({pack.model_version}) on {root}: {len(folder.photos)} photos of "
            f"{len(np.unique(folder.people))} people, {len(folder.missed)} without a face"
        )
        for photo, problem in list(folder.missed.items())[:_NAMED]:
            self.stdout.write(f"  {photo.path}: {problem}")
        if len(folder.missed) > _NAMED:
            self.stdout.write(f"  and {len(folder.missed) - _NAMED} more (--json names all)")

    def _print_figures(
        self,
        verified: VerificationRates,
        identified: IdentificationRates | None,
        levels: list[MeasuredLevel],
    ) -> None:
        write, pairs, accuracy = self.stdout.write, verified.pairs, verified.accuracy
        write(f"\nVerification: {len(pairs.mated)} mated, {len(pairs.non_mated)} non-mated pairs")
        if accuracy:
            spread = f"{accuracy.mean:.4f} ± {accuracy.std:.4f}, {accuracy.folds} folds"
            write(f"  {'accuracy (LFW protocol)':24} {spread}")
        write(f"  {'area under ROC':24} {_figure(verified.auc, 5)}")
        for fmr, found in verified.tar.items():
            at = f"  cosine {found.cosine:.4f}" if found else "  too few pairs"
            write(f"  {f'TAR at FMR {fmr}':24} {_figure(found.tar if found else None)}{at}")
        if identified:
            write(f"\nIdentification: {identified.gallery} people enrolled with one photo each")
            write(f"  {'rank-1':24} {identified.rank1:.4f}")
            for fpir, fnir in identified.fnir_at_fpir.items():
                write(f"  {f'FNIR at FPIR {fpir:g}':24} {_figure(fnir)}")
        if levels:
            write("\nAt the thresholds of the pack's calibration (95% intervals)")
        for level in levels:
            mark = ", extrapolated" if level.extrapolated else ""
            write(
                f"  {level.name:9} cosine {level.cosine:.4f}{mark}: FMR {interval_of(level.fmr)}, "
                f"FNMR {interval_of(level.fnmr)}"
            )

    def _print_people(self, people: list[PersonRates]) -> None:
        if people:
            self.stdout.write(
                "\nA photo compared with a person who has as many, by the best of them (face) or "
                "their mean (user)\n"
                "  photos          level     people  FMR (95% interval), FNMR (95% interval)"
            )
        for each in people:
            rates = f"{interval_of(each.fmr)}, {interval_of(each.fnmr)}"
            who = f"{each.photos} {each.match_on:12}  {each.level:8}  {each.people:6}"
            self.stdout.write(f"  {who}  {rates}")


def _folds(folder: EmbeddedFolder, listed: list[ListedPair]) -> list[Fold]:
    """The list in its order, a pair with a missed face at minus infinity."""
    rows = {photo.path: row for row, photo in enumerate(folder.photos)}
    pairs = np.array([(rows[pair.path_a], rows[pair.path_b]) for pair in listed])
    same = np.array([pair.same for pair in listed])
    return listed_folds(cosines_of(folder.embeddings, pairs), same)


def _figure(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
