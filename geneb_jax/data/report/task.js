// The tasks, and the page of one: what is known of it and how all models do on it.
const AUDIT = {
  // what a run that audits its tasks knows of them; shown where it is there
  verdict: "verdict",
  copies: "test records that are copies of train records",
  twins: "test records with a shuffle twin in train",
  near_50: "test records with a near copy in train",
};

// The scores of all models on a task, the best first.
function taskRows(t) {
  const scores = scoresNow();
  return DATA.models
    .map((model, m) => ({ ...model, m, score: scores[m][t], spread: seedSpread(m, [t], CUSTOM) }))
    .filter(({ score }) => score !== null)
    .sort((a, b) => b.score - a.score)
    .map((row, i) => ({ ...row, rank: i + 1 }));
}

function drawTasks() {
  const tasks = DATA.tasks.map((task, t) => {
    const rows = taskRows(t);
    const values = rows.map(({ score }) => score);
    return {
      ...task,
      t,
      rows,
      best: rows[0] ?? null,
      run: rows.find(({ run }) => run) ?? null,
      median: values.length ? quantile(values, 0.5) : null,
      spread: values.length > 1 ? deviation(values) : null,
    };
  });
  const columns = [
    {
      key: "task",
      name: "task",
      text: true,
      row: true,
      value: ({ label }) => label,
      show: ({ t }) => taskLink(t),
    },
    { key: "category", name: "category", text: true, value: ({ category }) => category },
    { key: "verdict", name: "verdict", text: true, value: ({ verdict }) => verdict },
    {
      key: "train",
      name: "train",
      value: ({ train, run_train }) => run_train ?? train,
      show: ({ train, run_train }) => (run_train ?? train)?.toLocaleString("en") ?? MISSING,
      title: "Train rows: of this run where it has the task, else as published",
    },
    {
      key: "test",
      name: "test",
      value: ({ test, run_test }) => run_test ?? test,
      show: ({ test, run_test }) => (run_test ?? test)?.toLocaleString("en") ?? MISSING,
      title: "Test rows: of this run where it has the task, else as published",
    },
    { key: "classes", name: "classes", value: ({ classes }) => classes },
    { key: "models", name: "models", value: ({ rows }) => rows.length },
    {
      key: "median",
      name: "median",
      bar: true,
      value: ({ median }) => median,
      show: ({ median }) => barCell(median, 1),
    },
    {
      key: "spread",
      name: "SD",
      value: ({ spread }) => spread,
      show: ({ spread }) => shown(spread),
      title: "Standard deviation over models",
    },
    {
      key: "best",
      name: "best",
      value: ({ best }) => best?.score ?? null,
      show: ({ best }) => shown(best?.score ?? null),
    },
    {
      key: "best model",
      name: "best model",
      text: true,
      value: ({ best }) => best?.name ?? null,
      show: ({ best }) => (best ? modelLink(best.name) : MISSING),
    },
    {
      key: "run",
      name: `best of ${DATA.here}`,
      value: ({ run }) => run?.score ?? null,
      show: ({ run }) => shown(run?.score ?? null),
    },
    { key: "run rank", name: "its rank", value: ({ run }) => run?.rank ?? null },
  ].filter(({ value }) => tasks.some((task) => (value(task) ?? null) !== null));
  const rows = state.order ? sorted(tasks, columns, state.order) : tasks;
  byId("tasks-body").replaceChildren(
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
  const rows = taskRows(t);
  const values = rows.map(({ score }) => score);
  const [before, after] = [DATA.tasks[t - 1], DATA.tasks[t + 1]];
  const rowsOf = (name, count) =>
    count === null || count === undefined ? null : [name, count.toLocaleString("en")];
  host.append(
    facts(
      [
        ["id", task.id],
        ["category", task.category],
        ["suite", task.suite],
        ["data", task.url && link("files in GENEB's data set", task.url)],
        rowsOf("train rows, as published", task.train),
        rowsOf("test rows, as published", task.test),
        rowsOf("train rows of this run", task.run_train),
        rowsOf("test rows of this run", task.run_test),
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
      values.length
        ? `${counted(rows.length, "model")} in ${regimeName(state.regime)}: median ${shown(quantile(values, 0.5))}, best ${shown(values[0])}, worst ${shown(values.at(-1))}, SD over models ${shown(values.length > 1 ? deviation(values) : null)}.`
        : "It has no scores in this regime.",
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
  const published = rows.filter((row) => !row.run);
  const groups = [
    [DATA.here, rows.filter((row) => row.run)],
    ...architectures.map((name) => [name, published.filter((row) => row.architecture === name)]),
  ];
  figureOf(
    host,
    "task",
    `${runModels.length ? `Models of ${DATA.here}, and the published ones` : "Models"} by architecture; a tick is a model, the dark one the median of all.`,
    (width) =>
      dotRows(width, {
        label: `Scores of ${counted(rows.length, "model")} on ${task.label} by architecture`,
        rows: [["all models", []], ...groups.filter(([, some]) => some.length)].map(([name, some], i) => ({
          name,
          field: i ? [] : values,
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
    { key: "rank", name: "rank", value: ({ rank }) => rank },
    {
      key: "model",
      name: "model",
      text: true,
      row: true,
      value: ({ name }) => name,
      show: ({ name }) => modelLink(name),
    },
    {
      key: "score",
      name: metricName(state.metric),
      bar: true,
      value: ({ score }) => score,
      show: ({ score }) => barCell(score, Math.max(...values, 0.01)),
    },
    {
      key: "spread",
      name: "SD over seeds",
      value: ({ spread }) => spread,
      show: ({ spread }) => shown(spread),
    },
    { key: "size", name: "size", value: ({ params }) => params, show: ({ params }) => size(params) },
    { key: "architecture", name: "architecture", text: true, value: ({ architecture }) => architecture },
    { key: "pretraining", name: "pretraining", text: true, value: ({ pretraining }) => pretraining },
  ].filter(({ value }) => rows.some((row) => value(row) !== null));
  host.append(
    tableOf(`Models on ${task.label}`, columns, rows, { marked: ({ run }) => run }),
    tableButtons("task", columns, rows),
  );
}
