// The charts of the page, and the boxes that show and hide runs.

const data = JSON.parse(document.getElementById("data").textContent);
const charts = data.charts.filter(({ lines }) => lines.length > 0).map((chart) => new Chart(chart, data.runs));
document.getElementById("charts").append(...charts.map((chart) => chart.place));

document.getElementById("runs")?.append(...data.runs.map((name, run) => {
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", checked: true });
  box.onchange = () => {
    for (const chart of charts) {
      if (box.checked) chart.hidden.delete(run);
      else chart.hidden.add(run);
      chart.draw();
    }
  };
  const key = html("i", "key");
  key.style.background = COLOURS[run % COLOURS.length];
  return html("label", "", box, html("span", "", key, name));
}));
