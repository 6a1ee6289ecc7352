"use strict";
// Without this script the page is whole, and its tables stay in the order in which they are.
(() => {
  const heard = document.getElementById("heard");

  const value = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };

  const missing = (x) => x === "" || Number.isNaN(x);

  // numbers before texts, and what is missing last whatever the order
  const compare = (a, b, sign) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    if (typeof a !== typeof b) return sign * (typeof a === "number" ? -1 : 1);
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };

  const sort = (heading) => {
    const table = heading.closest("table");
    const column = heading.cellIndex;
    const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of heading.parentElement.cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    heading.setAttribute("aria-sort", order);
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort((a, b) => compare(a[0], b[0], order === "ascending" ? 1 : -1));
    body.append(...rows.map((pair) => pair[1]));
    heard.textContent = `sorted by ${heading.textContent.trim()}, ${order}`;
  };

  for (const button of document.querySelectorAll("th > button")) {
    button.disabled = false;
    button.addEventListener("click", () => sort(button.parentElement));
  }

  // what is folded is printed, too
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of folded) each.open = false;
  });
})();
