// Elements of the page. Names come from files and other people: they are texts, never markup.
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

// Makes an element; properties are set, `data-`, `aria-`, `role`, `style` and `for` are attributes.
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (/^(data-|aria-|role$|style$|for$|scope$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const link = (text, href) => h("a", { href }, text);
const modelLink = (name) => link(name, modelAddress(name));
const taskLink = (t) => link(DATA.tasks[t].label, taskAddress(DATA.tasks[t].id));
const note = (text) => h("p", { className: "note" }, text);
const button = (text, key, onclick) => h("button", { type: "button", onclick, "data-key": key }, text);

// A choice of a part of the state. It is made once; `render` gives it the state's value.
function control(key, label) {
  const choice = h(
    "select",
    { id: `choice-${key}`, onchange: () => go({ [key]: choice.value }), "data-state": key },
    ...CHOICES[key].map(([value, words]) => new Option(words, value)),
  );
  return h("label", {}, label, choice);
}

// A list of names with values; a value is a text or an element, and what is not known is left out.
const facts = (pairs) =>
  h(
    "dl",
    {},
    ...pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );

// The share of a scale as the length of a bar or the depth of a colour, in a cell that says the number.
const percent = (value) => `${(100 * Math.min(Math.max(value, 0), 1)).toFixed(1)}%`;

function barCell(value, top, interval = null) {
  if (value === null) return MISSING;
  const whisker =
    interval &&
    h("i", { style: `left:${percent(interval[0] / top)};right:${percent(1 - interval[1] / top)}` });
  return h(
    "span",
    { className: "bar" },
    shown(value),
    h("span", {}, h("b", { style: `width:${percent(value / top)}` }), whisker),
  );
}

const heatStyle = (value, top) => (value === null ? null : `--heat:${percent(value / top)}`);

// What a column means: its title, or what the glossary says of the word above it; "" of names of models.
const meaningOf = ({ name, title, word = name }) => title ?? DATA.words[word] ?? "";

// The meanings of a table's columns, where keyboard and touch reach them; what was unfolded stays so.
const unfolded = new Set();
function meaningsOf(caption, columns) {
  const names = new Map(); // by meaning: what is above several columns is said once
  for (const column of columns.filter(meaningOf))
    names.set(meaningOf(column), [...(names.get(meaningOf(column)) ?? []), column.name]);
  if (!names.size) return null;
  const list = h(
    "dl",
    { className: "words" },
    ...[...names].map(([meaning, some]) =>
      h("div", {}, h("dt", {}, [...new Set(some)].join(", ")), h("dd", {}, meaning)),
    ),
  );
  return h(
    "details",
    {
      className: "meanings",
      open: unfolded.has(caption),
      ontoggle: ({ target }) => unfolded[target.open ? "add" : "delete"](caption),
    },
    h("summary", { "data-key": `meanings ${caption}` }, "What the words mean"),
    list,
    h("p", {}, link("All words of this page", address({ view: "words" }))),
  );
}

// A table. A column is { key, name, value(row), show(row), text, short, bar, row, style(row), title, word }: `value` is
// what is sorted and downloaded, `show` what stands in the cell; `row` marks the row's header, and `short` a text in one
// line; `saved` are the columns of a file where a cell's text is no number; `title` is what the column means, or `word` the glossary's word for it where that is not its name.
function tableOf(caption, columns, rows, { sort = null, onSort = null, marked = () => false } = {}) {
  const head = columns.map((column) => {
    const active = sort?.replace(/^-/, "") === column.key;
    const cell = h("th", { scope: "col", title: meaningOf(column) });
    const name = column.style ? h("span", {}, column.name) : column.name;
    if (column.text || column.bar) cell.classList.add("text");
    if (column.style) cell.classList.add("heat");
    if (onSort && column.value) {
      cell.setAttribute("aria-sort", active ? (sort.startsWith("-") ? "descending" : "ascending") : "none");
      // Numbers begin with the largest, ranks and texts with the first.
      const first = column.text || column.key === "rank" ? column.key : `-${column.key}`;
      const other = sort?.startsWith("-") ? column.key : `-${column.key}`;
      cell.append(button(name, `sort ${column.key}`, () => onSort(active ? other : first)));
    } else cell.append(name);
    return cell;
  });
  const lines = rows.map((row) => {
    const line = h(
      "tr",
      {},
      ...columns.map((column) => {
        const cell = h(column.row ? "th" : "td", {
          scope: column.row ? "row" : null,
          style: column.style?.(row),
        });
        if (column.text || column.bar) cell.classList.add("text");
        if (column.short) cell.classList.add("short");
        if (column.style) cell.classList.add("heat");
        cell.append(column.show ? column.show(row) : (column.value(row) ?? MISSING));
        return cell;
      }),
    );
    if (marked(row)) line.classList.add("marked");
    return line;
  });
  return h(
    "div",
    {},
    h(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
      h(
        "table",
        {},
        h("caption", {}, caption),
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...lines),
      ),
    ),
    meaningsOf(caption, columns),
  );
}

const missing = (value) => value === null || value === undefined;

function sorted(rows, columns, sort) {
  const column =
    columns.find(({ key }) => key === sort.replace(/^-/, "")) ?? columns.find(({ value }) => value);
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (missing(x) || missing(y)) return missing(x) - missing(y); // missing ones last, either way
    return (sort.startsWith("-") ? -1 : 1) * (column.text ? x.localeCompare(y) : x - y);
  });
}
