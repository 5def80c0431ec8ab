// Tables that are sorted by a click on a heading and searched by a field.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function valueOf(row, column, isText) {
  const text = row.cells[column].dataset.value;
  return isText ? text : text === "" ? null : Number(text);
}

function sortTable(table, column, direction) {
  const isText = table.tHead.rows[0].cells[column].dataset.kind === "text";
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [valueOf(row, column, isText), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // classes without videos stay at the end
    return direction * (isText ? collator.compare(a, b) : a - b);
  });
  body.append(...rows.map(([, row]) => row));
  for (const heading of table.tHead.rows[0].cells) heading.removeAttribute("aria-sort");
  table.tHead.rows[0].cells[column].setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
}

function makeSortable(table) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    button.onclick = () => sortTable(table, column, heading.getAttribute("aria-sort") === "ascending" ? -1 : 1);
    heading.append(button);
  });
}

/** Shows the rows whose first cell has the words of the field in it. */
function makeSearchable(field, table) {
  const count = document.querySelector(`[data-count-of="${table.id}"]`);
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const name = row.cells[0].dataset.value.toLowerCase();
      row.hidden = !words.every((word) => name.includes(word));
      shown += !row.hidden;
    }
    const all = table.tBodies[0].rows.length;
    count.textContent = shown === all ? `${all.toLocaleString("en")} ${table.dataset.noun}` : `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} ${table.dataset.noun}`;
  };
  field.oninput = search;
  search();
}

document.querySelectorAll("table[id]").forEach(makeSortable);
document.querySelectorAll("[data-searches]").forEach((field) => makeSearchable(field, document.getElementById(field.dataset.searches)));
