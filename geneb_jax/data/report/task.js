// The tasks, and the page of one: what is known of it and how all models do on it.
const AUDIT = {
  // what an audit knows of them; shown where it is there
  verdict: "verdict",
  audited_files: "audited files",
  copies: "test records that are copies of train records",
  twins: "test records with a shuffle twin in train",
  near_50: "test records with a near copy in train",
};

// The scores of all models on a task, the best first.
function taskRows(t) {
  const scores = scoresNow();
  return DATA.models
    .map((model, m) => ({ ...model, m, score: scores[m][t], spread: seedSpread(m, [t], "micro") }))
    .filter(({ score }) => score !== null)
    .sort((a, b) => b.score - a.score)
    .map((row, i) => ({ ...row, rank: i + 1 }));
}

const rowsOf = (count) => count?.toLocaleString("en") ?? MISSING;
// What an audit says of a task of a list, by the row's number of the task.
const verdictColumn = (number) => ({
  key: "verdict",
  name: "verdict",
  text: true,
  value: (row) => DATA.tasks[number(row)].verdict ?? null,
});
// The task of a row, by the row's number of the task.
const taskColumn = (number) => ({
  key: "task",
  name: "task",
  text: true,
  row: true,
  value: (row) => DATA.tasks[number(row)].label,
  show: (row) => taskLink(number(row)),
});
// Of a list of tasks; what is of the published models alone says so, as does what is of the run.
const TASK_COLUMNS = [
  taskColumn(({ t }) => t),
  { key: "category", name: "category", text: true, short: true, value: ({ category }) => category },
  verdictColumn(({ t }) => t),
  {
    key: "train",
    name: "train",
    value: ({ train, run_train }) => run_train ?? train,
    show: ({ train, run_train }) => rowsOf(run_train ?? train),
    title: `Train rows: of ${DATA.here} where they are known, else as published.`,
  },
  {
    key: "test",
    name: "test",
    value: ({ test, run_test }) => run_test ?? test,
    show: ({ test, run_test }) => rowsOf(run_test ?? test),
    title: `Test rows: of ${DATA.here} where they are known, else as published.`,
  },
  { key: "classes", name: "classes", value: ({ classes }) => classes },
  {
    key: "run",
    name: `best of ${DATA.here}`,
    bar: true,
    value: ({ run }) => run?.score ?? null,
    show: ({ run }) => barCell(run?.score ?? null, 1),
    title: `The highest score of a model of ${DATA.here}.`,
  },
  {
    key: "run model",
    name: "its model",
    text: true,
    value: ({ run }) => run?.name ?? null,
    show: ({ run }) => (run ? modelLink(run.name) : MISSING),
    title: `The model of ${DATA.here} that has it.`,
  },
  {
    key: "run rank",
    name: "its rank",
    text: true,
    short: true,
    value: ({ run, published }) => (run && published.length ? run.rankAmongPublished : null),
    show: ({ run, published }) =>
      run && published.length ? `${run.rankAmongPublished} of ${published.length + 1}` : MISSING,
    saved: [
      {
        name: "its rank",
        value: ({ run, published }) => (published.length ? (run?.rankAmongPublished ?? null) : null),
      },
      {
        name: "models of its rank",
        value: ({ run, published }) => (run && published.length ? published.length + 1 : null),
      },
    ],
    title: "Its rank among the published models, 1 the best.",
  },
  {
    key: "median",
    name: "published median",
    bar: true,
    value: ({ median }) => median,
    show: ({ median }) => barCell(median, 1),
    title: "Median of the published models.",
  },
  {
    key: "spread",
    name: "published SD",
    value: ({ spread }) => spread,
    show: ({ spread }) => shown(spread),
    title: "Standard deviation over the published models.",
  },
  {
    key: "best",
    name: "published best",
    value: ({ published }) => published[0]?.score ?? null,
    show: ({ published }) => shown(published[0]?.score ?? null),
    title: "The highest score of a published model.",
  },
  {
    key: "best model",
    name: "best published model",
    text: true,
    value: ({ published }) => published[0]?.name ?? null,
    show: ({ published }) => (published.length ? modelLink(published[0].name) : MISSING),
    title: "The published model that has it.",
  },
];

// What is known of a task's scores: of the published models, and the best of the others.
function taskSummary(t) {
  const rows = taskRows(t);
  const published = rows.filter(({ run }) => !run);
  const values = published.map(({ score }) => score);
  const best = rows.find(({ run }) => run);
  const above = values.filter((value) => value > best?.score).length;
  return {
    rows,
    published,
    run: best ? { ...best, rankAmongPublished: 1 + above } : null,
    median: values.length ? quantile(values, 0.5) : null,
    spread: values.length > 1 ? deviation(values) : null,
  };
}

// Whether models of the run have scores of a task whose rows are known as published alone.
const sizesUnknown = ({ run, run_train }) => run !== null && missing(run_train);

function drawTasks() {
  const every = DATA.tasks.map((task, t) => ({ ...task, t, ...taskSummary(t) }));
  // Those of the run first: they are what a reader looks for.
  const tasks = [...every.filter(({ run }) => run), ...every.filter(({ run }) => !run)];
  const columns = TASK_COLUMNS.filter(({ value }) => tasks.some((task) => !missing(value(task))));
  const rows = state.order ? sorted(tasks, columns, state.order) : tasks;
  const ofRun = every.filter(({ run }) => run).length;
  const unknown = every.filter(sizesUnknown).length;
  byId("tasks-body").replaceChildren(
    note(
      `${metricName(state.metric)} in ${regimeName(state.regime)}. ` +
        (runModels.length
          ? `${counted(ofRun, "task")} of ${DATA.here} first; ${every.length - ofRun} others have published scores alone.`
          : `${counted(every.length, "task")} with scores of the published models.`) +
        (unknown
          ? ` How many rows ${DATA.here} had is not known of ${counted(unknown, "task")}: they stand as published, if at all.`
          : "") +
        (every.some(({ audited_files }) => audited_files)
          ? " Verdicts are of an audit of files that may not be those of the scores; the page of a task says which files, and why."
          : ""),
    ),
    tableOf("List of tasks", columns, rows, { sort: state.order, onSort: (order) => go({ order }) }),
    tableButtons("tasks", columns, rows),
  );
}

function drawTask() {
  const host = byId("task-body");
  const t = indexOfTask(state.task);
  byId("task-title").textContent = t < 0 ? "Task" : DATA.tasks[t].label;
  host.replaceChildren();
  if (t < 0) {
    host.append(
      note(state.task ? `This report has no task '${state.task}'.` : "Choose a task in the list of tasks."),
    );
    return;
  }
  const task = DATA.tasks[t];
  const { rows, published, run, median, spread } = taskSummary(t);
  const values = published.map(({ score }) => score);
  const [before, after] = [DATA.tasks[t - 1], DATA.tasks[t + 1]];
  const count = (name, rows) => (missing(rows) ? null : [name, rowsOf(rows)]);
  const ofRun = rows.length - published.length;
  const sentences = [
    published.length &&
      `${counted(published.length, "published model")} in ${regimeName(state.regime)}: median ${shown(median)}, best ${shown(values[0])}, worst ${shown(values.at(-1))}, SD over models ${shown(spread)}.`,
    run &&
      `${counted(ofRun, "model")} of ${DATA.here}: best ${shown(run.score)} (${run.name})${published.length ? `, rank ${run.rankAmongPublished} of ${published.length + 1} beside the published` : ""}.`,
  ].filter(Boolean);
  host.append(
    facts(
      [
        ["id", task.id],
        ["category", task.category],
        ["suite", task.suite],
        [
          missing(task.run_train) || !DATA.user_files ? "data" : "data of the published scores",
          task.url && link("files in GENEB's data set", task.url),
        ],
        [`data of ${DATA.here}`, !missing(task.run_train) && DATA.user_files ? "files of its user's folder" : null],
        count("train rows, as published", task.train),
        count("test rows, as published", task.test),
        count(`train rows of ${DATA.here}`, task.run_train),
        count(`test rows of ${DATA.here}`, task.run_test),
        [`rows of ${DATA.here}`, sizesUnknown({ run, ...task }) ? "not known" : null],
        ["classes", task.classes],
        ...Object.entries(AUDIT).map(([key, name]) => [name, task[key] ?? null]),
        [
          "why",
          task.reasons?.length ? h("ul", {}, ...task.reasons.map((reason) => h("li", {}, reason))) : null,
        ],
      ].filter(Boolean),
    ),
    h(
      "p",
      { id: "task-summary" },
      sentences.length ? sentences.join(" ") : "It has no scores in this regime.",
    ),
    h(
      "p",
      { className: "steps" },
      ...[
        before && link(`← ${before.label}`, taskAddress(before.id)),
        after && link(`${after.label} →`, taskAddress(after.id)),
      ].filter(Boolean),
    ),
  );
  if (!rows.length) return;
  const groups = [
    [DATA.here, rows.filter((row) => row.run)],
    ...architectures.map((name) => [name, published.filter((row) => row.architecture === name)]),
  ];
  figureOf(
    host,
    "task",
    `${runModels.length ? `Models of ${DATA.here}, and the published ones` : "Models"} by architecture; a tick is a published model, the dark one their median.`,
    (width) =>
      dotRows(width, {
        label: `Scores of ${counted(rows.length, "model")} on ${task.label} by architecture`,
        rows: [
          ...(values.length ? [["published models", values, []]] : []),
          ...groups.filter(([, some]) => some.length).map(([name, some]) => [name, [], some]),
        ].map(([name, field, some]) => ({
          name,
          field,
          marks: some.map((row) => ({
            value: row.score,
            title: `${row.name}: ${shown(row.score)}`,
            href: modelAddress(row.name),
            ...architectureMarking(row.architecture),
          })),
        })),
        groups: [],
        xTitle: `${metricName(state.metric)}, ${regimeName(state.regime)}`,
      }),
  );
  const columns = [
    {
      key: "rank",
      name: "rank",
      value: ({ rank }) => rank,
      title: "Rank among all models of this table, 1 the best.",
    },
    MODEL_COLUMN,
    {
      key: "score",
      name: metricName(state.metric),
      bar: true,
      value: ({ score }) => score,
      show: ({ score }) => barCell(score, Math.max(rows[0].score, 0.01)),
    },
    fieldColumn("spread"),
    ...surenessOnTaskColumns(t),
    ...["parameters", "architecture", "pretraining"].map(fieldColumn),
  ].filter(({ value }) => rows.some((row) => value(row) !== null));
  host.append(
    tableOf(`Models on ${task.label}`, columns, rows, { marked: ({ run }) => run }),
    tableButtons("task", columns, rows),
  );
  drawTaskPairs(host, t);
}

// How sure the MCC of each model on the task is, three columns a question that was asked.
function surenessOnTaskColumns(t) {
  const of = (question, m) => surenessOnTask(t, m).find((each) => each.question === question);
  return ["records", "shots"].flatMap((question) => [
    {
      key: `${question} interval`,
      name: `95 %, ${question}`,
      text: true,
      short: true,
      value: ({ m }) => (of(question, m) ? between(of(question, m).interval) : null),
      saved: endsOf(`95 %, ${question}`, ({ m }) => of(question, m)?.interval),
      title: `95 % interval of MCC, had ${QUESTIONS[question]} been drawn. Of heads that predict one class alone, whose MCC is 0, it lies around 0.`,
    },
    {
      key: `${question} ranks`,
      name: `rank in run, ${question}`,
      text: true,
      short: true,
      value: ({ m }) => (of(question, m) ? between(of(question, m).ranks, 0) : null),
      saved: endsOf(`rank in run, ${question}`, ({ m }) => of(question, m)?.ranks),
      title: `95 % interval of the rank among the models of the run that have the task, had ${QUESTIONS[question]} been drawn.`,
    },
    {
      key: `${question} group`,
      name: `group, ${question}`,
      text: true,
      value: ({ m }) => of(question, m)?.group ?? null,
      title: `Models that share a letter cannot be told apart, had ${QUESTIONS[question]} been drawn.`,
    },
  ]);
}

// Every two models on a task, as tables/pairs_tasks and tables/pairs_custom have them.
function drawTaskPairs(host, t) {
  const ofTask = pairsOnTask(t);
  const rows = (ofTask[state.regime] ?? []).flatMap(([question, a, b]) =>
    surenessOfPair(a, b, ofTask)
      .filter((each) => each.question === question)
      .map((each) => ({ ...each, pair: pairName(a, b) })),
  );
  if (!rows.length) return;
  const columns = surenessColumns("MCC on the task");
  host.append(
    h("h3", {}, "Every two models of this run on this task"),
    tableOf(`Every two models on ${DATA.tasks[t].label}`, columns, rows),
    tableButtons("task_pairs", columns, rows),
    h(
      "p",
      { class: "note" },
      "'Told apart' is a test that is corrected for all pairs on this task; the interval is of its pair " +
        "alone. They may disagree, most of all where a model predicts a class for a few records or none: " +
        "quote the test where a model is called better.",
    ),
  );
}
