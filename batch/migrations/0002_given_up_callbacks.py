from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("batch", "0001_jobs"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "dead")), fields=["id"], name="delivery_given_up"
            ),
        ),
    ]
