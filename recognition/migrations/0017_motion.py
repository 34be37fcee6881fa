import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0016_recent_probes"),
    ]

    operations = [
        migrations.RemoveField(
            model_name="session",
            name="has_moved",
        ),
        migrations.AddField(
            model_name="session",
            name="moved_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="recentprobe",
            name="session",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="counted_faces",
                to="recognition.session",
            ),
        ),
    ]
