"""Every address of the studio."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter

from easel.kinds import KINDS
from easel.web import gallery, jobs, people, served, views


class KindWord:
    """A kind's word in an address: /score-sets/."""

    regex = "[a-z][a-z-]*"

    def to_python(self, value: str) -> str:
        """The word. ValueError, which is a 404, where there is no such kind."""
        if value not in KINDS:
            raise ValueError(value)
        return value

    def to_url(self, value: str) -> str:
        """The word as it is."""
        return value


register_converter(KindWord, "kind")

handler404 = "easel.web.views.not_found"
handler500 = "easel.web.views.broken"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("health/", views.health, name="health"),
    path("machine/", views.machine, name="machine"),
    path("static/<str:name>", served.static, name="static"),
    path("login/", people.log_in, name="login"),
    path("logout/", people.log_out, name="logout"),
    path("owner/<str:word>/", people.become_owner, name="owner"),
    path("account/", people.account, name="account"),
    path("account/tokens/", people.make_token, name="make-token"),
    path("account/tokens/<int:number>/delete/", people.drop_token, name="drop-token"),
    path("account/people/", people.add_person, name="add-person"),
    path("theme/", views.theme, name="theme"),
    path("uploads/", views.put_in, name="put-in"),
    path("uploads/<str:number>/delete/", views.take_away, name="take-away"),
    path("files/<path:place>", jobs.file, name="file"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/events/", jobs.list_events, name="list-events"),
    path("jobs/steer/", jobs.steer, name="steer"),
    path("jobs/<int:number>/", jobs.job_page, name="job"),
    path("jobs/<int:number>/events/", jobs.job_events, name="job-events"),
    path("jobs/<int:number>/preview/", jobs.preview, name="preview"),
    path("jobs/<int:number>/<str:what>/", jobs.act, name="act"),
    path("gallery/", gallery.gallery, name="gallery"),
    path("gallery/<int:number>/", gallery.picture, name="picture"),
    path("gallery/<int:number>/bin/", gallery.to_bin, name="to-bin"),
    path("compare/", gallery.compare, name="compare-pictures"),
    path("bin/", gallery.bin_page, name="bin"),
    path("bin/empty/", gallery.empty_bin, name="empty-bin"),
    path("models/", gallery.models, name="models"),
    path("models/<int:number>/", gallery.model, name="model"),
    path("<kind:word>/", views.make, name="make"),
    path("<kind:word>/fields/", views.fields, name="fields"),
    path("<kind:word>/yaml/", views.as_yaml, name="as-yaml"),
]
