// Averages, ranks and differences of the scores in DATA, for the regime and metric of the state.
// A model is named by its index m in DATA.models, a task by its index t in DATA.tasks.
const scoresNow = () => DATA.scores[state.regime][state.metric];

// How many tasks of the benchmark, or custom tasks, each model of the run has, and whether it is
// compared. As in the tables of intervals, that takes a share of the tasks that any of them has: one
// that failed on most tasks would leave the others a few.
function countsOfRun(custom = false) {
  const scores = scoresNow();
  const counted = (value, t) => value !== null && (DATA.tasks[t].category === CUSTOM) === custom;
  const counts = DATA.models
    .map((model, m) => ({ m, run: model.run, has: scores[m].filter(counted).length }))
    .filter(({ run, has }) => run && has);
  const most = Math.max(...counts.map(({ has }) => has));
  return counts.map(({ m, has }) => ({ m, has, compared: has >= DATA.enough * most }));
}

// The tasks of the benchmark that any of some models has.
const tasksOfRun = (models) =>
  DATA.tasks.flatMap(({ category }, t) =>
    category !== CUSTOM && models.some(({ m }) => scoresNow()[m][t] !== null) ? [t] : [],
  );

// The tasks that a score is taken over: macro, micro, or a category. Custom tasks are one by one.
function tasksInScope(score = state.score) {
  const scores = scoresNow();
  const compared = countsOfRun(score === CUSTOM).filter((each) => each.compared);
  const anyOfRun = DATA.models.some(({ run }, m) => run && scores[m].some((value) => value !== null));
  return DATA.tasks.flatMap((task, t) => {
    const wanted =
      score === "macro" || score === "micro" ? task.category !== CUSTOM : task.category === score;
    const there =
      state.tasks === "all" || !anyOfRun
        ? scores.some((row) => row[t] !== null)
        : compared.length > 0 && compared.every(({ m }) => scores[m][t] !== null);
    return wanted && there ? [t] : [];
  });
}

function byCategory(tasks) {
  const groups = new Map();
  for (const t of tasks)
    groups.set(DATA.tasks[t].category, [...(groups.get(DATA.tasks[t].category) ?? []), t]);
  return [...groups.values()];
}

// Macro averages category means, all else averages tasks; missing scores are left out.
function average(row, tasks, score = state.score) {
  const present = tasks.filter((t) => row[t] !== null);
  if (!present.length) return null;
  const over = (group) => mean(group.map((t) => row[t]));
  return score === "macro" ? mean(byCategory(present).map(over)) : over(present);
}

// The standard deviation over seeds of a model's average; null where all seeds give the same scores.
function seedSpread(m, tasks, score = state.score) {
  const seeds = state.metric === "MCC" ? DATA.seeds[state.regime]?.[m] : null;
  const values = seeds?.map((row) => average(row, tasks, score)).filter((value) => value !== null) ?? [];
  return values.length > 1 ? deviation(values) : null;
}

// How sure macro MCC is: known where the score is over the very tasks that the intervals are of.
function surenessOf(m, tasks, score = state.score) {
  const sure = DATA.models[m].sure?.[state.regime];
  const has = tasks.filter((t) => scoresNow()[m][t] !== null).length;
  const same = state.metric === "MCC" && score === "macro" && sure?.tasks === has && has === tasks.length;
  return same ? sure : null;
}

// A row a model with its score, rank and category means. Only averages over the same tasks are ranked.
function standings(score = state.score) {
  const scores = scoresNow();
  const tasks = tasksInScope(score);
  const columns = benchmarkCategories.map((category) => [category, tasksInScope(category)]);
  const rows = DATA.models.map((model, m) => ({
    ...model,
    m,
    score: average(scores[m], tasks, score),
    tasks: tasks.filter((t) => scores[m][t] !== null).length,
    spread: seedSpread(m, tasks, score),
    sure: surenessOf(m, tasks, score),
    categories: Object.fromEntries(
      columns.map(([category, of]) => [category, average(scores[m], of, category)]),
    ),
    rank: null,
  }));
  rows
    .filter((row) => row.tasks === tasks.length && row.score !== null)
    .sort((a, b) => b.score - a.score)
    .forEach((row, i) => {
      row.rank = i + 1;
    });
  return { rows, tasks };
}

// The ranked models first, each kind from the best: averages of fewer tasks are no competitors.
const byStanding = (a, b) => (a.rank === null) - (b.rank === null) || b.score - a.score;

// How a model stands on a task against the other models: its rank, and what is above their median.
function against(m, t) {
  const scores = scoresNow();
  const score = scores[m][t];
  const others = scores.flatMap((row, other) => (other !== m && row[t] !== null ? [row[t]] : []));
  return {
    t,
    score,
    of: others.length + 1,
    median: others.length ? quantile(others, 0.5) : null,
    difference: others.length ? score - quantile(others, 0.5) : null,
    rank: 1 + others.filter((other) => other > score).length,
  };
}

// The difference of two models over a group of tasks that both have, with its 95 % t interval, and
// how often the first is better. The tasks of each of C categories are taken for a sample; as some
// have one task, the variance s² of differences within categories is pooled over all N tasks, with
// N - C degrees of freedom. A mean over n tasks has the error s / sqrt(n), macro s sqrt(sum 1/n_c) / C.
function difference(a, b, group, everything, score = state.score) {
  const [x, y] = [scoresNow()[a], scoresNow()[b]];
  const differences = (tasks) => tasks.map((t) => x[t] - y[t]);
  const categories = byCategory(everything).map(differences);
  const freedom = everything.length - categories.length;
  // One category's spread says nothing of the others'.
  const known = categories.filter((values) => values.length > 1).length > 1;
  const squares = categories.flatMap((values) => values.map((value) => (value - mean(values)) ** 2));
  const variance = squares.reduce((sum, square) => sum + square, 0) / freedom;
  const groups = score === "macro" ? byCategory(group).map(differences) : [differences(group)];
  const value = mean(groups.map(mean));
  const error =
    Math.sqrt(variance * groups.reduce((sum, values) => sum + 1 / values.length, 0)) / groups.length;
  const half = DATA.t95[freedom - 1] * error;
  return {
    value,
    interval: known ? [value - half, value + half] : null,
    tasks: group.length,
    wins: group.filter((t) => x[t] > y[t]).length,
    ties: group.filter((t) => x[t] === y[t]).length,
  };
}

// What the tables of intervals say of two models' macro MCC, or MCC on one task, a row a question
// of the regime: what might have been other, the difference a - b, its interval, and whether the two
// are told apart.
function surenessOfPair(a, b, pairs = DATA.pairs) {
  if (state.metric !== "MCC") return [];
  return (pairs[state.regime] ?? []).flatMap(
    ([question, first, second, value, low, high, apart, tasks]) => {
      if (first === a && second === b) return [{ question, value, interval: [low, high], apart, tasks }];
      if (first === b && second === a)
        return [{ question, value: -value, interval: [-high, -low], apart, tasks }];
      return [];
    },
  );
}

// What the tables of single tasks say of one: by regime the pairs, and how sure each model's MCC is.
const pairsOnTask = (t) => DATA.alone[DATA.tasks[t].id]?.pairs ?? {};
function surenessOnTask(t, m) {
  if (state.metric !== "MCC") return [];
  return (DATA.alone[DATA.tasks[t].id]?.intervals[state.regime] ?? []).flatMap(
    ([question, model, low, high, ...ranks]) => {
      const [best, worst, group] = ranks;
      return model === m ? [{ question, interval: [low, high], ranks: [best, worst], group }] : [];
    },
  );
}

// The difference of two models over a group of tasks. Macro over the tasks that the tables of
// intervals are of has the interval that stands there.
function differenceAsInTables(a, b, group, everything, score) {
  const found = difference(a, b, group, everything, score);
  const table =
    score === "macro"
      ? surenessOfPair(a, b).find(({ question, tasks }) => question === "tasks" && tasks === group.length)
      : null;
  return table ? { ...found, interval: table.interval } : found;
}
