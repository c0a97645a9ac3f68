// Draw strokes, send them to the server as a small picture after each stroke, and show its reply.

// Side of the uploaded picture in pixels. From 100 on the server looks for printed lines, dust and frames.
const PICTURE_SIDE = 96;
const MAX_FILE_SIDE = 1600; // of an opened picture; larger ones are scaled down, as the server takes 4 megapixels
const PICTURE_MARGIN = 6; // pixels on each side: ink that touches the edge would look cut off

const $ = (id) => document.getElementById(id);
const paper = $("paper");
const state = {
  strokes: [], // each {width, points: [[x, y], ...]} as a fraction of the paper's side
  file: null, // an opened picture, used instead of strokes
  bitmap: null,
  pointer: null, // id of the pointer that draws
  cross: [0.5, 0.5], // position of the keyboard's pen
  down: false, // whether the keyboard's pen is on the paper
  turn: 0, // number of the last request; replies to older ones are ignored
  answer: null,
};

// ----- drawing

function line(context, stroke, side, margin) {
  const at = ([x, y]) => [margin + x * (side - 2 * margin), margin + y * (side - 2 * margin)];
  const points = stroke.points.map(at);
  context.lineWidth = Math.max(stroke.width * (side - 2 * margin), 1);
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...points[0]);
  // Quadratic curves between the midpoints of neighbouring points make the stroke smooth.
  for (let i = 1; i < points.length - 1; i++) {
    const [x, y] = points[i];
    context.quadraticCurveTo(x, y, (x + points[i + 1][0]) / 2, (y + points[i + 1][1]) / 2);
  }
  context.lineTo(...points.at(-1));
  context.stroke();
}

function draw() {
  const side = Math.round(paper.clientWidth * devicePixelRatio);
  if (paper.width !== side) paper.width = paper.height = side;
  const context = paper.getContext("2d");
  context.clearRect(0, 0, side, side);
  if (state.bitmap) {
    const { width, height } = state.bitmap;
    const scale = side / Math.max(width, height);
    const [w, h] = [width * scale, height * scale];
    context.drawImage(state.bitmap, (side - w) / 2, (side - h) / 2, w, h);
  }
  context.strokeStyle = getComputedStyle(paper).getPropertyValue("--ink");
  for (const stroke of state.strokes) line(context, stroke, side, 0);
  if (document.activeElement === paper && paper.matches(":focus-visible")) {
    const [x, y] = state.cross.map((v) => v * side);
    context.strokeStyle = getComputedStyle(paper).getPropertyValue("--accent");
    context.lineWidth = state.down ? 4 : 2;
    context.beginPath();
    context.moveTo(x - 12, y);
    context.lineTo(x + 12, y);
    context.moveTo(x, y - 12);
    context.lineTo(x, y + 12);
    context.stroke();
  }
}

function begin(point) {
  if (state.file) clear();
  state.strokes.push({ width: $("pen").value / 100, points: [point] });
  draw();
}

function extend(...points) {
  state.strokes.at(-1).points.push(...points);
  draw();
}

function clear() {
  state.strokes = [];
  state.file = state.bitmap = null;
  state.down = false;
  ask();
}

function undo() {
  state.down = false;
  if (state.file) clear();
  else if (state.strokes.pop()) ask();
}

// ----- pointers: mouse, pen, finger

function place(event) {
  const box = paper.getBoundingClientRect();
  const inside = (v) => Math.min(Math.max(v, 0), 1);
  return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
}

paper.addEventListener("pointerdown", (event) => {
  if (state.pointer !== null || event.button !== 0) return;
  event.preventDefault(); // no text selection, no focus ring
  paper.focus({ preventScroll: true, focusVisible: false });
  state.pointer = event.pointerId;
  state.down = false;
  paper.setPointerCapture(event.pointerId);
  begin(place(event));
});

paper.addEventListener("pointermove", (event) => {
  if (event.pointerId !== state.pointer) return;
  // Browsers report moves once per frame; the coalesced events in between make the stroke smooth.
  const between = event.getCoalescedEvents();
  extend(...(between.length ? between : [event]).map(place));
});

for (const name of ["pointerup", "pointercancel"]) {
  paper.addEventListener(name, (event) => {
    if (event.pointerId !== state.pointer) return;
    state.pointer = null;
    ask(event.timeStamp);
  });
}

// ----- keyboard

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function move([dx, dy], far) {
  const step = far ? 0.1 : 0.025;
  state.cross = [dx, dy].map((d, i) => Math.min(Math.max(state.cross[i] + d * step, 0), 1));
  if (state.down) extend([...state.cross]);
}

function lift() {
  state.down = !state.down;
  if (state.down) begin([...state.cross]);
  else ask();
  $("kept").textContent = state.down ? "Pen down." : "Pen up.";
}

function thicken(by) {
  $("pen").value = Number($("pen").value) + by;
}

paper.addEventListener("keydown", (event) => {
  const { key, shiftKey } = event;
  if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "z") undo();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (key in MOVES) move(MOVES[key], shiftKey);
  else if (key === " " || key === "Enter") lift();
  else if (key === "Delete" || key === "Backspace") clear();
  else if (key === "+" || key === "-") thicken(Number(`${key}1`));
  else return;
  event.preventDefault();
  draw();
});
for (const name of ["focus", "blur"]) paper.addEventListener(name, draw);

// ----- requests

function picture() {
  if (state.file) return state.file;
  const small = document.createElement("canvas");
  small.width = small.height = PICTURE_SIDE;
  const context = small.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, PICTURE_SIDE, PICTURE_SIDE);
  context.strokeStyle = "#000";
  for (const stroke of state.strokes) line(context, stroke, PICTURE_SIDE, PICTURE_MARGIN);
  // Not toBlob: browsers may defer it by a second until they are idle.
  const [, content] = small.toDataURL("image/png").split(",");
  return Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
}

async function post(path, body) {
  const reply = await fetch(path, { method: "POST", body });
  const content = await reply.json();
  if (!reply.ok) throw new Error(content.error);
  return content;
}

async function ask(since = performance.now()) {
  const turn = ++state.turn;
  draw();
  busy("answer", true);
  $("kept").textContent = "";
  $("keep").querySelector("button").disabled = !state.strokes.length && !state.file;
  if (!state.strokes.length && !state.file) {
    showAnswer(null, about.digits ? "Draw one digit, from 0 to 9." : "Open a picture, or draw one.");
    return;
  }
  try {
    const body = picture();
    const answer = await post("answer", body);
    if (turn !== state.turn) return;
    showAnswer(answer, `${about.classes[answer.digit]}, ${words(answer.outputs[answer.digit])}.`);
    performance.measure("answer", { start: since, end: performance.now() });
    busy("comparison", true);
    const more = about.digits ? [["pixels", showParts]] : []; // pixel by pixel: too slow for large pictures
    for (const [path, show] of [...more, ["backends", showBackends]]) {
      const content = await post(path, body);
      if (turn !== state.turn) return;
      show(content);
    }
    busy("comparison", false);
  } catch (error) {
    if (turn === state.turn) showAnswer(null, sentence(error));
  }
}

function busy(id, is) {
  $(id).setAttribute("aria-busy", is);
}

function sentence(error) {
  if (error instanceof TypeError) return "The server does not respond; is draw.py still running?";
  return error.message.charAt(0).toUpperCase() + error.message.slice(1) + ".";
}

// ----- replies

const words = (share) => `probability ${(100 * share).toFixed(1)} percent`;

function showAnswer(answer, text) {
  state.answer = answer;
  $("digit").textContent = answer ? about.classes[answer.digit] : "–";
  $("status").textContent = text;
  for (const [digit, item] of [...$("bars").children].entries()) {
    const share = answer ? answer.outputs[digit] : 0;
    item.className = answer && digit === answer.digit ? "best" : "";
    item.querySelector(".bar").style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
    item.lastElementChild.textContent = answer ? `${(100 * share).toFixed(1)} %` : "";
  }
  const shape = answer?.shape ?? [28, 28];
  const [height, width, channels = 1] = shape;
  const label = answer ? `the drawing in ${height} by ${width} pixels` : "nothing yet";
  const seen = (answer?.picture ?? []).filter((_, i) => i % channels === 0);
  const colour = (v, i) => `rgb(${[0, 1, 2].map((c) => (channels === 3 ? answer.picture[3 * i + c] : v))})`;
  pixels($("seen"), seen, width, label, colour);
  $("hidden").replaceChildren(...(answer?.hidden ?? []).map(layer));
  showParts(null);
  showBackends(null);
  busy("answer", false);
}

function pixels(canvas, values, columns, label, colour) {
  canvas.width = columns;
  canvas.height = Math.max(Math.ceil(values.length / columns), 1);
  canvas.setAttribute("aria-label", label);
  const context = canvas.getContext("2d");
  for (const [i, value] of values.entries()) {
    context.fillStyle = colour(value, i);
    context.fillRect(i % columns, Math.floor(i / columns), 1, 1);
  }
}

// Colour of a signed value: blue above 0, orange below; opacity grows with the absolute value.
function signed(values) {
  const style = getComputedStyle(document.documentElement);
  const [above, below] = ["--for", "--against"].map((name) => style.getPropertyValue(name));
  const most = Math.max(...values.map(Math.abs)) || 1;
  return (v) => `rgba(${v < 0 ? below : above}, ${Math.abs(v) / most})`;
}

function layer({ name, units, active, values }) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption");
  canvas.className = "pixels";
  canvas.setAttribute("role", "img");
  caption.textContent = `${name}: ${active} of ${units} units are nonzero`;
  pixels(canvas, values, Math.min(50, values.length), caption.textContent, signed(values));
  figure.append(canvas, caption);
  return figure;
}

function showParts(content) {
  const [winner, second] = content ? [content.for, content.against].map((i) => about.classes[i]) : [];
  const label = content ? `contribution of each pixel for ${winner} against ${second}` : "nothing yet";
  const parts = content?.parts ?? [];
  pixels($("parts"), parts, content?.shape[1] ?? 28, label, signed(parts));
  if (content) {
    $("parts-text").textContent =
      `How much of the lead of ${winner} over ${second} is lost if this pixel alone is blank.`;
  }
}

function showBackends(content) {
  const rows = (content?.rows ?? []).map((row) => {
    const line = document.createElement("tr");
    const cells = [row.backend, about.classes[row.digit], row.probability.toFixed(7), row.difference.toExponential(1)];
    for (const text of cells) line.insertCell().textContent = text;
    return line;
  });
  $("backends").replaceChildren(...rows);
  if (!content) return;
  const [largest, bound] = [content.largest, content.bound].map((v) => v.toExponential(1));
  const missing = content.missing.join(", ");
  $("backends-text").textContent =
    `The largest difference is ${largest}, the bound is ${bound}: it ${content.holds ? "holds" : "does not hold"}. ` +
    `The difference is that of the last layer's output before its activation. ` +
    (missing ? `Not available on this computer: ${missing}.` : "");
}

// ----- the rest of the page

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
$("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (!file) return;
  clear();
  state.file = file;
  state.bitmap = await createImageBitmap(file).catch(() => null); // the server reports what is wrong
  if (state.bitmap && Math.max(state.bitmap.width, state.bitmap.height) > MAX_FILE_SIDE) {
    const scale = MAX_FILE_SIDE / Math.max(state.bitmap.width, state.bitmap.height);
    const small = document.createElement("canvas");
    small.width = Math.max(1, Math.round(state.bitmap.width * scale));
    small.height = Math.max(1, Math.round(state.bitmap.height * scale));
    small.getContext("2d").drawImage(state.bitmap, 0, 0, small.width, small.height);
    state.file = await new Promise((resolve) => small.toBlob(resolve));
  }
  ask();
});
$("keep").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { file } = await post(`keep?digit=${encodeURIComponent($("label").value)}`, picture());
    $("kept").textContent = `Saved as ${file}`;
  } catch (error) {
    $("kept").textContent = sentence(error);
  }
});
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => ask());

const about = await (await fetch("about")).json();
$("about").textContent =
  `Run ${about.run}: ${about.parameters.toLocaleString("en")} parameters, on ${about.backend}.`;
for (const name of about.classes) {
  const item = document.createElement("li");
  item.innerHTML = `<span></span><span class="track"><span class="bar"></span></span><span></span>`;
  item.firstElementChild.textContent = name;
  $("bars").append(item);
  $("label").append(new Option(name));
}
if (!about.digits) {
  document.body.className = "own";
  document.title = document.querySelector("h1").textContent = "Classify a picture";
  for (const id of ["digits-text", "seen-text", "mattered"]) $(id).hidden = true;
}
ask();
