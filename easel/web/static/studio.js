// The studio's own script. Every page works without it; with it files go in at once, forms answer as one types, and what
// changes shows by itself. No page holds a script of its own.
"use strict";

const csrf = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value || "";
const within = (root, choice) => [...(root.matches?.(choice) ? [root] : []), ...root.querySelectorAll(choice)];

// What changes: server-sent events, only while the page is looked at, so that many open pages cost nothing.
let source = null;
let dragged = null;
function live() {
  const place = document.querySelector("[data-live]");
  if (!place || document.hidden) { source?.close(); source = null; return; }
  if (source && source.readyState !== EventSource.CLOSED) return;
  const asked = document.getElementById(place.dataset.liveWith);
  const query = asked ? new URLSearchParams(new FormData(asked)) : "";
  source = new EventSource(`${place.dataset.live}${query ? "?" : ""}${query}`);
  const mine = source;
  source.addEventListener("error", () => { // the browser comes back by itself, but not where a server before ours said no
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => { if (source === mine) liveAnew(); }, 3000);
  });
  source.addEventListener("part", (message) => {
    const part = JSON.parse(message.data);
    const target = document.getElementById(part.id);
    if (target && !dragged) renew(target, part.html);
  });
}
// Of a renewed part only what differs is put in, so that sliders, scrolling and pictures stay as they are.
const sent = new WeakMap();
const plain = (html) => html.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
const isTyping = (node) => node.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
function renew(target, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const parts = [...fresh.content.children];
  const kept = new Set();
  parts.forEach((part, place) => {
    const text = plain(part.outerHTML);
    let now = part.id ? [...target.children].find((one) => one.id === part.id) : null;
    if (!now || (sent.get(now) ?? plain(now.outerHTML)) !== text && !isTyping(now)) {
      const open = now ? within(now, "details[open]").map((one) => one.id) : [];
      const focus = now?.contains(document.activeElement) ? document.activeElement.id : "";
      if (now) now.replaceWith(part);
      sent.set(part, text);
      now = part;
      prepare(part);
      open.forEach((id) => { const one = id && document.getElementById(id); if (one) one.open = true; });
      if (now !== target.children[place]) target.insertBefore(now, target.children[place] || null);
      if (focus) document.getElementById(focus)?.focus();
    } else if (now !== target.children[place]) target.insertBefore(now, target.children[place] || null);
    kept.add(now);
  });
  [...target.children].forEach((one) => { if (!kept.has(one)) one.remove(); });
  if (target.matches(".log")) { find(target); target.scrollTop = target.scrollHeight; }
}
// Searching a log: lines without the words are hidden, those that come too.
function find(log) {
  const box = document.querySelector(`[data-find="${log.id}"]`);
  const words = box ? box.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  [...log.children].forEach((line) => { const text = line.textContent.toLowerCase(); line.hidden = !words.every((word) => text.includes(word)); });
}
// The grids of a training, through time.
document.addEventListener("input", (event) => {
  if (event.target.dataset?.find) find(document.getElementById(event.target.dataset.find));
  if (event.target.matches?.("[data-frames]")) {
    const figure = event.target.closest("figure");
    const link = figure.querySelectorAll(".strip a")[Number(event.target.value)];
    const image = figure.querySelector("[data-frame]");
    image.src = link.href;
    image.alt = `Samples at ${link.dataset.called}`;
    figure.querySelector("[data-frame-said]").textContent = link.dataset.called;
  }
});
function liveAnew() { source?.close(); source = null; live(); }
document.addEventListener("visibilitychange", live);
window.addEventListener("pagehide", () => source?.close());

document.addEventListener("click", (event) => {
  const copy = event.target.closest?.("[data-copy]");
  if (copy) {
    navigator.clipboard?.writeText(document.getElementById(copy.dataset.copy).textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  }
});

function alike(input) {
  const slider = document.getElementById(input.dataset.slider);
  if (slider) slider.value = "log" in slider.dataset ? Math.log10(Math.max(1e-3, Number(input.value))) : input.value;
}
// A slider and the number beside it say the same.
document.addEventListener("input", (event) => {
  const input = event.target;
  if (input.dataset?.slides) {
    const power = Number((10 ** input.value).toPrecision(2));
    document.getElementById(input.dataset.slides).value = "log" in input.dataset ? power : input.value;
  }
  if (input.dataset?.slider && input.value) alike(input);
  if (input.matches?.("[data-cut]")) input.closest("section").querySelector(".overlay").style.setProperty("--cut", `${input.value}%`);
});

// The queue's order by drag; the buttons beside each job do the same for the keyboard.
document.addEventListener("dragstart", (event) => { dragged = event.target.closest?.("[data-job]"); });
document.addEventListener("dragend", () => { dragged = null; });
document.addEventListener("dragover", (event) => {
  const over = event.target.closest?.("[data-job]");
  if (dragged && over && over !== dragged) { event.preventDefault(); over.classList.add("over"); }
});
document.addEventListener("dragleave", (event) => event.target.closest?.("[data-job]")?.classList.remove("over"));
document.addEventListener("drop", async (event) => {
  const over = event.target.closest?.("[data-job]");
  if (!dragged || !over || over === dragged) return;
  event.preventDefault();
  const body = new FormData();
  body.append("before", over.dataset.job);
  await fetch(`/jobs/${dragged.dataset.job}/move/`, { method: "POST", body, headers: { "X-CSRFToken": csrf() } });
});

// The pictures beside this one by the arrow keys.
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select, pre, dialog *") || event.altKey || event.ctrlKey || event.metaKey) return;
  const link = event.key === "ArrowLeft" ? "newer" : event.key === "ArrowRight" ? "older" : "";
  if (link) document.querySelector(`a[data-${link}]`)?.click();
});

function prepare(root) {
  within(root, ".drop").forEach(ready);
  within(root, "[data-scripted]").forEach((one) => { one.hidden = "camera" in one.dataset && !navigator.mediaDevices; });
  within(root, "[data-slider]").forEach((one) => { if (one.value || one.placeholder > 0) { const kept = one.value; one.value ||= one.placeholder; alike(one); one.value = kept; } });
}
document.addEventListener("htmx:afterSwap", (event) => {
  prepare(event.target);
  if (event.target.dataset.liveWith || event.target.querySelector?.("[data-live]")) liveAnew();
});
document.addEventListener("DOMContentLoaded", () => {
  prepare(document.body);
  const nav = document.querySelector(".top nav");
  const here = nav?.querySelector("[aria-current]");
  if (here) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - nav.clientWidth / 3;
  document.querySelectorAll(".log").forEach((log) => { log.scrollTop = log.scrollHeight; });
  live();
});
