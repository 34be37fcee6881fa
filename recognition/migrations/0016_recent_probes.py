import django.db.models.deletion
import pgvector.django.halfvec
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0015_locked_in_order"),
    ]

    operations = [
        migrations.CreateModel(
            name="RecentProbe",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("embedding_version", models.CharField(max_length=60)),
                ("embedding", pgvector.django.halfvec.HalfVectorField(dimensions=512)),
            ],
        ),
        migrations.AddField(
            model_name="session",
            name="has_moved",
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(fields=["source", "at"], name="attempt_by_client"),
        ),
        migrations.AddField(
            model_name="recentprobe",
            name="session",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="first_match",
                to="recognition.session",
            ),
        ),
        migrations.AddField(
            model_name="recentprobe",
            name="user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="recent_probes",
                to="recognition.user",
            ),
        ),
        migrations.AddIndex(
            model_name="recentprobe",
            index=models.Index(fields=["user", "at"], name="recentprobe_of_user"),
        ),
        migrations.AddIndex(
            model_name="recentprobe",
            index=models.Index(fields=["at"], name="recentprobe_age"),
        ),
    ]
