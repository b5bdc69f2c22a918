// Two and more models beside each other: by category, by task, and their differences.
const QUESTIONS = { tasks: "other tasks", records: "other test records", shots: "other few-shot draws" };
// What is drawn anew for the intervals of each question.
const DRAWN = { tasks: "tasks within categories", records: "test records", shots: "few-shot rows" };

function chosenModels() {
  const found = state.chosen.map(indexOfModel).filter((m) => m >= 0);
  if (found.length) return found;
  // Until models are chosen, the best of this run with the best other, or the two best; without
  // averages the first two of this run.
  const { rows } = standings();
  const scored = rows.filter((row) => row.score !== null);
  const best = (scored.length ? scored : rows.filter((row) => row.run)).sort(byStanding);
  const first = best.find((row) => row.run) ?? best[0];
  return [first, best.find((row) => row !== first)].filter(Boolean).map((row) => row.m);
}

function drawCompare() {
  const chosen = chosenModels();
  const names = chosen.map((m) => DATA.models[m].name);
  const choose = (next) => go({ chosen: next });
  byId("compare-chosen").replaceChildren(
    ...names.map((name, i) =>
      h(
        "li",
        {},
        modelLink(name),
        ...(i
          ? [
              " ",
              Object.assign(
                button("first", `first ${name}`, () =>
                  choose([name, ...names.filter((other) => other !== name)]),
                ),
                { ariaLabel: `first ${name}, against the others` },
              ),
            ]
          : []),
        " ",
        Object.assign(
          button("✕", `drop ${name}`, () => choose(names.filter((other) => other !== name))),
          { ariaLabel: `Leave out ${name}`, disabled: names.length < 2 },
        ),
      ),
    ),
  );
  const add = h(
    "select",
    { id: "compare-add", onchange: () => choose([...names, add.value]), "data-key": "compare-add" },
    new Option("a model …", ""),
    ...DATA.models.filter(({ name }) => !names.includes(name)).map(({ name }) => new Option(name, name)),
  );
  byId("compare-form").replaceChildren(h("label", {}, "Add", add));
  const host = byId("compare-body");
  host.replaceChildren();
  if (chosen.length < 2) {
    host.append(note("Add a second model to compare."));
    return;
  }
  const scores = scoresNow();
  const shared = (score) => tasksInScope(score).filter((t) => chosen.every((m) => scores[m][t] !== null));
  const [tasks, custom] = [shared("micro"), shared(CUSTOM)];
  if (!tasks.length && !custom.length) {
    const has = chosen.map((m, i) => `${names[i]} ${scores[m].filter((value) => value !== null).length}`);
    host.append(
      note(
        `No task has ${metricName(state.metric)} in ${regimeName(state.regime)} of all of these models, so they cannot be compared; tasks of each: ${has.join(", ")}.`,
      ),
    );
    return;
  }
  if (tasks.length) {
    drawDifferences(host, chosen, tasks);
    drawProfiles(host, chosen, tasks);
  }
  if (custom.length) drawCustomDifferences(host, chosen, custom);
  drawTaskPoints(host, chosen, [...tasks, ...custom]);
  drawTaskTable(host, chosen, [...tasks, ...custom]);
}

// The groups of tasks that are compared: the averages, then each category.
function groupsOf(tasks) {
  const categories = byCategory(tasks).map((group) => [DATA.tasks[group[0]].category, group]);
  return [["macro", tasks], ["micro", tasks], ...categories].map(([name, group]) => ({ name, tasks: group }));
}

function drawDifferences(host, chosen, tasks) {
  const [first, ...others] = chosen;
  const rows = groupsOf(tasks).map((group) => ({
    ...group,
    values: chosen.map((m) => average(scoresNow()[m], group.tasks, group.name)),
    differences: others.map((m) => differenceAsInTables(first, m, group.tasks, tasks, group.name)),
  }));
  const name = (m) => DATA.models[m].name;
  const best = (row) => Math.max(...row.values);
  const columns = [
    { key: "category", name: "category", text: true, row: true, value: (row) => row.name },
    { key: "tasks", name: "tasks", value: (row) => row.tasks.length },
    ...chosen.map((m, i) => ({
      key: name(m),
      name: name(m),
      value: (row) => row.values[i],
      title: "Score of the model of this name; the highest of a row is bold, and the darker, the higher.",
      style: (row) => heatStyle(row.values[i], 1),
      show: (row) => h(row.values[i] === best(row) ? "strong" : "span", {}, shown(row.values[i])),
    })),
    ...others.flatMap((m, i) => [
      {
        key: `difference ${i}`,
        name: `${name(first)} − ${name(m)}`,
        value: (row) => row.differences[i].value,
        show: (row) => signed(row.differences[i].value),
        word: "difference",
      },
      {
        key: `interval ${i}`,
        name: "95 %",
        title: "95 % interval of the difference before it; where 0 is outside, it is no chance of the tasks.",
        text: true,
        short: true,
        value: (row) => row.differences[i].interval && between(row.differences[i].interval),
        saved: endsOf(`${name(first)} − ${name(m)}, 95 %`, (row) => row.differences[i].interval),
      },
      {
        key: `wins ${i}`,
        name: "wins",
        text: true,
        short: true,
        value: (row) => `${row.differences[i].wins} of ${row.differences[i].tasks}`,
        saved: [
          { name: `wins of ${name(first)} over ${name(m)}`, value: (row) => row.differences[i].wins },
        ],
      },
    ]),
  ].filter(({ value }) => rows.some((row) => value(row) !== null));
  const known = rows.some(({ differences }) => differences.some(({ interval }) => interval));
  const [
    {
      differences: [{ wins, ties }],
    },
  ] = rows;
  const [inTables, outside] = [true, false].map((wanted) =>
    others.filter(
      (m) =>
        surenessOfPair(first, m).some(
          (each) => each.question === "tasks" && each.tasks === tasks.length,
        ) === wanted,
    ),
  );
  const method =
    "t intervals of the differences, which take the tasks of each category for a sample of such tasks and pool the variance within categories.";
  const asked = [...new Set(others.flatMap((m) => surenessOfPair(first, m).map(({ question }) => question)))];
  const sources = !inTables.length
    ? `No pair is in tables/pairs over these tasks: the intervals are ${method}`
    : `The interval of macro is that of tables/pairs${outside.length ? ` of the pairs with ${inTables.map(name).join(", ")}` : ""}; the others are ${method}`;
  host.append(
    h(
      "p",
      { id: "compare-summary", role: "status" },
      `${name(first)} is better than ${name(others[0])} on ${wins}, worse on ${tasks.length - wins - ties} of ${counted(tasks.length, "task")}` +
        `${ties ? `, equal on ${ties}` : ""}; ${rows[0].name} difference ${signed(rows[0].differences[0].value)}${rows[0].differences[0].interval ? ` (95 %: ${between(rows[0].differences[0].interval)})` : ""}.`,
    ),
    tableOf("Compared models by category", columns, rows),
    tableButtons("comparison", columns, rows),
    note(
      known
        ? `${sources} All are of one pair alone, and say nothing of other test records or other few-shot draws.`
        : `No two categories have two tasks or more, so what other tasks would change is not known: these differences have no intervals.${asked.length ? ` Below are those of the macro difference over ${asked.map((each) => QUESTIONS[each] ?? each).join(" and ")}.` : ""}`,
    ),
  );
  drawSureness(host, chosen);
  figureOf(
    host,
    "differences",
    `By how much ${name(first)} is above the others${known ? ", with 95 % intervals" : ""}; right of the line it is better.`,
    (width) =>
      dotRows(width, {
        label: `Differences of ${name(first)} to the other chosen models by category`,
        rows: rows.map((row) => ({
          name: row.name,
          marks: others.map((m, i) => ({
            value: row.differences[i].value,
            interval: row.differences[i].interval,
            title: `${row.name}, ${name(m)}: ${signed(row.differences[i].value)}`,
            ...marking(m),
          })),
        })),
        groups: others.map((m) => ({ name: `${name(first)} − ${name(m)}`, ...marking(m) })),
        xTitle: `difference in ${metricName(state.metric)}`,
        zero: true,
      }),
  );
}

const pairName = (a, b) => `${DATA.models[a].name} − ${DATA.models[b].name}`;

// Columns of differences and how sure they are.
function surenessColumns(meaning) {
  return [
    { key: "pair", name: "pair", text: true, row: true, value: ({ pair }) => pair },
    {
      key: "question",
      name: "question",
      text: true,
      short: true,
      value: ({ question }) => QUESTIONS[question] ?? question,
    },
    {
      key: "value",
      name: "difference",
      value: ({ value }) => value,
      show: ({ value }) => signed(value),
      title: `${meaning} of the first model minus that of the second.`,
    },
    {
      key: "interval",
      name: "95 %",
      text: true,
      short: true,
      value: ({ interval }) => between(interval),
      saved: endsOf("95 %", ({ interval }) => interval),
      title: "95 % interval of the difference, had what the question names been other.",
    },
    {
      key: "apart",
      name: "told apart",
      text: true,
      value: ({ apart }) => (apart ? "yes" : "no"),
    },
  ];
}

// How sure the macro differences are, as tables/pairs has it.
function drawSureness(host, [first, ...others]) {
  const rows = others.flatMap((m) =>
    surenessOfPair(first, m).map((each) => ({ ...each, pair: pairName(first, m) })),
  );
  if (!rows.length) return;
  const drawn = [...new Set(rows.map(({ question }) => DRAWN[question] ?? question))].join(" or of ");
  const columns = [
    ...surenessColumns("Macro MCC"),
    { key: "tasks", name: "tasks", value: ({ tasks }) => tasks },
  ];
  host.append(
    h("h3", {}, "How sure the macro difference is"),
    tableOf("How sure the macro difference is", columns, rows),
    tableButtons("sureness", columns, rows),
    note(
      `'Told apart' is a test over all tasks at once, which is corrected for all pairs of models; the interval is of this pair alone, over draws of ${drawn}, as the question of its row says. They may disagree: quote the test where a model is called better.`,
    ),
  );
}

// Custom tasks are compared one by one: on how many the first model is better, and how sure that is.
function drawCustomDifferences(host, [first, ...others], tasks) {
  const scores = scoresNow();
  const name = (m) => DATA.models[m].name;
  const sentences = others.map((m) => {
    const wins = tasks.filter((t) => scores[first][t] > scores[m][t]).length;
    const ties = tasks.filter((t) => scores[first][t] === scores[m][t]).length;
    return (
      `${name(first)} is better than ${name(m)} on ${wins}, worse on ${tasks.length - wins - ties} of ` +
      `${counted(tasks.length, "custom task")}${ties ? `, equal on ${ties}` : ""}.`
    );
  });
  host.append(
    h("h3", {}, "Custom tasks"),
    h("p", { id: "compare-custom" }, `${sentences.join(" ")} Custom tasks are in no average.`),
  );
  const rows = others.flatMap((m) =>
    tasks.flatMap((t) =>
      surenessOfPair(first, m, pairsOnTask(t)).map((each) => ({ ...each, t, pair: pairName(first, m) })),
    ),
  );
  if (!rows.length) return;
  const columns = [
    taskColumn(({ t }) => t),
    ...surenessColumns("MCC on the task").map((column) => ({ ...column, row: false })),
  ];
  host.append(
    tableOf("How sure the differences on custom tasks are", columns, rows),
    tableButtons("sureness_on_custom_tasks", columns, rows),
  );
}

function drawProfiles(host, chosen, tasks) {
  figureOf(
    host,
    "profiles",
    "The chosen models among all others: a tick is a model, the dark one the median.",
    (width) =>
      dotRows(width, {
        label: "Scores of the chosen models by category, among all models",
        rows: groupsOf(tasks).map((group) => ({
          name: group.name,
          field: scoresNow()
            .filter((row) => group.tasks.every((t) => row[t] !== null))
            .map((row) => average(row, group.tasks, group.name)),
          marks: chosen
            .map((m) => ({ m, value: average(scoresNow()[m], group.tasks, group.name) }))
            .map(({ m, value }) => ({
              value,
              title: `${group.name}, ${DATA.models[m].name}: ${shown(value)}`,
              href: modelAddress(DATA.models[m].name),
              ...marking(m),
            })),
        })),
        groups: chosen.map((m) => ({ name: DATA.models[m].name, ...marking(m) })),
        xTitle: `${metricName(state.metric)}, ${regimeName(state.regime)}`,
      }),
  );
}

function drawTaskPoints(host, [a, b], tasks) {
  const [x, y] = [scoresNow()[b], scoresNow()[a]];
  const categories = DATA.categories.filter((category) =>
    tasks.some((t) => DATA.tasks[t].category === category),
  );
  figureOf(
    host,
    "task_by_task",
    `A point is a task; above the line ${DATA.models[a].name} is better. Named are the largest differences.`,
    (width) =>
      scatter(Math.min(width, 760), {
        label: `Scores of ${DATA.models[a].name} against those of ${DATA.models[b].name}, a point a task`,
        points: tasks
          .map((t) => ({
            x: x[t],
            y: y[t],
            name: DATA.tasks[t].label,
            href: taskAddress(DATA.tasks[t].id),
            named: Math.abs(x[t] - y[t]),
            title: `${DATA.tasks[t].label}: ${shown(y[t])} and ${shown(x[t])}`,
            ...categoryMarking(DATA.tasks[t].category),
          }))
          .sort((p, q) => q.named - p.named)
          .map((point, i) => ({ ...point, named: i < 8 ? point.named : 0 })),
        groups: categories.map((name) => ({ name, ...categoryMarking(name) })),
        xTitle: DATA.models[b].name,
        yTitle: DATA.models[a].name,
        diagonal: true,
      }),
  );
}

function drawTaskTable(host, chosen, tasks) {
  const scores = scoresNow();
  const columns = [
    taskColumn((t) => t),
    { key: "category", name: "category", text: true, value: (t) => DATA.tasks[t].category },
    verdictColumn((t) => t),
    ...chosen.map((m) => ({
      key: DATA.models[m].name,
      name: DATA.models[m].name,
      value: (t) => scores[m][t],
      title: "Score of the model of this name; the darker, the higher.",
      show: (t) => shown(scores[m][t]),
      style: (t) => heatStyle(scores[m][t], 1),
    })),
    {
      key: "difference",
      name: "first − second",
      word: "difference",
      value: (t) => scores[chosen[0]][t] - scores[chosen[1]][t],
      show: (t) => signed(scores[chosen[0]][t] - scores[chosen[1]][t]),
    },
  ].filter(({ value }) => tasks.some((t) => value(t) !== null));
  const rows = sorted(tasks, columns, "-difference");
  host.append(
    h("h3", {}, "By task"),
    tableOf("Compared models by task", columns, rows),
    tableButtons("comparison_by_task", columns, rows),
  );
}
