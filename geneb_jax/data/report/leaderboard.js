// The leaderboard: every model with its score, labels and category means.
const FIELDS = {
  // columns to choose; those that no model has anything in are not offered
  tasks: { name: "tasks", value: (row) => row.tasks },
  spread: { name: "SD over seeds", value: (row) => row.spread, show: (row) => shown(row.spread) },
  interval: {
    name: "95 % interval",
    text: true,
    short: true,
    value: ({ sure }) => sure && between(sure.interval),
    saved: endsOf("95 % interval", ({ sure }) => sure?.interval),
  },
  rankInterval: {
    name: "rank, 95 %",
    text: true,
    short: true,
    value: ({ sure }) => sure && `${between(sure.ranks, 0)} of ${sure.models}`,
    saved: [
      ...endsOf("rank, 95 %", ({ sure }) => sure?.ranks),
      { name: "models of this rank", value: ({ sure }) => sure?.models ?? null },
    ],
  },
  group: {
    name: "group",
    text: true,
    value: ({ sure }) => sure?.group ?? null,
  },
  parameters: {
    name: "size",
    value: (row) => row.params,
    show: (row) => size(row.params),
  },
  architecture: { name: "architecture", text: true, value: (row) => row.architecture },
  tokenization: { name: "tokenization", text: true, value: (row) => row.tokenization },
  pretraining: { name: "pretraining", text: true, value: (row) => row.pretraining },
  source: { name: "source", text: true, value: sourceName },
  licence: { name: "weights' licence", text: true, value: (row) => row.licence },
};
const fieldColumn = (key) => ({ key, ...FIELDS[key] });
const MODEL_COLUMN = {
  key: "model",
  name: "model",
  text: true,
  row: true,
  value: ({ name }) => name,
  show: ({ name }) => modelLink(name),
};
const MOST_OF_RUN = 8; // models whose ranks are said above the table
const FILTERS = ["size", "architecture", "tokenization", "pretraining"];

function boardColumns(rows, top) {
  const fields = Object.keys(FIELDS).map(fieldColumn);
  const categories = benchmarkCategories.map((category) => ({
    key: category,
    name: category,
    value: (row) => row.categories[category],
    show: (row) => shown(row.categories[category], 2),
    style: (row) => heatStyle(row.categories[category], top),
    title: "Mean over the tasks of the category; the darker, the higher.",
  }));
  return [...fields, ...categories].filter(({ value }) => rows.some((row) => value(row) !== null));
}

function fixedColumns(top) {
  const box = (row) =>
    h("input", {
      type: "checkbox",
      checked: state.chosen.includes(row.name),
      "aria-label": `Compare ${row.name}`,
      "data-key": `choose ${row.name}`,
      onchange: (event) =>
        go({
          chosen: event.target.checked
            ? [...state.chosen, row.name]
            : state.chosen.filter((name) => name !== row.name),
        }),
    });
  return [
    { key: "choose", name: "⇄", title: "Tick models here to compare them.", show: box },
    { key: "rank", name: "rank", value: (row) => row.rank },
    MODEL_COLUMN,
    {
      key: "score",
      name: "score",
      bar: true,
      value: (row) => row.score,
      show: (row) => barCell(row.score, top, row.sure?.interval),
    },
  ];
}

// Several names are searched for at once, with commas between them.
function passes(row) {
  const [low, high] = TIERS[state.size] ?? [-Infinity, Infinity];
  const parts = state.search
    .toLowerCase()
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
  return (
    row.score !== null &&
    (state.size === "all" || (row.params !== null && row.params >= low && row.params < high)) &&
    ["architecture", "tokenization", "pretraining"].every(
      (field) => state[field] === "all" || row[field] === state[field],
    ) &&
    (state.source === "all" || sourceName(row) === state.source) &&
    (!parts.length || parts.some((part) => row.name.toLowerCase().includes(part)))
  );
}

function drawBoard() {
  const { rows, tasks } = standings();
  const scored = rows.filter((row) => row.score !== null);
  const top = Math.max(...scored.flatMap((row) => [row.score, ...Object.values(row.categories)]), 0.01);
  const offered = boardColumns(scored, top);
  const columns = [...fixedColumns(top), ...offered.filter(({ key }) => state.columns.includes(key))];
  const inOrder = sorted(rows.filter(passes), columns, state.sort);
  // Averages of fewer tasks are no competitors: they stand below those of more.
  const kept = /^-?score$/.test(state.sort) ? inOrder.sort((a, b) => b.tasks - a.tasks) : inOrder;
  byId("board-custom").hidden = !customTasks.length;
  byId("board-custom").replaceChildren(
    `${counted(customTasks.length, "custom task")}, in no average: their scores are in the `,
    link("list of tasks", address({ view: "tasks" })),
    ".",
  );
  const leaky = tasks.filter((t) => DATA.tasks[t].verdict === "leaky").length;
  byId("board-leaky").hidden = !leaky;
  byId("board-leaky").replaceChildren(
    `${leaky} of the ${counted(tasks.length, "task")} of this score ${leaky > 1 ? "are" : "is"} leaky by the audit: ` +
      "train gives their answers away, or something simple that is no model. ",
    link("What scores hide", address({ view: "audit" })),
    " has the scores without that.",
  );
  byId("board-table").replaceChildren(
    ...(scored.length
      ? [
          tableOf("Models by score", columns, kept, {
            sort: state.sort,
            onSort: (sort) => go({ sort }),
            marked: (row) => row.run,
          }),
          tableButtons("leaderboard", columns, kept),
        ]
      : []),
  );
  byId("board-shown").textContent = !scored.length
    ? `No task of the benchmark has such scores of all models of ${DATA.here}: ${metricName(state.metric)}, ${regimeName(state.regime)}, ` +
      `${CHOICES.score.find(([key]) => key === state.score)[1]}. Tasks 'all' has those of the published models.`
    : `${kept.length} of ${counted(scored.length, "model")}; ${metricName(state.metric)}, ${regimeName(state.regime)}, ` +
    `${CHOICES.score.find(([key]) => key === state.score)[1]}, over ${counted(tasks.length, "task")}` +
    (state.tasks === "run" ? ` that all ${countsOfRun().every(({ compared }) => compared) ? "" : "compared "}models of ${DATA.here} have` : "") +
    (scored.some((row) => row.rank === null)
      ? "; models that lack some of them have no rank, and the more they lack, the lower they stand, as averages of different tasks cannot be compared"
      : "") +
    `; colours from 0 to ${shown(top, 2)}. ${DATA.words[state.score] ? `${state.score}: ${DATA.words[state.score]}` : ""}`;
  drawCompared(tasks);
  drawOfRun(scored);
  byId("board-columns").replaceChildren(
    ...offered.map(({ key, name }) =>
      h(
        "label",
        {},
        h("input", {
          type: "checkbox",
          checked: state.columns.includes(key),
          "data-key": `column ${key}`,
          onchange: (event) =>
            go({
              columns: offered
                .map((column) => column.key)
                .filter((each) => (each === key ? event.target.checked : state.columns.includes(each))),
            }),
        }),
        ` ${name}`,
      ),
    ),
  );
  byId("board-chosen").hidden = !scored.length;
  byId("board-chosen").replaceChildren(
    ...(state.chosen.length
      ? [
          link(`Compare ${counted(state.chosen.length, "chosen model")}`, address({ view: "compare" })),
          " ",
          button("Choose none", "choose none", () => go({ chosen: [] })),
        ]
      : ["Tick models to compare them."]),
  );
  drawSizes(kept);
}

const listed = (texts) => [texts.slice(0, -1).join(", "), texts.at(-1)].filter(Boolean).join(" and ");

// Which models of the run lack tasks, which of them are not compared for it, and what is left.
function drawCompared(tasks) {
  const counts = countsOfRun();
  const total = tasksOfRun(counts).length;
  const fewer = counts.filter(({ has }) => has < total);
  const said = (some, none = []) => {
    const texts = [...some.map(({ m, has }) => `${DATA.models[m].name} has ${has}`), ...none];
    const more = texts.length - MOST_OF_RUN;
    return listed(more > 1 ? [...texts.slice(0, MOST_OF_RUN), `${more} others have fewer`] : texts);
  };
  const compared = said(fewer.filter((each) => each.compared));
  const apart = said(
    fewer.filter((each) => !each.compared),
    DATA.failed.map((name) => `${name} has none`),
  );
  const why = ", too few to be compared (less than nine tenths of what another model has)";
  const over =
    state.tasks === "run" && tasks.length
      ? `: ${state.score} is over the ${counted(tasks.length, "task")} that all ${apart ? "other " : ""}models of ${DATA.here} have.`
      : ".";
  byId("board-compared").hidden = !total || !(compared || apart);
  byId("board-compared").replaceChildren(
    `Of the ${counted(total, "task")} of ${DATA.here} ${[compared, apart && `${apart}${why}`].filter(Boolean).join("; ")}${over} `,
    ...(DATA.failures ? [link("What failed", address({ view: "limits" }))] : []),
  );
}

// Where the models of the run stand, which may be far down the table.
function drawOfRun(scored) {
  const ofRun = scored.filter(({ run }) => run).sort(byStanding);
  const few = ofRun.slice(0, MOST_OF_RUN);
  const links = few.flatMap((row, i) => [
    i ? ", " : "",
    modelLink(row.name),
    ` ${shown(row.score)}${row.rank === null ? ` (over ${counted(row.tasks, "task")})` : ` (rank ${row.rank})`}`,
  ]);
  const more = ofRun.length - few.length;
  byId("board-run").hidden = !few.length || ofRun.length === scored.length;
  byId("board-run").replaceChildren(
    `Models of ${DATA.here}: `,
    ...links,
    more ? `, and ${counted(more, "other")}.` : ".",
  );
}

function drawSizes(rows) {
  const host = byId("board-chart");
  host.replaceChildren();
  const sized = rows.filter((row) => row.params !== null);
  if (sized.length < 2) return; // one point says nothing of size
  const bySize = [...sized].sort((a, b) => a.params - b.params || b.score - a.score);
  const frontier = new Set(
    bySize.filter((row, i) => bySize.slice(0, i).every((other) => other.score < row.score)),
  );
  const present = architectures.filter((name) => sized.some((row) => row.architecture === name));
  figureOf(
    host,
    "size_and_score",
    "Size against score of the models in the table that have a known size. " +
      "Named are those that no smaller model reaches, those that are chosen and those that the paper has not.",
    (width) =>
      scatter(width, {
        label: `Parameters against score of ${counted(sized.length, "model")}`,
        points: sized.map((row) => ({
          x: row.params,
          y: row.score,
          name: row.name,
          href: modelAddress(row.name),
          interval: row.sure?.interval,
          title: `${row.name}: ${shown(row.score)}, ${size(row.params)}, ${row.architecture}`,
          named: 3 * row.run + 2 * state.chosen.includes(row.name) + frontier.has(row),
          strong: row.run || state.chosen.includes(row.name),
          ...architectureMarking(row.architecture),
        })),
        groups: present.map((name) => ({ name, ...architectureMarking(name) })),
        xTitle: "parameters",
        yTitle: `${state.score} ${metricName(state.metric)}, ${regimeName(state.regime)}`,
        log: true,
      }),
  );
}

function fillBoardForm() {
  const labels = {
    score: "Score",
    tasks: "Tasks",
    size: "Size",
    architecture: "Architecture",
    tokenization: "Tokenization",
    pretraining: "Pretraining",
    source: "Models of",
  };
  const useful = Object.keys(labels).filter((key) => CHOICES[key].length > (FILTERS.includes(key) ? 2 : 1));
  const search = h("input", {
    type: "search",
    id: "search",
    placeholder: "such as LucaOne, NT-v2",
    oninput: () => go({ search: search.value }, { step: false }),
    "data-state": "search",
  });
  const reset = Object.fromEntries(
    [...Object.keys(labels), "search", "columns", "sort", "chosen"].map((key) => [key, DEFAULTS[key]]),
  );
  const controls = (keys) =>
    useful.filter((key) => keys.includes(key)).map((key) => control(key, labels[key]));
  byId("board-form").append(
    h("label", {}, "Search", search),
    ...controls(["score", "tasks", "source"]),
    button("Reset", "reset", () => go(reset)),
  );
  byId("board-filters").append(...controls(FILTERS));
}
