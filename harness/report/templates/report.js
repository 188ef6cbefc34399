"use strict";
// Tables sort by a click or a key on a column's heading. Without this script they are whole, in the order written.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[table.tHead.rows.length - 1].cells);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      const body = table.tBodies[0];
      const rows = Array.from(body.rows, (row) => {
        const cell = row.cells[column];
        const value = cell.dataset.value;
        return { row, text: cell.textContent, number: value === undefined || value === "" ? null : Number(value) };
      });
      const numeric = head.dataset.numeric !== undefined;
      rows.sort((a, b) => {
        if (!numeric) return sign * a.text.localeCompare(b.text, "en", { numeric: true });
        if (a.number === null || b.number === null) return (a.number === null) - (b.number === null);
        return sign * (a.number - b.number);
      });
      body.append(...rows.map((entry) => entry.row));
    });
  });
}
for (const hint of document.querySelectorAll(".with-script")) hint.hidden = false;
