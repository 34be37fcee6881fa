from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from recognition.enrolment import lookalikes
from recognition.inference.pack.declaration import PackError
from recognition.models import PossibleDuplicate
from recognition.packs import engine


class Command(BaseCommand):
    help = (
        "Look through the whole gallery for users who may be one person, as each enrolment does. "
        "May be stopped and run again: it goes on where it was. `GET /duplicates` lists the pairs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            active = engine.current()
        except PackError as error:
            raise CommandError(f"{error}.") from error
        to_come = lookalikes.begin_search(active)
        with tqdm(total=to_come, unit="face", desc="Possible duplicates") as bar:
            while done := lookalikes.search_some(active):
                bar.update(done)
        count = PossibleDuplicate.objects.filter(state="open").count()
        self.stdout.write(f"{to_come} faces are looked for; {count} possible duplicates are open.")
