"""Models fetched from the hub, each by a thread of the web process, with progress. One that the process took down with
it goes on when the studio starts again: the hub's own cache keeps what is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from pathlib import Path

from django.db import close_old_connections, connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from easel.errors import Cancelled, EaselError, printable, unexpected
from easel.models.catalog import download, locate
from easel.web.models import CANCELLED, DONE, FAILED, RUNNING, Pull

LOOK = 0.5
"""Seconds between two looks at how much has come."""
LOST = 15.0
"""Seconds without a beat after which a thread is gone."""
SHOWN = 20


def shown() -> list[Pull]:
    """The last ones, those that a killed process left behind set going again."""
    for row in Pull.objects.filter(state=RUNNING, beat__lt=time.time() - LOST):
        begin(row)
    return list(Pull.objects.order_by("-pk")[:SHOWN])


@require_POST
def pull(request: HttpRequest) -> HttpResponse:
    """Begin to fetch a model. The owner's alone: it takes room that everybody shares."""
    if not request.user.is_superuser:
        raise EaselError("only the owner of the studio fetches models: put weights in instead")
    name = request.POST.get("name", "").strip()
    download.sources(name)
    if not Pull.objects.filter(name=name, state=RUNNING).exists():
        begin(Pull.objects.create(name=name, created=time.time(), beat=time.time()))
    return HttpResponseRedirect("/models/#pulls")


def list_pulls(request: HttpRequest) -> HttpResponse:
    """How far they are, for the page that asks every other second."""
    return render(request, "pulls.html", {"pulls": shown(), "may_pull": request.user.is_superuser})


@require_POST
def stop(request: HttpRequest, number: int) -> HttpResponse:
    """Stop one that is under way, or take one that is over off the list."""
    if not request.user.is_superuser:
        raise Http404
    row = get_object_or_404(Pull, pk=number)
    if row.is_over:
        row.delete()
    else:
        Pull.objects.filter(pk=row.pk).update(stop=True, state=CANCELLED)
    return HttpResponseRedirect("/models/#pulls")


def begin(row: Pull) -> None:
    """Fetch it beside the web server."""
    Pull.objects.filter(pk=row.pk).update(state=RUNNING, beat=time.time(), error="", stop=False)
    threading.Thread(target=fetch, args=(row.pk, row.name), daemon=True).start()


def fetch(number: int, name: str) -> None:
    """Fetch a model, and write how far it is and how it ended. Nothing is raised."""
    mine = Pull.objects.filter(pk=number, state=RUNNING)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(number, name, over), daemon=True)
    watch.start()

    def report(_done: int, _total: int) -> None:
        if not mine.exists():
            raise Cancelled("stopped")

    try:
        download.pull(name, report)
        mine.update(state=DONE)
    except Cancelled:
        pass
    except EaselError as problem:
        mine.update(state=FAILED, error=printable(problem))
    except Exception as problem:  # noqa: BLE001 - the server outlives whatever the hub answers
        mine.update(state=FAILED, error=printable(unexpected(problem)))
    finally:
        over.set()
        watch.join()
        connection.close()


def _watch(number: int, name: str, over: threading.Event) -> None:
    """Until it is over: say how many bytes have come."""
    wanted = download.sources(name)
    total = sum(source.megabytes for source in wanted) * 1_000_000
    while not over.wait(LOOK):
        done = sum(bytes_in(locate.cache_folder(source)) for source in wanted)
        Pull.objects.filter(pk=number).update(done=done, total=max(total, done) if total else 0, beat=time.time())
    close_old_connections()
    connection.close()


def bytes_in(folder: Path) -> int:
    """Bytes of the files in a folder, those still coming too."""
    found = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            found += 0 if path.is_symlink() or not path.is_file() else path.stat().st_size
        except OSError:
            continue
    return found


def pulled(known: Collection[str]) -> list[str]:
    """Names that were fetched here, but for those that are known already."""
    return [name for name in Pull.objects.filter(state=DONE).values_list("name", flat=True) if name not in known]
