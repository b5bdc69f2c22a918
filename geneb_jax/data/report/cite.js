// What to write where a number of this page is quoted.
function sentence() {
  const tasks = tasksInScope();
  const paper = "GENEB (Ledneva et al., 2026)";
  const scores = scoresNow();
  const published = DATA.models.some(
    (model, m) => !model.run && tasks.some((t) => scores[m][t] !== null),
  );
  const averaged = state.score === "macro" ? "the mean of the category means" : "the mean over tasks";
  const over = benchmarkCategories.includes(state.score) ? ` of the category ${state.score}` : "";
  const own = customAlone ? tasksInScope(CUSTOM).length : 0;
  // Tasks of an average that the benchmark does not have are generated.
  const generated = tasks.length > 0 && tasks.every((t) => DATA.tasks[t].suite === null);
  const where = generated ? `, generated in place of those of ${paper}` : ` of ${paper}`;
  const what = tasks.length
    ? `, ${averaged} over ${counted(tasks.length, "task")}${over}${where}`
    : ` on each of ${counted(own, "custom task")}, which are none of ${paper} but follow its protocol and are not averaged`;
  const limit = runModels.length ? DATA.method.max_train : 0; // null: not known
  const ofRun = `at most ${counted(limit ?? 0, "train row")} of a task`;
  const unknown = limit === null ? ` (of ${DATA.here} it is not known how many)` : "";
  const all = !limit ? `all train rows${unknown}` : published ? `all train rows (of ${DATA.here} ${ofRun})` : ofRun;
  const drawn = limit ? ` (of ${DATA.here} out of ${ofRun})` : "";
  const shots =
    state.regime === "full"
      ? all
      : `${parseInt(state.regime, 10)} train rows of each class${drawn}, mean over seeds`;
  if (!tasks.length && !own)
    return `This view has no scores: no task${over} has ${metricName(state.metric)} in ${regimeName(state.regime)} of all models of ${DATA.here}.`;
  return (
    `Scores are ${metricName(state.metric)}${what}, ` +
    `of ${DATA.method.probe} on frozen embeddings with ${shots}. ${[published ? DATA.method.paper : "", runModels.length ? `${published ? "Other scores" : "They"} were ${DATA.method.run}` : ""].filter(Boolean).join(" ")}`
  );
}

function copyButton(key, words) {
  const copy = button("Copy", `copy ${key}`, async () => {
    await navigator.clipboard.writeText(words);
    copy.textContent = "Copied";
  });
  return copy;
}

// The view whose numbers are quoted: the last one that was not this page.
let quotedView = DEFAULTS.view;

function drawCite() {
  const how = sentence();
  const rest = address({ view: DEFAULTS.view }).slice(1);
  byId("cite-body").replaceChildren(
    h("h3", {}, "How the numbers of this view were made"),
    h("blockquote", { id: "cite-sentence" }, how),
    copyButton("sentence", how),
    h("h3", {}, "BibTeX"),
    h("pre", { id: "cite-bibtex", tabIndex: 0 }, DATA.bibtex),
    copyButton("bibtex", DATA.bibtex),
    " ",
    button("Save .bib", "save bib", () =>
      save("geneb.bib", new Blob([DATA.bibtex], { type: "text/x-bibtex" })),
    ),
    h("h3", {}, "A link to this view"),
    h(
      "p",
      { className: "note" },
      "The address of the page holds what is shown: regime, metric, score, filters, columns, order and chosen models. ",
      "A copy of the file opens to the same view with the same letters after its #; docs/running.md lists them.",
    ),
    h("code", { id: "cite-link" }, `#view=${quotedView}${rest && `&${rest}`}`),
  );
}
