from typing import Any

from facesvc import backup
from facesvc.management.service_command import ServiceCommand


class Command(ServiceCommand):
    help = (
        "Print who was erased, and when. Keep it apart from the backups: `manage.py restore "
        "--erased` erases these people again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for user_id, at in backup.erasures().items():
            self.stdout.write(f"{user_id} {at.isoformat()}")
