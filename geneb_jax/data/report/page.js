// What is drawn when. Each view is a section of the page; one of them is shown, or everything.
const VIEWS = {
  board: drawBoard,
  compare: drawCompare,
  tasks: drawTasks,
  model: drawModel,
  task: drawTask,
  cite: drawCite,
};

// What the choices of all views mean, and what of the address is not known here.
function drawHeader() {
  byId("settings-means").replaceChildren(
    h("strong", {}, regimeName(state.regime)),
    `: ${regimeMeaning(state.regime)} `,
    h("strong", {}, metricName(state.metric)),
    `: ${DATA.words[metricName(state.metric)] ?? ""} `,
    h("a", { href: address({ view: "words" }), className: "screen" }, "What the words mean"),
  );
  const lacking = unknownParts(location.hash);
  byId("unknown").hidden = !lacking.length;
  byId("unknown").textContent = lacking.length
    ? `The address asks for what this report does not have: ${lacking.join(", ")}. The rest of it is shown.`
    : "";
}

const sections = [...document.querySelectorAll("main > section")];

function render() {
  const focused = document.activeElement?.dataset?.key;
  const everything = state.view === "everything";
  for (const section of sections) {
    const choice = { model: state.model, task: state.task }[section.id];
    section.hidden = everything ? choice === "" : section.id !== state.view;
  }
  for (const tab of document.querySelectorAll("nav a")) {
    tab.href = address({ view: tab.dataset.view });
    const shownNow =
      tab.dataset.view === state.view ||
      (tab.dataset.view === "tasks" && state.view === "task") ||
      (tab.dataset.view === "board" && state.view === "model");
    if (shownNow) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    if (shownNow) tab.parentElement.scrollLeft = tab.offsetLeft - 40; // where views stand in one line
  }
  for (const choice of document.querySelectorAll("[data-state]")) {
    if (choice.value !== state[choice.dataset.state]) choice.value = state[choice.dataset.state];
  }
  drawHeader();
  if (state.view !== "cite") quotedView = state.view;
  for (const row of document.querySelectorAll("tr[data-regime]"))
    row.hidden = row.dataset.regime !== state.regime;
  for (const host of document.querySelectorAll("[data-table]"))
    host.replaceChildren(writtenTableButtons(host.dataset.table));
  for (const [view, draw] of Object.entries(VIEWS)) if (!byId(view).hidden) draw();
  const title = { model: state.model, task: DATA.tasks[indexOfTask(state.task)]?.label }[state.view];
  document.title = title ? `${title}: GENEB report` : "GENEB report";
  // What had the focus was drawn anew.
  if (focused && document.activeElement?.dataset?.key !== focused)
    document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

// Follows a link, or back and forward.
function follow() {
  const before = [state.view, state.model, state.task].join("\n");
  state = read(location.hash);
  render();
  if ([state.view, state.model, state.task].join("\n") === before) return;
  scrollTo(0, 0);
  sections.find((section) => !section.hidden)?.focus({ preventScroll: true });
}

byId("settings").append(control("regime", "Regime"), control("metric", "Metric"));
fillBoardForm();
for (const host of document.querySelectorAll("[data-figure]")) {
  // A figure's file is its image's address, behind the first comma.
  const svg = () => decodeURIComponent(host.querySelector("img").src.replace(/^[^,]*,/, ""));
  host.querySelector("figcaption").append(" ", ...imageButtons(host.dataset.figure, svg));
}
byId("print").addEventListener("click", () => print());
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the state
  byId("content").focus();
});
addEventListener("hashchange", follow);

// On paper nothing is folded away.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details.part:not([open])")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of folded) part.open = false;
});

// Charts are as wide as their column.
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  render();
});
render();
