from typing import Any

from facesvc import erasures
from facesvc.management.service_command import ServiceCommand


class Command(ServiceCommand):
    help = (
        "Print who was erased, and when. Keep it apart from the backups: `manage.py restore "
        "--erased` erases these people again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for line in erasures.noted().lines():
            self.stdout.write(line)
