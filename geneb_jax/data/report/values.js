"use strict";
// What the page shows, and how values are written.
const DATA = JSON.parse(document.getElementById("data").textContent);
// A row of a matrix that has no score at all is written as null.
for (const matrix of Object.values(DATA.scores).flatMap(Object.values)) {
  for (const [m, row] of matrix.entries()) matrix[m] = row ?? Array(DATA.tasks.length).fill(null);
}
const CUSTOM = "custom"; // the category of tasks that are in no average
const MISSING = "–";

const metricName = (metric) => metric.replaceAll("_", " ");
const regimeName = (regime) => regime.replace("shot", "-shot");
// What a regime is, in a sentence.
const regimeMeaning = (regime) =>
  regime === "full"
    ? DATA.words.full
    : `A probe sees ${counted(parseInt(regime, 10), "train row")} of each class; scores are means over seeds.`;
const sourceName = (model) => (model.run ? DATA.here : "paper");
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

// A rounded zero has no sign, and a minus is no hyphen.
const signs = (text) => (/^-[0.]*$/.test(text) ? text.slice(1) : text.replace("-", "−"));
const shown = (value, digits = 3) =>
  value === null || Number.isNaN(value) ? MISSING : signs(value.toFixed(digits));
const signed = (value) => (value > 0 && shown(value) !== "0.000" ? `+${shown(value)}` : shown(value));
const between = ([low, high], digits = 3) => `${shown(low, digits)} to ${shown(high, digits)}`;

function size(params) {
  if (params === null) return MISSING;
  if (params >= 1e9) return `${+(params / 1e9).toFixed(1)}B`;
  const [unit, letter] = params >= 1e6 ? [1e6, "M"] : [1e3, "K"];
  return `${+(params / unit).toFixed(params < 10 * unit ? 1 : 0)}${letter}`;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
// The spread of a sample, with n - 1; NaN below two values.
const deviation = (values) =>
  Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)];
  return low + (sorted[Math.ceil(at)] - low) * (at % 1);
}
