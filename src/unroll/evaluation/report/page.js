"use strict";

// Tables: a click on a heading sorts by its column; what has no figure stays last.

function keyOf(row, column, numeric) {
  const cell = row.cells[column];
  if (!numeric) return cell.textContent.trim() || null;
  return "value" in cell.dataset ? Number(cell.dataset.value) : null;
}

function sortTable(table, heading) {
  const descending = heading.hasAttribute("aria-sort")
    ? heading.getAttribute("aria-sort") === "ascending"
    : heading.dataset.first === "descending";
  const numeric = heading.dataset.sort === "number";
  const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, heading.cellIndex, numeric), row]);
  rows.sort(([one], [other]) => {
    if (one === null || other === null) return (one === null) - (other === null);
    const order = numeric ? one - other : one.localeCompare(other, "en", { numeric: true });
    return descending ? -order : order;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortTable(table, heading));
  }
}

// Learning curves: SVG drawn from the numbers beside it.

const WIDTH = 960, HEIGHT = 400, LEFT = 64, RIGHT = 20, TOP = 14, BOTTOM = 48;
const NEAR = 40; // of the pointer: how far away a point may lie to be told

function svg(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function ticks(low, high) {
  const raw = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(n * step || 0); // never -0
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function number(value, digits) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// What is to be drawn: a line a curve, each with its points in the numbers of the axes.
function linesOf(curves, runs, names, minutes) {
  const lines = [];
  for (const run of runs) {
    for (const name of names) {
      const points = (curves[run].points[name] ?? [])
        .filter((point) => curves[run].level || !minutes || point[1] !== null)
        .map((point) => ({ x: minutes ? point[1] : point[0], y: point[2], step: point[0], minutes: point[1] }));
      if (points.length) lines.push({ run, name, points, level: curves[run].level, look: curves[run].look });
    }
  }
  return lines;
}

function scales(lines) {
  const xs = lines.filter((line) => !line.level).flatMap((line) => line.points.map((point) => point.x));
  const ys = lines.flatMap((line) => line.points.map((point) => point.y));
  let low = ys.reduce((a, b) => Math.min(a, b)), high = ys.reduce((a, b) => Math.max(a, b));
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  low -= room;
  high += room;
  const end = xs.reduce((a, b) => Math.max(a, b), 0) || 1;
  return {
    low, high, end,
    x: (value) => LEFT + (value / end) * (WIDTH - LEFT - RIGHT),
    y: (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM),
  };
}

function drawAxes(picture, scale, across, up) {
  const rows = ticks(scale.low, scale.high), columns = ticks(0, scale.end);
  for (const value of rows.found) {
    const y = scale.y(value);
    picture.append(svg("line", { class: "ruling", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
    picture.append(svg("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, number(value, rows.digits)));
  }
  for (const value of columns.found) {
    const x = scale.x(value), y = HEIGHT - BOTTOM;
    picture.append(svg("line", { class: "axis", x1: x, x2: x, y1: y, y2: y + 5 }));
    picture.append(svg("text", { x, y: y + 19, "text-anchor": "middle" }, number(value, columns.digits)));
  }
  const base = { x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM };
  picture.append(svg("line", { class: "axis", ...base }));
  const middle = (TOP + HEIGHT - BOTTOM) / 2;
  picture.append(svg("text", { class: "name", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, across));
  picture.append(svg("text", { class: "name", transform: `translate(16 ${middle}) rotate(-90)`, "text-anchor": "middle" }, up));
}

// Draws a line and returns its points with their places in the picture.
function drawLine(picture, scale, line) {
  if (line.level) {
    const y = scale.y(line.points[0].y);
    picture.append(svg("line", { class: `curve ${line.name} ${line.look}`, x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
    return [];
  }
  const placed = line.points.map((point) => ({ ...point, line, left: scale.x(point.x), top: scale.y(point.y) }));
  const path = placed.map(({ left, top }) => `${left.toFixed(1)},${top.toFixed(1)}`).join(" ");
  picture.append(svg("polyline", { class: `curve ${line.name} ${line.look}`, points: path, "data-run": line.run }));
  for (const point of placed) {
    const small = line.name === "train" || placed.length > 60;
    point.mark = svg("circle", { class: `mark ${line.look}`, cx: point.left, cy: point.top, r: small ? 1.2 : 3 });
    picture.append(point.mark);
  }
  return placed;
}

function tellNearest(picture, output, placed, curves, labels) {
  let found = null;
  picture.addEventListener("pointermove", (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
    const away = (point) => Math.hypot(point.left - place.x, point.top - place.y);
    const nearest = placed.reduce((one, other) => (one === null || away(other) < away(one) ? other : one), null);
    if (found) found.mark.classList.remove("found");
    found = nearest && away(nearest) < NEAR ? nearest : null;
    if (found) found.mark.classList.add("found");
    const when = found && found.minutes !== null ? `, ${number(found.minutes, 2)} minutes` : "";
    output.textContent = found
      ? `${curves[found.line.run].run}, step ${number(found.step, 0)}${when}: ${labels[found.line.name]} ${number(found.y, 3)}`
      : "";
  });
}

function startChart(chart) {
  const { curves, labels } = JSON.parse(chart.querySelector("script").textContent);
  const plot = chart.querySelector(".plot"), output = chart.querySelector("output");
  const boxes = [...chart.querySelectorAll("input[data-run]")];

  function draw() {
    const shown = chart.querySelector("input[data-shown]:checked").dataset.shown;
    const minutes = chart.querySelector("input[data-over]:checked").dataset.over === "minutes";
    const runs = boxes.filter((box) => box.checked).map((box) => Number(box.dataset.run));
    const lines = linesOf(curves, runs, shown.split(" "), minutes);
    output.textContent = "";
    if (!lines.length) {
      plot.replaceChildren("Nothing is chosen that could be drawn.");
      return;
    }
    const losses = shown.includes("valid_") ? labels[shown] : `${shown.includes(" ") ? "loss" : labels[shown]} in nats per token`;
    const across = minutes ? "minutes of training" : "step";
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    picture.setAttribute("aria-label", `${losses} over ${across}: ${runs.map((run) => curves[run].run).join(", ")}`);
    const scale = scales(lines);
    drawAxes(picture, scale, across, losses);
    const placed = lines.flatMap((line) => drawLine(picture, scale, line));
    tellNearest(picture, output, placed, curves, labels);
    plot.replaceChildren(picture);
  }

  for (const button of chart.querySelectorAll("button[data-choose]")) {
    button.addEventListener("click", () => {
      const { choose, unit } = button.dataset;
      for (const box of boxes) box.checked = choose === "all" || (choose === "unit" && curves[box.dataset.run].unit === unit);
      draw();
    });
  }
  chart.addEventListener("change", draw);
  chart.querySelector(".unscripted").remove();
  chart.querySelector(".controls").hidden = false;
  draw();
}

for (const chart of document.querySelectorAll(".chart")) startChart(chart);
