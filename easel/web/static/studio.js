// The studio's own script. Every page works without it; with it files go in at once, forms answer as one types, and what
// changes shows by itself. No page holds a script of its own.
"use strict";

const csrf = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value || "";
const within = (root, choice) => [...(root.matches?.(choice) ? [root] : []), ...root.querySelectorAll(choice)];

// What changes: server-sent events, only while the page is looked at, so that many open pages cost nothing.
let source = null;
function live() {
  const place = document.querySelector("[data-live]");
  if (!place || document.hidden) { source?.close(); source = null; return; }
  if (source && source.readyState !== EventSource.CLOSED) return;
  source = new EventSource(place.dataset.live);
  source.addEventListener("part", (message) => {
    const part = JSON.parse(message.data);
    const target = document.getElementById(part.id);
    if (!target || target.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return;
    const open = within(target, "details[open]").map((one) => one.id);
    const focus = target.contains(document.activeElement) ? document.activeElement.id : "";
    target.innerHTML = part.html;
    open.forEach((id) => { const one = id && document.getElementById(id); if (one) one.open = true; });
    if (focus) document.getElementById(focus)?.focus();
    within(target, ".log").forEach((log) => { log.scrollTop = log.scrollHeight; });
    prepare(target);
  });
}
document.addEventListener("visibilitychange", live);
window.addEventListener("pagehide", () => source?.close());

const PIECE = 40; // files in one request
// Files: dropped, pasted or chosen, they go in at once; the field then holds their place in the studio.
async function putIn(drop, files, folder) {
  const said = drop.querySelector("[data-said]");
  const list = drop.querySelector(".held");
  const many = drop.dataset.many === "yes";
  files = [...files].filter((file) => file.size);
  if (!files.length) return;
  if (!many && !folder) files = files.slice(0, 1);
  const made = new Map();
  try {
    for (let first = 0; first < files.length; first += PIECE) { // a large folder goes in piece by piece
      said.textContent = files.length > 1 ? `putting in ${first} of ${files.length} files ...` : "putting it in ...";
      const body = new FormData();
      files.slice(first, first + PIECE).forEach((file) => {
        body.append("files", file, file.name || "pasted.png");
        if (folder) body.append("paths", file.path_in_folder || file.webkitRelativePath || file.name);
      });
      if (folder) body.append("folder", "yes");
      if (folder && made.size) body.append("into", [...made.keys()][0]);
      const answer = await fetch("/uploads/", { method: "POST", body, headers: { "X-CSRFToken": csrf() } });
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.error || found.detail || "it could not be put in");
      found.made.forEach((one) => made.set(one.id, one));
    }
    if (!many) list.replaceChildren();
    made.forEach((one) => { list.append(held(drop.dataset.name, one)); });
    const notes = [...made.values()].flatMap((one) => one.notes);
    said.textContent = notes.join("; ");
    drop.querySelectorAll("input[type=file]").forEach((input) => { input.value = ""; });
    drop.dispatchEvent(new Event("change", { bubbles: true }));
    drop.dispatchEvent(new CustomEvent("studio:held", { bubbles: true }));
  } catch (problem) { said.textContent = problem.message; }
}
function held(name, one) {
  const item = document.createElement("li");
  if (!one.is_folder && /\.(png|jpe?g|webp|avif|gif|bmp|tiff?)$/i.test(one.name)) {
    const picture = document.createElement("img");
    picture.src = `/files/${one.place}?small=1`;
    picture.alt = one.name;
    item.append(picture);
  }
  const text = document.createElement("span");
  text.textContent = one.is_folder ? `${one.name}: ${one.count} files` : one.name;
  const value = document.createElement("input");
  value.type = "hidden"; value.name = name; value.value = one.place;
  const away = document.createElement("button");
  away.type = "button"; away.className = "plain"; away.textContent = "Take away"; away.dataset.away = "";
  item.append(text, value, away);
  return item;
}
async function entriesIn(items) {
  const files = [];
  async function walk(entry, path) {
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      file.path_in_folder = path + file.name;
      files.push(file);
    } else if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!some.length) break;
        for (const one of some) await walk(one, `${path}${entry.name}/`);
      }
    }
  }
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folder = entries.some((entry) => entry.isDirectory);
  if (folder) for (const entry of entries) await walk(entry, "");
  return { folder, files };
}
document.addEventListener("dragover", (event) => {
  const drop = event.target.closest?.(".drop");
  if (drop) { event.preventDefault(); drop.classList.add("over"); }
});
document.addEventListener("dragleave", (event) => event.target.closest?.(".drop")?.classList.remove("over"));
document.addEventListener("drop", async (event) => {
  const drop = event.target.closest?.(".drop");
  if (!drop) return;
  event.preventDefault();
  drop.classList.remove("over");
  const loose = [...event.dataTransfer.files];
  const found = await entriesIn(event.dataTransfer.items);
  if (found.folder && drop.dataset.folder === "yes") putIn(drop, found.files, true);
  else putIn(drop, loose, drop.dataset.folder === "only");
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files || [])];
  const drop = event.target.closest?.(".drop") || document.querySelector(".drop");
  if (files.length && drop) { event.preventDefault(); putIn(drop, files, false); }
});
document.addEventListener("change", (event) => {
  const input = event.target;
  if (input.matches?.(".drop input[type=file]")) {
    event.stopPropagation();
    putIn(input.closest(".drop"), input.files, input.hasAttribute("webkitdirectory"));
  }
  if (input.matches?.("[data-recent]") && input.value) {
    const drop = input.closest(".drop");
    const list = drop.querySelector(".held");
    if (drop.dataset.many !== "yes") list.replaceChildren();
    const chosen = input.selectedOptions[0];
    list.append(held(drop.dataset.name, { place: input.value, name: chosen.dataset.name, is_folder: chosen.dataset.folder === "yes", count: chosen.dataset.count }));
    input.value = "";
    drop.dispatchEvent(new CustomEvent("studio:held", { bubbles: true }));
  }
}, true);
document.addEventListener("click", (event) => {
  const away = event.target.closest?.("[data-away]");
  if (away) {
    const drop = away.closest(".drop");
    away.closest("li").remove();
    drop.dispatchEvent(new Event("change", { bubbles: true }));
    drop.dispatchEvent(new CustomEvent("studio:held", { bubbles: true }));
  }
  const copy = event.target.closest?.("[data-copy]");
  if (copy) {
    navigator.clipboard?.writeText(document.getElementById(copy.dataset.copy).textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  }
});

// A slider and the number beside it say the same.
document.addEventListener("input", (event) => {
  const input = event.target;
  if (input.dataset?.slides) document.getElementById(input.dataset.slides).value = input.value;
  if (input.dataset?.slider) { const slider = document.getElementById(input.dataset.slider); if (input.value) slider.value = input.value; }
  if (input.matches?.("[data-cut]")) input.closest("section").querySelector(".overlay").style.setProperty("--cut", `${input.value}%`);
});

// A recipe from a picture: the picture goes in, and the form of its kind opens filled.
async function reuse(files) {
  const body = new FormData();
  body.append("files", files[0], files[0].name);
  const said = document.querySelector("[data-reuse-said]");
  const answer = await fetch("/uploads/", { method: "POST", body, headers: { "X-CSRFToken": csrf() } });
  const found = await answer.json();
  if (!answer.ok) { said.textContent = found.error; return; }
  const one = found.made[0];
  if (one.kind) location.href = `/${one.kind}/?upload=${one.id}`;
  else said.textContent = "this picture carries no recipe of easel";
}
document.addEventListener("change", (event) => { if (event.target.matches?.("[data-reuse]")) reuse(event.target.files); });

// The queue's order by drag; the buttons beside each job do the same for the keyboard.
let dragged = null;
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

// A mask, painted over the photo that the form holds: white is changed.
function maskFor(drop) {
  const place = drop.querySelector("[data-paint]");
  if (!place) return;
  const photo = document.querySelector(`.drop[data-name="${place.dataset.paint}"] input[type=hidden]`);
  place.hidden = !photo;
  if (!photo || place.dataset.of === photo.value) return;
  place.dataset.of = photo.value;
  const stage = place.querySelector(".masked");
  const image = document.createElement("img");
  const canvas = document.createElement("canvas");
  image.alt = "The photo to paint the mask on";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Paint what is to change");
  stage.replaceChildren(image, canvas);
  image.onload = () => {
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const pen = canvas.getContext("2d");
    let last = null;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
    };
    const stroke = (event) => {
      if (!last) return;
      const [x, y] = at(event);
      const width = Number(place.querySelector("[data-brush]").value) / 100 * Math.max(canvas.width, canvas.height);
      pen.globalCompositeOperation = place.querySelector("[data-erase]").checked ? "destination-out" : "source-over";
      pen.strokeStyle = pen.fillStyle = "#ffffff";
      pen.lineCap = pen.lineJoin = "round"; pen.lineWidth = width;
      pen.beginPath(); pen.moveTo(...last); pen.lineTo(x + .01, y); pen.stroke();
      last = [x, y];
    };
    canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); last = at(event); stroke(event); };
    canvas.onpointermove = stroke;
    canvas.onpointerup = canvas.onpointercancel = () => { last = null; };
    place.querySelector("[data-clear]").onclick = () => pen.clearRect(0, 0, canvas.width, canvas.height);
    place.querySelector("[data-keep]").onclick = () => {
      const whole = document.createElement("canvas");
      whole.width = canvas.width; whole.height = canvas.height;
      const ink = whole.getContext("2d");
      ink.fillStyle = "#000000"; ink.fillRect(0, 0, whole.width, whole.height);
      ink.drawImage(canvas, 0, 0);
      whole.toBlob((blob) => putIn(drop, [new File([blob], "mask.png", { type: "image/png" })], false), "image/png");
    };
  };
  image.src = `/files/${photo.value}`;
}

function prepare(root) {
  within(root, ".drop").forEach(maskFor);
  within(root, "[data-scripted]").forEach((one) => { one.hidden = false; });
}
document.addEventListener("studio:held", () => document.querySelectorAll(".drop").forEach(maskFor));
document.addEventListener("htmx:afterSwap", (event) => prepare(event.target));
document.addEventListener("DOMContentLoaded", () => {
  prepare(document.body);
  document.querySelectorAll(".log").forEach((log) => { log.scrollTop = log.scrollHeight; });
  live();
});
