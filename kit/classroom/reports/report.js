"use strict";
// Sorting, and the arrow keys. Reading needs neither: messages open without a script.
(() => {
  const table = document.querySelector("table.grid");
  const body = table.tBodies[0];
  const rows = [...body.rows]; // as they came: by name

  const value = (row, key) =>
    key === "points" ? -Number(row.dataset.points) : Number(row.cells[Number(key)].dataset.rank);

  function sort(button) {
    const header = button.closest("th");
    const again = header.getAttribute("aria-sort") === "ascending";
    const key = button.dataset.sort;
    const order = rows.map((row, place) => [key === "name" ? place : value(row, key), place, row]);
    order.sort((a, b) => (again ? b[0] - a[0] : a[0] - b[0]) || a[1] - b[1]);
    table.querySelectorAll("[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", again ? "descending" : "ascending");
    body.append(...order.map(([, , row]) => row));
  }

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-sort]");
    if (button) sort(button);
  });

  // From one message to the next one in that direction.
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  body.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const cell = event.target.closest("td");
    if (!step || !cell || !event.target.matches("button.tile")) return;
    event.preventDefault();
    let row = cell.parentElement.sectionRowIndex + step[0];
    let column = cell.cellIndex + step[1];
    for (; body.rows[row]?.cells[column]; row += step[0], column += step[1]) {
      const tile = body.rows[row].cells[column].querySelector("button.tile");
      if (tile) {
        tile.focus();
        tile.scrollIntoView({ block: "nearest", inline: "nearest" });
        return;
      }
    }
  });
})();
