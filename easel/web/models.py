"""Tables of the studio: what people put in, the queue, and the index over what was made.

Times are seconds since 1970, as `time.time` has them. Folders and files are named from the studio's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models

from easel.recipes import KINDS, Recipe, recipe_from

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED)


class Studio(models.Model):
    """The one row of what holds for the whole studio."""

    paused = models.BooleanField(default=False)
    """Nothing new is started."""
    heavy_from = models.CharField(max_length=5, default="", blank=True)
    heavy_until = models.CharField(max_length=5, default="", blank=True)
    """The hours, as 22:00 and 06:00 of this machine's clock, in which heavy jobs start; '' is any."""
    owner_link = models.CharField(max_length=64, default="", blank=True)
    """SHA-256 of the word in the link that makes the owner; '' once it was used."""

    @classmethod
    def get(cls) -> Studio:
        """The row, made when it is not there."""
        return cls.objects.get_or_create(pk=1)[0]


class Token(models.Model):
    """A person's key for programs; the key itself is shown once and not kept."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    hash = models.CharField(max_length=64, unique=True)
    created = models.FloatField()


class Upload(models.Model):
    """What a person put in: a picture, a table, weights, or a folder of pictures, in `uploads/ID/`."""

    id = models.CharField(primary_key=True, max_length=16)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=200)
    """The file's name, or the folder's."""
    is_folder = models.BooleanField(default=False)
    bytes = models.BigIntegerField()
    count = models.IntegerField(default=1)
    """Files in it."""
    notes = models.JSONField(default=list)
    """What was taken out of it, or left out."""
    created = models.FloatField()

    @property
    def place(self) -> str:
        """Its path from the studio's folder, which is also how recipes name it."""
        return f"uploads/{self.id}/{self.name}"


class Job(models.Model):
    """One recipe in the queue, or run. A worker that runs it holds a lease, and renews it; see `queue`."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=40)
    settings = models.JSONField()
    """The recipe's plain values."""
    heavy = models.BooleanField(default=False)
    state = models.CharField(max_length=10, default=QUEUED)
    priority = models.IntegerField(default=0)
    place = models.FloatField(default=0)
    """Its place among those of the same priority; less is sooner."""
    created = models.FloatField()
    run_after = models.FloatField(default=0)
    started = models.FloatField(null=True)
    ended = models.FloatField(null=True)
    attempts = models.IntegerField(default=0)
    worker = models.CharField(max_length=120, default="", blank=True)
    slot = models.CharField(max_length=100, default="", blank=True)
    """The machine whose heavy slot it has while it runs; '' for a light one."""
    lease_until = models.FloatField(null=True)
    stop = models.BooleanField(default=False)
    """Asked to stop."""
    phase = models.CharField(max_length=200, default="", blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    rate = models.FloatField(null=True)
    eta = models.FloatField(null=True)
    preview = models.FloatField(default=0)
    """When the last preview was written; 0 where there is none."""
    error = models.TextField(default="", blank=True)
    stamp = models.FloatField(default=0)
    """When anything here changed last, for those who watch."""

    class Meta:
        indexes = (models.Index(fields=("state", "-priority", "place", "id"), name="in_order"),)
        constraints = (
            models.UniqueConstraint("slot", condition=models.Q(state=RUNNING) & ~models.Q(slot=""), name="one_heavy"),
        )

    @property
    def folder(self) -> Path:
        """The folder of its run, from the studio's folder."""
        return Path("out") / f"{self.kind}-{self.pk}"

    @property
    def recipe(self) -> Recipe:
        """Its recipe, upgraded where an older easel queued it. Raises EaselError where that cannot be."""
        return recipe_from(self.settings)

    @property
    def about(self) -> str:
        """What its kind does, in a line."""
        return KINDS[self.kind].about if self.kind in KINDS else ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in {DONE, FAILED, CANCELLED}

    def plain(self) -> dict[str, Any]:
        """Its state as plain values, as the API tells them."""
        names = ("kind", "state", "priority", "phase", "done", "total", "rate", "eta", "attempts", "error")
        times = ("created", "started", "ended")
        return {"id": self.pk} | {name: getattr(self, name) for name in (*names, *times)} | {"recipe": self.settings}


class Line(models.Model):
    """A line of a job's log."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="lines")
    at = models.FloatField()
    text = models.TextField()


class Picture(models.Model):
    """A picture that a job made, as the gallery finds it."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="pictures")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="pictures")
    name = models.CharField(max_length=300)
    """The file, from the job's folder."""
    width = models.IntegerField()
    height = models.IntegerField()
    words = models.TextField(default="")
    """All the words of its recipe and its run, for the search."""
    title = models.CharField(max_length=200, default="")
    model = models.CharField(max_length=200, default="")
    kind = models.CharField(max_length=40)
    made = models.FloatField()
    binned = models.FloatField(null=True)
    """When it was put into the bin."""

    class Meta:
        indexes = (models.Index(fields=("owner", "-made"), name="newest"),)
        constraints = (models.UniqueConstraint("job", "name", name="one_row_a_picture"),)

    @property
    def path(self) -> Path:
        """The file, from the studio's folder."""
        return self.job.folder / self.name


class Number(models.Model):
    """A score of a picture."""

    picture = models.ForeignKey(Picture, models.CASCADE, related_name="numbers")
    name = models.CharField(max_length=100)
    value = models.FloatField()
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    n = models.IntegerField(default=1)
    judge = models.CharField(max_length=100)

    class Meta:
        indexes = (models.Index(fields=("name", "value"), name="by_score"),)


class Preset(models.Model):
    """A form that a person keeps under a name."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="presets")
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=100)
    typed = models.JSONField()
    """What stands in the form, as `forms` holds it."""

    class Meta:
        constraints = (models.UniqueConstraint("owner", "kind", "name", name="one_preset_a_name"),)


class Label(models.Model):
    """What a person calls a model of theirs: recipes go on naming its place."""

    place = models.CharField(max_length=300, unique=True)
    """The folder of a training, or weights that were put in."""
    name = models.CharField(max_length=100)


class Pull(models.Model):
    """A model that is fetched from the hub."""

    name = models.CharField(max_length=200)
    """A word of the catalogue, or a hub id."""
    state = models.CharField(max_length=10, default=RUNNING)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    """Bytes; 0 where nobody knows."""
    error = models.TextField(default="", blank=True)
    created = models.FloatField()
    beat = models.FloatField(default=0)
    """When its thread last showed that it lives."""
    stop = models.BooleanField(default=False)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state != RUNNING
