// Draws every plot from the data beside it. The page is complete without: the tables hold all.
"use strict";
const plots = [...document.querySelectorAll(".plot")];
const fine = matchMedia("(pointer: fine)").matches; // on a touch screen dragging must scroll
for (const plot of plots) {
  const { data, layout } = JSON.parse(document.getElementById(`${plot.id}-data`).textContent);
  layout.dragmode = fine ? "zoom" : false;
  Plotly.newPlot(plot, data, layout, { responsive: true, displayModeBar: false });
}
// Paper has another width than the window.
const PAPER = 680;
addEventListener("beforeprint", () => {
  for (const plot of plots) Plotly.relayout(plot, { width: PAPER, autosize: false });
});
addEventListener("afterprint", () => {
  for (const plot of plots) Plotly.relayout(plot, { width: null, autosize: true });
});
