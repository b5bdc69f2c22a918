// Charts as SVG, in the colours of the page. A group's colour and shape follow from its number in
// the whole data, so that they stay whatever is filtered; eight colours and five shapes tell
// 40 groups apart, and neighbours by both.
const SHAPES = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  (r) => `M0,${-1.35 * r}L${1.35 * r},0L0,${1.35 * r}L${-1.35 * r},0Z`,
  (r) => `M0,${-1.25 * r}L${1.2 * r},${r}H${-1.2 * r}Z`,
  (r) => `M0,${1.25 * r}L${1.2 * r},${-r}H${-1.2 * r}Z`,
];
const FONT = { size: 12, family: "system-ui, sans-serif" };
const measure = document.createElement("canvas").getContext("2d");
measure.font = `${FONT.size}px ${FONT.family}`;
const widthOf = (words) => measure.measureText(words).width; // in pixels
const marking = (number) => ({
  colour: `var(--c${number % 8})`,
  shape: number % SHAPES.length,
});
const architectures = labelsOf("architecture");
const architectureMarking = (name) =>
  name ? marking(architectures.indexOf(name)) : { colour: "var(--faint)", shape: 0 };
const categoryMarking = (name) => marking(DATA.categories.indexOf(name));
function fitting(words, width) {
  if (widthOf(words) <= width) return words;
  let end = words.length - 1;
  while (end > 1 && widthOf(`${words.slice(0, end)}…`) > width) end -= 1;
  return `${words.slice(0, end)}…`;
}

const linear =
  ([low, high], [from, to]) =>
  (value) =>
    from + ((value - low) / (high - low || 1)) * (to - from);
const logarithmic =
  ([low, high], range) =>
  (value) =>
    linear([Math.log10(low), Math.log10(high)], range)(Math.log10(value));

// Round numbers in a domain, some `count` of them, as they are written.
function ticks([low, high], count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const values = Array.from(
    { length: Math.max(Math.floor(high / step + 1e-9) - first + 1, 0) },
    (_, i) => (first + i) * step,
  );
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return values.map((value) => ({ value, words: shown(value, decimals) }));
}

// Powers of ten, with their doubles and fives where there are few; written as sizes of models.
function logTicks([low, high]) {
  const powers = Array.from({ length: 14 }, (_, i) => 10 ** i);
  const fine = powers.flatMap((power) => [1, 2, 5].map((factor) => factor * power));
  const within = (values) => values.filter((value) => value >= low && value <= high);
  return (within(powers).length > 2 ? within(powers) : within(fine)).map((value) => ({
    value,
    words: size(value),
  }));
}

// A little room around the values.
function domainOf(values, room = 0.05) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low || 0.1) * room;
  return [low - margin, high + margin];
}

function mark(x, y, { colour, shape }, radius, title, href) {
  const path = s(
    "path",
    {
      d: SHAPES[shape](radius),
      transform: `translate(${x},${y})`,
      fill: colour,
      stroke: "var(--back)",
      "stroke-width": 0.8,
    },
    s("title", {}, title),
  );
  if (href) {
    path.classList.add("linked");
    path.addEventListener("click", () => {
      location.hash = href;
    });
  }
  return path;
}

const text = (x, y, words, attributes = {}) =>
  s("text", { x, y, fill: "var(--ink)", "font-size": FONT.size, ...attributes }, words);
const line = (x1, y1, x2, y2, attributes = {}) =>
  s("line", { x1, y1, x2, y2, stroke: "var(--line)", ...attributes });

// Entries of groups in lines as wide as the chart; returns the elements and their height.
function legend(entries, left, width) {
  let [x, y] = [left, 12];
  const elements = entries.flatMap(({ name, ...marking }) => {
    const needed = 24 + widthOf(name);
    if (x + needed > width && x > left) [x, y] = [left, y + 18];
    const found = [mark(x + 6, y - 4, marking, 4.5, name), text(x + 15, y, name)];
    x += needed;
    return found;
  });
  return { elements, height: entries.length ? y + 10 : 4 };
}

function drawing(label, width, height, ...children) {
  return s(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": label,
      "font-family": FONT.family,
    },
    s("rect", { width, height, fill: "var(--back)" }),
    ...children,
  );
}

// Names beside points, the first ones first; a name that would touch another name or a point is left out.
function names(points, bounds, radius) {
  const taken = points.map(({ px, py }) => [px - radius, py - radius, px + radius, py + radius]);
  const clear = (box) =>
    box[0] >= bounds[0] &&
    box[1] >= bounds[1] &&
    box[2] <= bounds[2] &&
    box[3] <= bounds[3] &&
    taken.every((other) => box[0] > other[2] || box[2] < other[0] || box[1] > other[3] || box[3] < other[1]);
  return points
    .filter(({ named }) => named)
    .sort((a, b) => b.named - a.named)
    .flatMap(({ px, py, name }) => {
      const [width, height, gap] = [widthOf(name), FONT.size, radius + 3];
      const places = [
        [px + gap, py + 4, "start"],
        [px - gap, py + 4, "end"],
        [px, py - gap - 1, "middle"],
        [px, py + gap + 10, "middle"],
      ];
      for (const [x, y, anchor] of places) {
        const left = { start: x, end: x - width, middle: x - width / 2 }[anchor];
        const box = [left, y - height + 2, left + width, y + 2];
        if (!clear(box)) continue;
        taken.push(box);
        return [text(x, y, name, { "text-anchor": anchor })];
      }
      return [];
    });
}

// Points { x, y, name, title, href, colour, shape, named, strong, interval }; the larger `named`, the
// sooner a name stands beside the point. `log`: x is logarithmic; `diagonal`: both axes are the same.
function scatter(width, { label, points, xTitle, yTitle, groups, log = false, diagonal = false }) {
  const key = legend(groups, 56, width - 8);
  const height = key.height + (diagonal ? Math.min(width, 520) : Math.min(0.55 * width, 440));
  const [left, right, top, bottom] = [56, width - 16, key.height + 8, height - 44];
  const yValues = points.flatMap(({ y, interval }) => [y, ...(interval ?? [])]);
  const xDomain = log
    ? [Math.min(...points.map(({ x }) => x)) / 1.5, Math.max(...points.map(({ x }) => x)) * 1.5]
    : domainOf(diagonal ? points.flatMap(({ x, y }) => [x, y]) : points.map(({ x }) => x));
  const yDomain = diagonal ? xDomain : domainOf(yValues);
  const x = (log ? logarithmic : linear)(xDomain, [left, right]);
  const y = linear(yDomain, [bottom, top]);
  const xTicks = log ? logTicks(xDomain) : ticks(xDomain, Math.max(Math.floor(width / 90), 2));
  const grid = [
    ...xTicks.flatMap(({ value, words }) => [
      line(x(value), top, x(value), bottom),
      text(x(value), bottom + 16, words, { "text-anchor": "middle" }),
    ]),
    ...ticks(yDomain, 6).flatMap(({ value, words }) => [
      line(left, y(value), right, y(value)),
      text(left - 6, y(value) + 4, words, { "text-anchor": "end" }),
    ]),
  ];
  if (diagonal)
    grid.push(
      line(x(xDomain[0]), y(xDomain[0]), x(xDomain[1]), y(xDomain[1]), {
        stroke: "var(--faint)",
        "stroke-dasharray": "4 3",
      }),
    );
  const placed = points
    .map((point) => ({ ...point, px: x(point.x), py: y(point.y) }))
    .sort((a, b) => (a.strong ?? 0) - (b.strong ?? 0));
  return drawing(
    label,
    width,
    height,
    ...key.elements,
    ...grid,
    ...placed
      .filter(({ interval }) => interval)
      .map(({ px, interval, colour }) =>
        line(px, y(interval[0]), px, y(interval[1]), { stroke: colour, "stroke-opacity": 0.6 }),
      ),
    ...placed.map((point) =>
      mark(point.px, point.py, point, point.strong ? 6.5 : 4.5, point.title, point.href),
    ),
    ...names(placed, [left, top - 4, right + 10, bottom], 5),
    text((left + right) / 2, height - 8, xTitle, { "text-anchor": "middle" }),
    text(0, 0, yTitle, {
      "text-anchor": "middle",
      transform: `translate(14,${(top + bottom) / 2}) rotate(-90)`,
    }),
  );
}

// A line a row: { name, href, field (values of all, as ticks), marks: [{ value, title, href, colour, shape, interval }] }.
// Marks with intervals stand below each other, as lines would hide lines.
function dotRows(width, { label, rows, xTitle, groups, zero = false }) {
  const longest = Math.max(...rows.map(({ name }) => widthOf(name)));
  const left = Math.min(longest, 0.42 * width) + 14;
  const key = legend(groups, 4, width - 8);
  const spread = rows.some(({ marks }) => marks.some(({ interval }) => interval)) ? 9 : 0;
  const most = Math.max(...rows.map(({ marks }) => marks.length));
  const [right, top, step] = [width - 16, key.height + 6, 22 + spread * (most - 1)];
  const bottom = top + step * rows.length;
  const values = rows.flatMap(({ field = [], marks }) => [
    ...field,
    ...marks.flatMap(({ value, interval }) => [value, ...(interval ?? [])]),
  ]);
  if (zero) values.push(0);
  const domain = domainOf(values);
  const x = linear(domain, [left, right]);
  const grid = ticks(domain, Math.max(Math.floor((right - left) / 80), 2)).flatMap(({ value, words }) => [
    line(x(value), top, x(value), bottom),
    text(x(value), bottom + 16, words, { "text-anchor": "middle" }),
  ]);
  if (zero) grid.push(line(x(0), top, x(0), bottom, { stroke: "var(--faint)" }));
  const lines = rows.flatMap(({ name, href, field = [], marks }, i) => {
    const middle = top + step * (i + 0.5);
    const title = text(left - 8, middle + 4, fitting(name, left - 12), { "text-anchor": "end" });
    title.append(s("title", {}, name));
    if (href) {
      title.classList.add("linked");
      title.addEventListener("click", () => {
        location.hash = href;
      });
    }
    const placed = marks.map((each, j) => ({ ...each, y: middle + spread * (j - (marks.length - 1) / 2) }));
    const median = field.length ? x(quantile(field, 0.5)) : null;
    return [
      line(left, middle, right, middle, { "stroke-opacity": 0.6 }),
      title,
      ...field.map((value) =>
        line(x(value), middle - 5, x(value), middle + 5, { stroke: "var(--faint)", "stroke-opacity": 0.55 }),
      ),
      ...(field.length
        ? [line(median, middle - 8, median, middle + 8, { stroke: "var(--ink)", "stroke-width": 1.5 })]
        : []),
      ...placed
        .filter(({ interval }) => interval)
        .map(({ interval, colour, y }) =>
          line(x(interval[0]), y, x(interval[1]), y, { stroke: colour, "stroke-width": 2 }),
        ),
      ...placed.map((each) => mark(x(each.value), each.y, each, 5, each.title, each.href)),
    ];
  });
  return drawing(
    label,
    width,
    bottom + 44,
    ...key.elements,
    ...grid,
    ...lines,
    text((left + right) / 2, bottom + 38, xTitle, { "text-anchor": "middle" }),
  );
}

// A chart in a figure as wide as its column, with what it shows and its downloads.
function figureOf(host, name, caption, draw) {
  const figure = h("figure", { className: "chart" });
  host.append(figure);
  const svg = draw(Math.max(figure.clientWidth || host.clientWidth, 300));
  figure.append(svg, h("figcaption", {}, caption, " ", ...imageButtons(name, () => exported(svg))));
}
