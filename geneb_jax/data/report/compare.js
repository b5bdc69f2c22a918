// Two and more models beside each other: by category, by task, and their differences.
function chosenModels() {
  const found = state.chosen.map(indexOfModel).filter((m) => m >= 0);
  if (found.length) return found;
  // Until models are chosen, the best of this run with the best other, or the two best.
  const best = standings()
    .rows.filter((row) => row.score !== null)
    .sort((a, b) => b.score - a.score);
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
              button("first", `first ${name}`, () =>
                choose([name, ...names.filter((other) => other !== name)]),
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
  const tasks = tasksInScope(benchmarkCategories.length ? "micro" : CUSTOM).filter((t) =>
    chosen.every((m) => scores[m][t] !== null),
  );
  if (!tasks.length) {
    host.append(note("No task has scores of all of them in this regime."));
    return;
  }
  drawDifferences(host, chosen, tasks);
  drawProfiles(host, chosen, tasks);
  drawTaskPoints(host, chosen, tasks);
  drawTaskTable(host, chosen, tasks);
}

// The groups of tasks that are compared: the averages, then each category.
function groupsOf(tasks) {
  const averages = benchmarkCategories.length
    ? [
        ["macro", tasks],
        ["micro", tasks],
      ]
    : [];
  const categories = byCategory(tasks).map((group) => [DATA.tasks[group[0]].category, group]);
  return [...averages, ...categories].map(([name, group]) => ({ name, tasks: group }));
}

function drawDifferences(host, chosen, tasks) {
  const [first, ...others] = chosen;
  const rows = groupsOf(tasks).map((group) => ({
    ...group,
    values: chosen.map((m) => average(scoresNow()[m], group.tasks, group.name)),
    differences: others.map((m) => difference(first, m, group.tasks, tasks, group.name)),
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
      style: (row) => heatStyle(row.values[i], 1),
      show: (row) => h(row.values[i] === best(row) ? "strong" : "span", {}, shown(row.values[i])),
    })),
    ...others.flatMap((m, i) => [
      {
        key: `difference ${i}`,
        name: `${name(first)} − ${name(m)}`,
        value: (row) => row.differences[i].value,
        show: (row) => signed(row.differences[i].value),
      },
      {
        key: `interval ${i}`,
        name: "95 %",
        text: true,
        short: true,
        value: (row) => row.differences[i].interval && between(row.differences[i].interval),
      },
      {
        key: `wins ${i}`,
        name: "wins",
        text: true,
        short: true,
        value: (row) => `${row.differences[i].wins} of ${row.differences[i].tasks}`,
      },
    ]),
  ];
  const [
    {
      differences: [{ wins, ties }],
    },
  ] = rows;
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
      "Intervals take the tasks of each category for a sample of such tasks: they are t intervals of the differences, whose variance within categories is pooled, of one pair alone. Those of tables/pairs, corrected for all pairs, are wider: a difference that stands there stands here too. " +
        "They say nothing of other test records or other few-shot draws.",
    ),
  );
  figureOf(
    host,
    "differences",
    `By how much ${name(first)} is above the others, with 95 % intervals; right of the line it is better.`,
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
    { key: "task", name: "task", text: true, row: true, value: (t) => DATA.tasks[t].label, show: taskLink },
    { key: "category", name: "category", text: true, value: (t) => DATA.tasks[t].category },
    ...chosen.map((m) => ({
      key: DATA.models[m].name,
      name: DATA.models[m].name,
      value: (t) => scores[m][t],
      show: (t) => shown(scores[m][t]),
      style: (t) => heatStyle(scores[m][t], 1),
    })),
    {
      key: "difference",
      name: "first − second",
      value: (t) => scores[chosen[0]][t] - scores[chosen[1]][t],
      show: (t) => signed(scores[chosen[0]][t] - scores[chosen[1]][t]),
    },
  ];
  const rows = sorted(tasks, columns, "-difference");
  host.append(
    h("h3", {}, "By task"),
    tableOf("Compared models by task", columns, rows),
    tableButtons("comparison_by_task", columns, rows),
  );
}
