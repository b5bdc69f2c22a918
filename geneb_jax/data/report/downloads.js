// Files that the reader takes along: tables as CSV and JSON, charts and figures as SVG and PNG.
const PNG_SCALE = 3; // dots for each pixel of a chart

function save(name, content) {
  const href = URL.createObjectURL(content);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

// A spreadsheet would take a text that begins like a formula for one (OWASP, CSV injection).
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const harmless = typeof value === "number" || !/^[=+@\t\r-]/.test(value);
  const words = harmless ? String(value) : `'${value}`;
  return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
}

function csv(columns, rows) {
  const lines = [
    columns.map(({ name }) => name),
    ...rows.map((row) => columns.map(({ value }) => value(row))),
  ];
  return lines.map((line) => `${line.map(csvCell).join(",")}\n`).join("");
}

// The columns of a file: what a cell writes in words, such as an interval, is saved as its numbers.
const savedColumns = (columns) =>
  columns.flatMap(({ name, value, saved }) => (value ? (saved ?? [{ name, value }]) : []));
// Both ends of an interval.
const endsOf = (name, interval) =>
  ["low", "high"].map((end, i) => ({ name: `${name} ${end}`, value: (row) => interval(row)?.[i] ?? null }));

// The rows under the columns' names, with what of the state decides on them.
function json(columns, rows) {
  const { regime, metric, score, tasks } = state;
  const records = rows.map((row) =>
    Object.fromEntries(columns.map(({ name, value }) => [name, value(row) ?? null])),
  );
  return `${JSON.stringify({ regime, metric, score, tasks, view: location.href, geneb_jax: DATA.version, rows: records }, null, 1)}\n`;
}

// Buttons that save the table that is shown, but for columns without values, such as boxes. `regime` is
// that of its rows, "" where they are of none or several.
function tableButtons(name, columns, rows, { what = "this table", regime = state.regime } = {}) {
  const kept = savedColumns(columns);
  const file = (ending) => `geneb_${[name, regime].filter(Boolean).join("_")}.${ending}`;
  return h(
    "p",
    { className: "downloads" },
    `Save ${what}: `,
    button("CSV", `${name} csv`, () => save(file("csv"), new Blob([csv(kept, rows)], { type: "text/csv" }))),
    " ",
    button("JSON", `${name} json`, () =>
      save(file("json"), new Blob([json(kept, rows)], { type: "application/json" })),
    ),
  );
}

// The buttons of a table that the page was written with, whose rows follow the regime where they have one.
function writtenTableButtons(name) {
  const { columns, rows } = DATA.tables[name];
  const at = columns.indexOf("regime");
  return tableButtons(
    name,
    columns.map((column, i) => ({ name: column, value: (row) => row[i] })),
    at < 0 ? rows : rows.filter((row) => row[at] === state.regime),
    { regime: at < 0 ? "" : state.regime },
  );
}

function imageButtons(name, svg) {
  return [
    button("SVG", `${name} svg`, () =>
      save(`geneb_${name}.svg`, new Blob([svg()], { type: "image/svg+xml" })),
    ),
    " ",
    button("PNG", `${name} png`, async () => save(`geneb_${name}.png`, await png(svg()))),
  ].map((each) =>
    each instanceof Element
      ? Object.assign(each, { ariaLabel: `${each.textContent} of ${name.replaceAll("_", " ")}` })
      : each,
  );
}

// A chart as a file of its own: the light colours instead of names that the page alone knows.
function exported(svg) {
  const copy = svg.cloneNode(true);
  copy.setAttribute("xmlns", SVG);
  const light = getComputedStyle(byId("light"));
  return new XMLSerializer()
    .serializeToString(copy)
    .replace(/var\((--[a-z0-9]+)\)/g, (_, name) => light.getPropertyValue(name).trim());
}

async function png(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = h("canvas", { width: image.width * PNG_SCALE, height: image.height * PNG_SCALE });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => {
    canvas.toBlob(done, "image/png");
  });
}
