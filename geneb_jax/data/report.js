"use strict";
// The page's state is its form fields; every change computes the parts anew from DATA.
const DATA = JSON.parse(document.getElementById("data").textContent);
const METRIC_NAMES = { macro_F1: "macro F1", balanced_accuracy: "balanced accuracy" };
const TIERS = { "<100M": [0, 1e8], "100M-500M": [1e8, 5e8], "500M-2B": [5e8, 2e9], "≥2B": [2e9, Infinity] };
const CUSTOM = "custom";
const byId = (id) => document.getElementById(id);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const shown = (value, digits = 3) => (value === null || Number.isNaN(value) ? "–" : value.toFixed(digits));
const metricName = (metric) => METRIC_NAMES[metric] ?? metric;

function options(id, pairs) {
  byId(id).replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
}

function scoresNow() {
  return DATA.scores[byId("regime").value][byId("metric").value];
}

function size(params) {
  if (params === null) return "–";
  return params >= 1e9 ? `${+(params / 1e9).toFixed(1)}B` : `${+(params / 1e6).toFixed(params < 1e7 ? 1 : 0)}M`;
}

// Indices of the tasks that the score is taken over.
function tasksInScope() {
  const scores = scoresNow();
  const category = byId("category").value;
  const own = DATA.models.flatMap((model, m) => (model.own ? [m] : []));
  return DATA.tasks.flatMap((task, t) => {
    const wanted = category === "macro" || category === "micro" ? task.category !== CUSTOM : task.category === category;
    const there = byId("scope").value === "all"
      ? scores.some((row) => row[t] !== null)
      : own.every((m) => scores[m][t] !== null);
    return wanted && there ? [t] : [];
  });
}

// Macro averages category means, everything else averages tasks; missing scores are left out.
function average(row, tasks) {
  const present = tasks.filter((t) => row[t] !== null);
  if (!present.length) return null;
  if (byId("category").value !== "macro") return mean(present.map((t) => row[t]));
  const groups = new Map();
  for (const t of present) {
    const category = DATA.tasks[t].category;
    groups.set(category, [...(groups.get(category) ?? []), row[t]]);
  }
  return mean([...groups.values()].map(mean));
}

const COLUMNS = [
  { name: "rank", value: (row) => row.rank },
  { name: "model", value: (row) => row.name, text: true },
  { name: "score", value: (row) => row.score, show: (row) => shown(row.score) },
  { name: "tasks", value: (row) => row.tasks },
  { name: "parameters", value: (row) => row.params, show: (row) => size(row.params) },
  { name: "architecture", value: (row) => row.architecture, text: true },
  { name: "tokenization", value: (row) => row.tokenization, text: true },
  { name: "pretraining", value: (row) => row.pretraining, text: true },
  { name: "source", value: (row) => (row.own ? "own" : "paper"), text: true },
  { name: "weights' licence", value: (row) => row.licence, text: true },
];
const order = { column: "score", descending: true };

function compare(a, b) {
  const column = COLUMNS.find(({ name }) => name === order.column);
  const [x, y] = [column.value(a), column.value(b)];
  if (x === null || y === null) return (x === null) - (y === null); // missing ones last, either way
  const difference = column.text ? x.localeCompare(y) : x - y;
  return order.descending ? -difference : difference;
}

function boardRows() {
  const scores = scoresNow();
  const tasks = tasksInScope();
  const rows = DATA.models.map((model, m) => ({
    ...model,
    score: average(scores[m], tasks),
    tasks: tasks.filter((t) => scores[m][t] !== null).length,
    rank: null,
  }));
  // Only averages over the same tasks can be ranked.
  rows.filter((row) => row.tasks === tasks.length && row.score !== null)
    .sort((a, b) => b.score - a.score)
    .forEach((row, place) => { row.rank = place + 1; });
  return { rows, tasks };
}

function drawBoard() {
  const { rows, tasks } = boardRows();
  const [low, high] = TIERS[byId("size").value] ?? [-Infinity, Infinity];
  const text = byId("search").value.trim().toLowerCase();
  const architecture = byId("architecture").value;
  const kept = rows.filter((row) =>
    (byId("size").value === "all" || (row.params !== null && row.params >= low && row.params < high)) &&
    (architecture === "all" || row.architecture === architecture) &&
    row.name.toLowerCase().includes(text) && row.score !== null).sort(compare);
  const body = kept.map((row) => {
    const line = document.createElement("tr");
    line.classList.toggle("own", row.own);
    for (const column of COLUMNS) {
      const cell = document.createElement(column.name === "model" ? "th" : "td");
      if (column.name === "model") cell.scope = "row";
      if (column.text) cell.classList.add("text");
      cell.textContent = column.show ? column.show(row) : column.value(row) ?? "–";
      line.append(cell);
    }
    return line;
  });
  byId("board").tBodies[0].replaceChildren(...body);
  for (const cell of byId("board").tHead.rows[0].cells) {
    const active = cell.textContent === order.column;
    cell.setAttribute("aria-sort", active ? (order.descending ? "descending" : "ascending") : "none");
  }
  const category = byId("category");
  byId("shown").textContent = `${kept.length} of ${rows.length} models; ${metricName(byId("metric").value)}, ` +
    `${category.selectedOptions[0].text}, over ${tasks.length} task${tasks.length === 1 ? "" : "s"}` +
    (rows.some((row) => row.score !== null && row.rank === null) ? "; models that lack some of them have no rank" : "");
  const sized = kept.filter((row) => row.params !== null);
  byId("size-chart").hidden = !sized.length;
  if (sized.length) draw("size-chart", {
    height: 320,
    data: { values: sized },
    params: [{ name: "architectures", select: { type: "point", fields: ["architecture"] }, bind: "legend" }],
    mark: { type: "point", filled: true, size: 70 },
    encoding: {
      x: { field: "params", type: "quantitative", scale: { type: "log" }, title: "parameters", axis: { labelExpr: "replace(format(datum.value, '~s'), 'G', 'B')" } },
      y: { field: "score", type: "quantitative", scale: { zero: false }, title: category.selectedOptions[0].text },
      color: { field: "architecture", type: "nominal", scale: { scheme: "tableau10" } },
      shape: { field: "source", type: "nominal" },
      opacity: { condition: { param: "architectures", value: 1 }, value: 0.15 },
      tooltip: ["name", "score", "params", "architecture", "pretraining"].map((field) => ({ field, format: field === "score" ? ".3f" : undefined })),
    },
    transform: [{ calculate: "datum.own ? 'own' : 'paper'", as: "source" }],
  });
}

function drawVersus() {
  const scores = scoresNow();
  const [a, b] = ["model-a", "model-b"].map((id) => Number(byId(id).value));
  const names = [a, b].map((m) => DATA.models[m].name);
  const both = DATA.tasks.flatMap((task, t) =>
    (scores[a][t] === null || scores[b][t] === null ? [] : [{ ...task, a: scores[a][t], b: scores[b][t] }]));
  const wins = both.filter((task) => task.a > task.b).length;
  const ties = both.filter((task) => task.a === task.b).length;
  byId("versus-summary").textContent = both.length
    ? `${names[0]} is better on ${wins}, ${names[1]} on ${both.length - wins - ties} of ${both.length} tasks` +
      `${ties ? `, ${ties} equal` : ""}; mean difference ${shown(mean(both.map((task) => task.a - task.b)))}`
    : "no task has scores of both";
  const groups = DATA.categories.map((category) => [category, both.filter((task) => task.category === category)]);
  byId("versus-table").tBodies[0].replaceChildren(...groups.filter(([, tasks]) => tasks.length).map(([category, tasks]) => {
    const [x, y] = ["a", "b"].map((side) => mean(tasks.map((task) => task[side])));
    const line = document.createElement("tr");
    const cells = [category, shown(x), shown(y), shown(x - y), `${tasks.filter((task) => task.a > task.b).length} of ${tasks.length}`];
    line.append(...cells.map((value, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (!i) cell.scope = "row";
      cell.textContent = value;
      return cell;
    }));
    return line;
  }));
  draw("versus-chart", {
    height: 380,
    layer: [
      { data: { values: [{ from: -0.2 }, { from: 1 }] }, mark: { type: "line", color: "#999999" },
        encoding: { x: { field: "from", type: "quantitative" }, y: { field: "from", type: "quantitative" } } },
      { data: { values: both }, mark: { type: "point", filled: true, size: 50, cursor: "pointer" },
        encoding: {
          x: { field: "b", type: "quantitative", title: `B: ${names[1]}` },
          y: { field: "a", type: "quantitative", title: `A: ${names[0]}` },
          color: { field: "category", type: "nominal", scale: { scheme: "tableau20" }, legend: { columns: 2, orient: "bottom", symbolLimit: 14 } },
          tooltip: [{ field: "label", title: "task" }, { field: "category" }, { field: "a", title: names[0], format: ".3f" }, { field: "b", title: names[1], format: ".3f" }],
        } },
    ],
  }, (datum) => { if (datum.id) showTask(datum.id, true); });
}

function drawTask() {
  const scores = scoresNow();
  const t = Number(byId("task-choice").value);
  const rows = DATA.models.flatMap((model, m) => (scores[m][t] === null ? [] : [{ ...model, score: scores[m][t] }]));
  const task = DATA.tasks[t];
  const values = rows.map((row) => row.score);
  const spread = values.length ? Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2))) : NaN;
  byId("task-summary").textContent = `${task.id}; category ${task.category}; ` + (rows.length
    ? `${rows.length} models, mean ${shown(mean(values))}, SD ${shown(spread)}` : "no scores in this regime");
  draw("task-chart", {
    height: 15 * Math.max(rows.length, 1),
    data: { values: rows },
    mark: { type: "bar" },
    encoding: {
      y: { field: "name", type: "nominal", sort: { field: "score", order: "descending" }, title: null, axis: { labelLimit: 220 } },
      x: { field: "score", type: "quantitative", title: metricName(byId("metric").value) },
      color: { field: "own", type: "nominal", scale: { domain: [false, true], range: ["#0072B2", "#E69F00"] },
        legend: DATA.models.some((model) => model.own) ? { title: null, labelExpr: "datum.value ? 'own' : 'paper'", orient: "top" } : null },
      tooltip: [{ field: "name", title: "model" }, { field: "score", format: ".3f" }],
    },
  });
}

// Draws a chart; `clicked` is told the datum of a mark that is clicked.
const views = new Map();
async function draw(id, spec, clicked) {
  const turn = Symbol(id);
  views.set(id, turn);
  const whole = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", autosize: { type: "fit-x", contains: "padding" }, background: "white", config: { axis: { labelFontSize: 11 } }, ...spec };
  const result = await vegaEmbed(byId(id), whole, { actions: false, renderer: "svg" });
  if (views.get(id) !== turn) return result.finalize(); // a later drawing of the same chart has begun
  if (clicked) result.view.addEventListener("click", (_, item) => { if (item?.datum) clicked(item.datum); });
}

function showTask(id, scroll) {
  const t = DATA.tasks.findIndex((task) => task.id === id);
  if (t < 0) return;
  byId("task-choice").value = String(t);
  history.replaceState(null, "", `#task:${encodeURIComponent(id)}`);
  drawTask();
  if (scroll) byId("task").scrollIntoView();
}

function fillForms() {
  options("regime", DATA.regimes.map((regime) => [regime, regime.replace("shot", "-shot")]));
  options("metric", DATA.metrics.map((metric) => [metric, metricName(metric)]));
  const benchmark = DATA.categories.filter((category) => category !== CUSTOM);
  const averages = benchmark.length ? [["macro", "macro (mean of category means)"], ["micro", "micro (mean over tasks)"]] : [];
  options("category", [...averages, ...DATA.categories.map((category) => [category, category])]);
  options("scope", [...(DATA.models.some((model) => model.own) ? [["own", "those of the own models"]] : []), ["all", "all"]]);
  options("size", ["all", ...Object.keys(TIERS)].map((name) => [name, name]));
  const architectures = [...new Set(DATA.models.map((model) => model.architecture).filter((name) => name !== null))].sort();
  options("architecture", ["all", ...architectures].map((name) => [name, name]));
  const models = DATA.models.map((model, m) => [m, model.name]);
  options("model-a", models);
  options("model-b", models);
  const { rows } = boardRows();
  const best = rows.map((row, m) => [row, m]).filter(([row]) => row.score !== null).sort((x, y) => y[0].score - x[0].score);
  const first = best.find(([row]) => row.own) ?? best[0];
  const second = best.find((pair) => pair !== first) ?? first;
  byId("model-a").value = String(first?.[1] ?? 0);
  byId("model-b").value = String(second?.[1] ?? 0);
  const choice = byId("task-choice");
  for (const category of DATA.categories) {
    const group = document.createElement("optgroup");
    group.label = category;
    group.append(...DATA.tasks.flatMap((task, t) => (task.category === category ? [new Option(task.label, t)] : [])));
    choice.append(group);
  }
  const own = DATA.models.findIndex((model) => model.own);
  const scored = own < 0 ? 0 : DATA.tasks.findIndex((_, t) => scoresNow()[own][t] !== null);
  choice.value = String(Math.max(scored, 0));
  byId("board").tHead.rows[0].append(...COLUMNS.map((column) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    if (column.text) cell.classList.add("text");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.name;
    button.addEventListener("click", () => {
      order.descending = order.column === column.name ? !order.descending : column.name === "score";
      order.column = column.name;
      drawBoard();
    });
    cell.append(button);
    return cell;
  }));
}

fillForms();
for (const id of ["category", "scope", "size", "architecture"]) byId(id).addEventListener("change", drawBoard);
byId("search").addEventListener("input", drawBoard);
for (const id of ["regime", "metric"]) {
  byId(id).addEventListener("change", () => { drawBoard(); drawVersus(); drawTask(); });
}
for (const id of ["model-a", "model-b"]) byId(id).addEventListener("change", drawVersus);
byId("task-choice").addEventListener("change", () => showTask(DATA.tasks[Number(byId("task-choice").value)].id, false));
drawBoard();
drawVersus();
if (location.hash.startsWith("#task:")) showTask(decodeURIComponent(location.hash.slice(6)), true);
else drawTask();
