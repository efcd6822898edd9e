"""Every address of the studio."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter

from easel.kinds import KINDS
from easel.web import gallery, inference, jobs, logs, people, presets, pulls, served, sets, shelf, views
from easel.web.api import a1111, a1111_lists, controlnet, extras, native, openai

A1111 = {
    "txt2img": a1111.txt2img, "img2img": a1111.img2img, "progress": a1111.progress, "interrupt": a1111.interrupt,
    "skip": a1111.interrupt, "png-info": a1111.png_info, "interrogate": a1111.interrogate,
    "extra-single-image": extras.single, "extra-batch-images": extras.batch, "sd-models": a1111_lists.sd_models,
    "samplers": a1111_lists.samplers, "schedulers": a1111_lists.schedulers, "options": a1111_lists.options,
    "upscalers": a1111_lists.upscalers, "latent-upscale-modes": a1111_lists.latent_upscale_modes,
    "loras": a1111_lists.loras, "prompt-styles": a1111_lists.prompt_styles, "embeddings": a1111_lists.embeddings,
    "memory": a1111_lists.memory, "cmd-flags": a1111_lists.cmd_flags, "scripts": a1111_lists.scripts,
    "refresh-checkpoints": a1111_lists.refresh, "refresh-loras": a1111_lists.refresh,
}  # fmt: skip
"""A1111's words and what answers them."""
NONE_OF = ("hypernetworks", "face-restorers", "realesrgan-models", "sd-vae")
"""Lists of what easel has none of."""


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

handler400 = "easel.web.views.not_understood"
handler403 = "easel.web.views.forbidden"
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
    path("account/people/<int:number>/out/", people.shut_out, name="shut-out"),
    path("account/password/", people.change_password, name="change-password"),
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
    path("logs/", logs.logs, name="logs"),
    path("logs/events/", logs.log_events, name="log-events"),
    path("gallery/", gallery.gallery, name="gallery"),
    path("gallery/<int:number>/", gallery.picture, name="picture"),
    path("gallery/<int:number>/bin/", gallery.to_bin, name="to-bin"),
    path("gallery/compare/", gallery.compare, name="compare-pictures"),
    path("bin/", gallery.bin_page, name="bin"),
    path("bin/empty/", gallery.empty_bin, name="empty-bin"),
    path("gallery/bin/", gallery.several_to_bin, name="several-to-bin"),
    path("models/", shelf.models, name="models"),
    path("models/pull/", pulls.pull, name="pull"),
    path("models/pulls/", pulls.list_pulls, name="pulls"),
    path("models/pulls/<int:number>/stop/", pulls.stop, name="stop-pull"),
    path("models/label/", shelf.label, name="label"),
    path("models/<int:number>/", shelf.model, name="model"),
    path("models/<int:number>/delete/", shelf.delete_model, name="delete-model"),
    path("inference/", inference.inference, name="inference"),
    path("paintings/<str:name>/", sets.painting, name="painting"),
    path("sets/look/", sets.look, name="look"),
    path("begin/", sets.begin, name="begin"),
    path("presets/<int:number>/delete/", presets.drop, name="drop-preset"),
    path("api/docs", native.docs, name="api-docs"),
    path("api/openapi.json", native.openapi, name="openapi"),
    path("api/jobs/<int:number>/events", native.events, name="api-events"),
    path("api/", native.api.urls),
    *(path(f"sdapi/v1/{word}", view, name=word) for word, view in A1111.items()),
    *(path(f"sdapi/v1/{word}", a1111_lists.nothing, name=word) for word in NONE_OF),
    path("controlnet/version", controlnet.version, name="controlnet-version"),
    path("controlnet/model_list", controlnet.model_list, name="controlnet-models"),
    path("controlnet/module_list", controlnet.module_list, name="controlnet-modules"),
    path("controlnet/detect", controlnet.detect, name="controlnet-detect"),
    path("v1/models", openai.models, name="openai-models"),
    path("v1/images/generations", openai.generations, name="generations"),
    path("v1/images/edits", openai.edits, name="edits"),
    path("v1/images/variations", openai.variations, name="variations"),
    path("v1/files/<str:signed>", openai.file, name="signed-file"),
    path("<kind:word>/", views.make, name="make"),
    path("<kind:word>/fields/", views.fields, name="fields"),
    path("<kind:word>/yaml/", views.as_yaml, name="as-yaml"),
    path("<kind:word>/preset/", presets.save, name="save-preset"),
]
