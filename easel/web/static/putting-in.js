// What goes in: files by drop, paste, choice and camera; a mask by brush; a recipe from a picture.
"use strict";

const PIECE = 40; // files in one request
// Files: dropped, pasted or chosen, they go in at once; the field then holds their place in the studio.
async function sendIn(body) {
  const answer = await fetch("/uploads/", { method: "POST", body, headers: { "X-CSRFToken": csrf() } });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error || found.detail || "it could not be put in");
  return found.made;
}
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
      (await sendIn(body)).forEach((one) => made.set(one.id, one));
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
});

// A drop zone is ready: the mask has its photo, what a folder holds is said, what can be done with a thing is offered.
function ready(drop) {
  maskFor(drop);
  const value = drop.querySelector("input[type=hidden]")?.value || "";
  const place = document.querySelector(`[data-look="${drop.dataset.name}"], [data-begin="${drop.dataset.name}"]`);
  if (!place || place.dataset.of === value) return;
  place.dataset.of = value;
  if (!value) { place.replaceChildren(); return; }
  const words = document.createElement("p");
  words.className = "quiet"; words.textContent = "Looking at it ...";
  place.replaceChildren(words);
  const options = { target: place, swap: "innerHTML" };
  if (place.dataset.look) htmx.ajax("POST", "/sets/look/", { ...options, values: { place: value, csrfmiddlewaretoken: csrf() } });
  else htmx.ajax("GET", `/begin/?place=${encodeURIComponent(value)}`, options);
}
document.addEventListener("studio:held", () => document.querySelectorAll(".drop").forEach(ready));

// The camera: what it sees when the button is pressed goes in as a photo.
let filming = null;
function leaveCamera() {
  filming?.stream.getTracks().forEach((track) => track.stop());
  filming = null;
}
document.addEventListener("click", async (event) => {
  const asked = event.target.closest?.("[data-camera]");
  const dialog = document.getElementById("camera");
  if (!dialog) return;
  const said = dialog.querySelector("[data-camera-said]");
  const video = dialog.querySelector("video");
  if (asked) {
    said.textContent = "";
    dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
      filming = { stream, drop: asked.closest(".drop") };
      video.srcObject = stream;
    } catch (problem) { said.textContent = `the camera does not answer (${problem.message || problem.name}): allow it for this page, or choose a file`; }
  }
  if (event.target.closest?.("[data-shoot]") && filming && video.videoWidth) {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    const drop = filming.drop;
    canvas.toBlob((blob) => putIn(drop, [new File([blob], "camera.jpg", { type: "image/jpeg" })], false), "image/jpeg", .95);
    dialog.close();
  }
  if (event.target.closest?.("[data-leave]")) dialog.close();
});
document.getElementById("camera")?.addEventListener("close", leaveCamera);

// A recipe from a picture: the picture goes in, and the form of its kind opens filled.
async function reuse(files) {
  const said = document.querySelector("[data-reuse-said]");
  const body = new FormData();
  body.append("files", files[0], files[0].name);
  try {
    const [one] = await sendIn(body);
    if (one.kind) location.href = `/${one.kind}/?upload=${one.id}`;
    else said.textContent = "this picture carries no recipe of easel";
  } catch (problem) { said.textContent = problem.message; }
}
document.addEventListener("change", (event) => { if (event.target.matches?.("[data-reuse]")) reuse(event.target.files); });

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
      const isMarked = pen.getImageData(0, 0, canvas.width, canvas.height).data.some((value, at) => at % 4 === 3 && value > 0);
      if (!isMarked) { drop.querySelector("[data-said]").textContent = "paint what is to change first: nothing is marked yet"; return; }
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

