from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recognition", "0012_admin_permissions")]

    operations = [
        migrations.CreateModel(
            name="DailyCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("enrolment", "Enrolment"),
                            ("verification", "Verification"),
                            ("search", "Search"),
                            ("refusal", "Refusal"),
                        ],
                        max_length=12,
                    ),
                ),
                ("label", models.CharField(blank=True, max_length=40)),
                ("count", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("day", "kind", "label"), name="dailycount_once")
                ],
            },
        ),
    ]
