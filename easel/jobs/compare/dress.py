"""Style and script of a comparison's page."""

STYLE = """
:root { color-scheme: light dark; --paper: #faf9f6; --card: #fff; --ink: #1c1c1e; --grey: #5c5c62; --line: #e0dcd2;
  --best: #d9ecd3; --tied: #f3ecd2; --red: #b03a22; --focus: #2f62b5; }
@media (prefers-color-scheme: dark) { :root { --paper: #17171a; --card: #212125; --ink: #f1efe9; --grey: #a9a7a3;
  --line: #3a393d; --best: #254a2c; --tied: #47401f; --red: #f08a70; --focus: #8db4ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 1500px; }
h1 { font-size: 1.7rem; margin: 0 0 .6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
.verdict { font-size: 1.05rem; max-width: 75rem; border-left: 4px solid var(--focus); padding-left: .8rem; }
.hint, small { color: var(--grey); font-size: .8rem; } small { display: block; font-weight: 400; white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
th, td { padding: .4rem .7rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th, thead td { border-top: 0; vertical-align: bottom; } tbody th { font-weight: 600; max-width: 16rem; }
#scores tbody th { min-width: 7rem; } #numbers { margin: 0 0 .8rem; }
#scores td { font-variant-numeric: tabular-nums; } .best { background: var(--best); font-weight: 600; }
.tied { background: var(--tied); }
.grid th { min-width: 6rem; max-width: 11rem; font-size: .85rem; overflow-wrap: anywhere; }
b.best, i.tied { padding: 0 .3rem; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: 4px;
  cursor: pointer; padding: .15rem .5rem; }
button.sort { border: 0; padding: 0; font-weight: 600; text-align: left; }
button.sort::after { content: " \\2195"; color: var(--grey); }
[aria-sort=ascending] .sort::after { content: " \\2191"; } [aria-sort=descending] .sort::after { content: " \\2193"; }
button.look { padding: 0; border: 0; display: block; margin: 0 0 .3rem; } .look img { display: block; width: 180px; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.failed { color: var(--red); font-size: .8rem; max-width: 180px; margin: 0; }
dialog { max-width: min(1100px, 96vw); max-height: 96vh; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper); color: var(--ink); padding: 1rem 1.2rem; overflow: auto; }
dialog::backdrop { background: #000b; } .bar { display: flex; gap: .4rem; align-items: start; margin-bottom: .6rem; }
.bar h2 { flex: 1; margin: 0; overflow-wrap: anywhere; } #large { max-width: 100%; max-height: 75vh; display: block; }
pre { background: var(--card); border: 1px solid var(--line); padding: .7rem; overflow: auto; font-size: .8rem; }
a { color: var(--focus); }
"""

SCRIPT = """
"use strict";
const looks = JSON.parse(document.getElementById("looks").textContent);
const at = name => document.getElementById(name);
const table = at("scores"), box = at("window");
let shown = 0;

for (const button of table.querySelectorAll(".sort")) button.addEventListener("click", () => {
  const head = button.parentElement, column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => row.cells[column].dataset.value;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === "");
    return (down ? -1 : 1) * (value(a) - value(b));
  });
  table.tBodies[0].append(...rows);
});

function show(number) {
  shown = (number + looks.length) % looks.length;
  const look = looks[shown];
  at("title").textContent = look.title;
  at("large").src = look.large;
  at("large").alt = look.title;
  at("file").hidden = !look.file;
  at("file").href = look.file;
  at("numbers").tBodies[0].replaceChildren(...(look.scores || []).map(line => {
    const row = document.createElement("tr");
    for (const word of line) row.insertCell().textContent = word;
    return row;
  }));
  at("own").hidden = !look.recipe;
  at("recipe").textContent = look.recipe || "";
  at("copied").textContent = "";
  if (!box.open) box.showModal();
  at("next").focus();
}

for (const button of document.querySelectorAll(".look"))
  button.addEventListener("click", () => show(Number(button.dataset.look)));
at("next").addEventListener("click", () => show(shown + 1));
at("before").addEventListener("click", () => show(shown - 1));
at("close").addEventListener("click", () => box.close());
box.addEventListener("click", event => { if (event.target === box) box.close(); });
box.addEventListener("close", () => {
  const button = document.querySelector(`[data-look="${shown}"]`);
  if (button) button.focus();
});
box.addEventListener("keydown", event => {
  if (event.target === at("recipe")) return;
  if (event.key === "ArrowRight") show(shown + 1);
  if (event.key === "ArrowLeft") show(shown - 1);
});
at("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(at("recipe").textContent);
    at("copied").textContent = "copied";
  } catch {
    getSelection().selectAllChildren(at("recipe"));
    at("copied").textContent = "selected: press Ctrl-C";
  }
});
"""
