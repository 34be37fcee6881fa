from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0014_names"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="failurecount",
            name="failurecount_locked",
        ),
        migrations.AddIndex(
            model_name="failurecount",
            index=models.Index(
                condition=models.Q(("locked_at__isnull", False)),
                fields=["-id"],
                name="failurecount_locked",
            ),
        ),
    ]
