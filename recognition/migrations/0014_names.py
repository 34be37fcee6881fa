from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0010_moderation"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="activemodel",
            options={"verbose_name_plural": "active model"},
        ),
        migrations.AlterModelOptions(
            name="auditevent",
            options={"verbose_name": "event", "verbose_name_plural": "audit log"},
        ),
    ]
