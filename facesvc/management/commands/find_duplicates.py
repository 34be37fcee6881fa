from typing import Any

from tqdm import tqdm

from facesvc.management.service_command import CommandInOne
from recognition.enrolment import lookalikes
from recognition.models import PossibleDuplicate
from recognition.packs import engine


class Command(CommandInOne):
    help = (
        "Look through the whole gallery for users who may be one person, as each enrolment does. "
        "May be stopped and run again: it goes on where it was. `GET /duplicates` lists the pairs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        active = engine.current()
        to_come = lookalikes.begin_search(active)
        with tqdm(total=to_come, unit="face", desc="Possible duplicates") as bar:
            while done := lookalikes.search_some(active):
                bar.update(done)
        count = PossibleDuplicate.objects.filter(state="open").count()
        self.stdout.write(f"{to_come} faces are looked for; {count} possible duplicates are open.")
