// The page of a model: what is known of it, its profile over the categories, its best and worst tasks.
const MOST_TASKS = 8; // of the best and of the worst
const MEDIAN_COLUMN = {
  key: "median",
  name: "others' median",
  value: ({ median }) => median,
  show: ({ median }) => shown(median),
};

function drawModel() {
  const host = byId("model-body");
  const m = indexOfModel(state.model);
  byId("model-title").textContent = m < 0 ? "Model" : DATA.models[m].name;
  host.replaceChildren();
  if (m < 0) {
    host.append(
      note(state.model ? `This report has no model '${state.model}'.` : "Choose a model in the leaderboard."),
    );
    return;
  }
  const model = DATA.models[m];
  const listOf = (texts) =>
    texts.length ? h("ul", {}, ...texts.map((each) => h("li", {}, each))) : null;
  host.append(
    facts([
      ["scores", model.run ? `of ${DATA.here}` : "published by the paper's authors"],
      [
        "parameters",
        model.params === null ? null : `${model.params.toLocaleString("en")} (${size(model.params)})`,
      ],
      ["architecture", model.architecture],
      ["tokenization", model.tokenization],
      ["pretraining", model.pretraining],
      ["width of an embedding", model.width],
      ["checkpoint", model.url && link(model.repo ?? model.url, model.url)],
      ["revision", model.revision],
      ["weights' licence", model.licence],
      ["code's licence", model.code_licence],
      ["known defects", listOf(model.run_defects)],
      ["known defects of the published extractor", listOf(model.defects)],
      ...model.facts,
    ]),
    h(
      "p",
      {},
      link(
        "Compare it",
        address({
          view: "compare",
          chosen: [model.name, ...state.chosen.filter((name) => name !== model.name)],
        }),
      ),
    ),
  );
  drawRegimes(host, m);
  drawProfile(host, m);
  drawExtremes(host, m);
}

// A line a regime, with macro and micro and their ranks among the models that have the same tasks.
function drawRegimes(host, m) {
  const now = state;
  const rows = DATA.regimes.flatMap((regime) => {
    state = { ...now, regime };
    const found = Object.fromEntries(
      ["macro", "micro"].map((score) => {
        const { rows: all, tasks } = standings(score);
        return [
          score,
          { ...all[m], of: all.filter(({ rank }) => rank !== null).length, scope: tasks.length },
        ];
      }),
    );
    return Object.values(found).some(({ score }) => score !== null) ? [{ regime, ...found }] : [];
  });
  state = now;
  const columns = [
    { key: "regime", name: "regime", text: true, row: true, value: ({ regime }) => regimeName(regime) },
    ...["macro", "micro"].flatMap((score) => [
      { key: score, name: score, value: (row) => row[score].score, show: (row) => shown(row[score].score) },
      {
        key: `${score} rank`,
        name: "rank",
        text: true,
        short: true,
        value: (row) => (row[score].rank === null ? null : `${row[score].rank} of ${row[score].of}`),
        saved: [
          { name: `${score} rank`, value: (row) => row[score].rank },
          { name: `models of ${score} rank`, value: (row) => row[score].of },
        ],
      },
      {
        key: `${score} interval`,
        name: "95 %",
        text: true,
        short: true,
        value: (row) => row[score].sure && between(row[score].sure.interval),
        saved: endsOf(`${score}, 95 %`, (row) => row[score].sure?.interval),
      },
      {
        key: `${score} spread`,
        name: "SD over seeds",
        value: (row) => row[score].spread,
        show: (row) => shown(row[score].spread),
        saved: [{ name: `${score}, SD over seeds`, value: (row) => row[score].spread }],
      },
    ]),
    {
      key: "tasks",
      name: "tasks",
      text: true,
      short: true,
      value: (row) => `${row.macro.tasks} of ${row.macro.scope}`,
      saved: [
        { name: "tasks", value: (row) => row.macro.tasks },
        { name: "of tasks", value: (row) => row.macro.scope },
      ],
    },
  ].filter(({ value }) => rows.some((row) => value(row) !== null));
  if (rows.length)
    host.append(
      h("h3", {}, `${metricName(state.metric)} by regime`),
      tableOf(`Scores of ${DATA.models[m].name} by regime`, columns, rows),
      tableButtons("model_by_regime", columns, rows, { regime: "" }),
    );
}

function drawProfile(host, m) {
  const scores = scoresNow();
  const has = DATA.tasks.flatMap((_, t) => (scores[m][t] === null ? [] : [t]));
  if (!has.length) {
    host.append(note("It has no scores in this regime."));
    return;
  }
  const rows = byCategory(has.filter((t) => !customTasks.includes(t))).map((tasks) => {
    const name = DATA.tasks[tasks[0]].category;
    const field = scores.flatMap((row, other) =>
      other !== m && tasks.every((t) => row[t] !== null) ? [average(row, tasks, name)] : [],
    );
    const value = average(scores[m], tasks, name);
    const spread = seedSpread(m, tasks, name);
    return {
      name,
      tasks,
      field,
      value,
      spread,
      rank: 1 + field.filter((other) => other > value).length,
      median: field.length ? quantile(field, 0.5) : null,
    };
  });
  if (!rows.length) return; // custom tasks are in no average
  const columns = [
    { key: "category", name: "category", text: true, row: true, value: (row) => row.name },
    {
      key: "score",
      name: metricName(state.metric),
      bar: true,
      value: (row) => row.value,
      show: (row) => barCell(row.value, 1),
    },
    {
      key: "rank",
      name: "rank",
      text: true,
      short: true,
      value: (row) => `${row.rank} of ${row.field.length + 1}`,
      saved: [
        { name: "rank", value: (row) => row.rank },
        { name: "models", value: (row) => row.field.length + 1 },
      ],
    },
    MEDIAN_COLUMN,
    fieldColumn("spread"),
    { key: "tasks", name: "tasks", value: (row) => row.tasks.length },
  ].filter(({ value }) => rows.some((row) => value(row) !== null));
  host.append(h("h3", {}, `By category, ${regimeName(state.regime)}`));
  figureOf(
    host,
    "profile",
    "The model among all others on the tasks it has: a tick is a model, the dark one the median.",
    (width) =>
      dotRows(width, {
        label: `Scores of ${DATA.models[m].name} by category, among all models`,
        rows: rows.map((row) => ({
          name: row.name,
          field: row.field,
          marks: [{ value: row.value, title: `${row.name}: ${shown(row.value)}`, ...marking(m) }],
        })),
        groups: [{ name: DATA.models[m].name, ...marking(m) }],
        xTitle: `${metricName(state.metric)}, ${regimeName(state.regime)}`,
      }),
  );
  host.append(
    tableOf(`${DATA.models[m].name} by category`, columns, rows),
    tableButtons("model_by_category", columns, rows),
  );
}

function drawExtremes(host, m) {
  const rows = DATA.tasks
    .flatMap((_, t) => (scoresNow()[m][t] === null ? [] : [against(m, t)]))
    .filter(({ of, t }) => of > 1 || customTasks.includes(t))
    .sort((a, b) => b.difference - a.difference);
  if (!rows.length) return;
  const columns = [
    taskColumn(({ t }) => t),
    verdictColumn(({ t }) => t),
    {
      key: "score",
      name: metricName(state.metric),
      bar: true,
      value: ({ score }) => score,
      show: ({ score }) => barCell(score, 1),
    },
    MEDIAN_COLUMN,
    {
      key: "difference",
      name: "above it",
      value: (row) => row.difference,
      show: (row) => signed(row.difference),
    },
    {
      key: "rank",
      name: "rank",
      text: true,
      short: true,
      value: ({ rank, of }) => `${rank} of ${of}`,
      saved: [
        { name: "rank", value: ({ rank }) => rank },
        { name: "models", value: ({ of }) => of },
      ],
    },
  ].filter(({ value }) => rows.some((row) => value(row) !== null));
  const few = rows.length <= 2 * MOST_TASKS;
  const parts = few
    ? [["Tasks, from the best against the others", rows]]
    : [
        ["Best tasks against the others", rows.slice(0, MOST_TASKS)],
        ["Worst tasks against the others", rows.slice(-MOST_TASKS).reverse()],
      ];
  for (const [title, some] of parts) host.append(h("h3", {}, title), tableOf(title, columns, some));
  host.append(tableButtons("model_by_task", columns, rows, { what: few ? "this table" : "all of its tasks" }));
}
