// The address holds what the page shows, after #, as in #view=model&model=LucaOne&regime=10shot: a
// link reproduces it, and back and forward go through what was seen. Defaults are left out.
const TIERS = { "<100M": [0, 1e8], "100M-500M": [1e8, 5e8], "500M-2B": [5e8, 2e9], "≥2B": [2e9, Infinity] };
const benchmarkCategories = DATA.categories.filter((category) => category !== CUSTOM);
const runModels = DATA.models.filter((model) => model.run);
const customTasks = DATA.tasks.flatMap((task, t) => (task.category === CUSTOM ? [t] : []));
// Whether the run's models have scores on custom tasks alone, so that none has an average.
const customAlone =
  customTasks.length > 0 &&
  !Object.values(DATA.scores)
    .flatMap(Object.values)
    .some((rows) =>
      rows.some((row, m) => DATA.models[m].run && row.some((value, t) => value !== null && !customTasks.includes(t))),
    );
const labelsOf = (field) => [...new Set(DATA.models.map((model) => model[field]).filter(Boolean))].sort();
const all = (names) => [["all", "all"], ...names.map((name) => [name, name])];

// The values that a part of the state can have, with their texts; a link's others are not followed.
const CHOICES = {
  view: [...document.querySelectorAll("main > section")]
    .map((section) => [section.id, section.id])
    .concat([["everything", "everything"]]),
  regime: DATA.regimes.map((regime) => [regime, regimeName(regime)]),
  metric: DATA.metrics.map((metric) => [metric, metricName(metric)]),
  score: [
    ["macro", "macro (mean of category means)"],
    ["micro", "micro (mean over tasks)"],
    ...benchmarkCategories.map((category) => [category, category]),
  ],
  tasks: [...(runModels.length ? [["run", `those of ${DATA.here}`]] : []), ["all", "all"]],
  size: all(Object.keys(TIERS)),
  architecture: all(labelsOf("architecture")),
  tokenization: all(labelsOf("tokenization")),
  pretraining: all(labelsOf("pretraining")),
  source: all(runModels.length ? [DATA.here, "paper"] : []),
};
const DEFAULTS = {
  ...Object.fromEntries(Object.entries(CHOICES).map(([key, pairs]) => [key, pairs[0][0]])),
  view: customAlone ? "tasks" : CHOICES.view[0][0], // where the scores are
  sort: "-score", // the column's key, after a minus where the largest is first
  search: "",
  columns: ["parameters", "architecture", "pretraining", ...benchmarkCategories],
  chosen: [], // models to compare
  order: "", // of the tasks, as `sort`; empty: the benchmark's
  model: "",
  task: "",
};

const indexOfModel = (name) => DATA.models.findIndex((model) => model.name === name);
const indexOfTask = (id) => DATA.tasks.findIndex((task) => task.id === id);

// People write names in letters of either case, and call tasks as they are shown.
const same = (a, b) => a.toLowerCase() === b.toLowerCase();
const modelCalled = (name) =>
  indexOfModel(name) >= 0 ? name : DATA.models.find((model) => same(model.name, name))?.name;
const taskCalled = (name) =>
  indexOfTask(name) >= 0
    ? name
    : DATA.tasks.find(({ id, label }) => same(id, name) || same(label, name))?.id;
const CALLED = { model: modelCalled, task: taskCalled, chosen: modelCalled };

function read(hash) {
  const given = new URLSearchParams(hash.slice(1));
  const value = (key, otherwise) => {
    if (!given.has(key)) return otherwise;
    const called = (each) => CALLED[key]?.(each) ?? each;
    if (Array.isArray(otherwise)) return given.getAll(key).filter((each) => each !== "").map(called);
    const known = CHOICES[key]?.some(([each]) => each === given.get(key)) ?? true;
    return known ? called(given.get(key)) : otherwise;
  };
  return Object.fromEntries(Object.entries(DEFAULTS).map(([key, otherwise]) => [key, value(key, otherwise)]));
}

const MOST_UNKNOWN = 6; // parts of an address that are named
const cut = (words) => (words.length > 40 ? `${words.slice(0, 39)}…` : words);

// The parts of an address that this report does not have, as people read them.
function unknownParts(hash) {
  const columns = new Set([...Object.keys(FIELDS), ...benchmarkCategories]);
  const boardKeys = new Set([...columns, "rank", "model", "score"]);
  const bare = (sort) => sort.replace(/^-/, "");
  const known = {
    columns: (value) => columns.has(value),
    chosen: modelCalled,
    model: modelCalled,
    task: taskCalled,
    sort: (value) => boardKeys.has(bare(value)),
    order: (value) => TASK_COLUMNS.some(({ key }) => key === bare(value)),
    search: () => true,
    ...Object.fromEntries(
      Object.entries(CHOICES).map(([key, pairs]) => [key, (value) => pairs.some(([each]) => each === value)]),
    ),
  };
  const lacking = [...new URLSearchParams(hash.slice(1))]
    .filter(([key, value]) => !Object.hasOwn(DEFAULTS, key) || (value !== "" && !known[key](value)))
    .map(([key, value]) => `${cut(key)}=${cut(value)}`);
  const more = lacking.length - MOST_UNKNOWN;
  return more > 0 ? [...lacking.slice(0, MOST_UNKNOWN), `${more} more`] : lacking;
}

function address(changes = {}) {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...state, ...changes })) {
    if (String(value) === String(DEFAULTS[key])) continue;
    for (const each of Array.isArray(value) ? (value.length ? value : [""]) : [value])
      words.append(key, each);
  }
  return `#${words}`;
}

let state = read(location.hash);

// Shows the page with some of its state changed. Letters that are typed make no steps of back.
function go(changes, { step = true } = {}) {
  history[step ? "pushState" : "replaceState"](null, "", address(changes));
  state = { ...state, ...changes };
  render();
}

const modelAddress = (name) => address({ view: "model", model: name });
const taskAddress = (id) => address({ view: "task", task: id });
