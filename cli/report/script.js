// Click a column's head to sort by it; again for the other direction. Without scripts the page loses only this.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th").forEach((head, column) =>
    head.addEventListener("click", () => {
      const down = head.dataset.order !== "down";
      table.querySelectorAll("th").forEach((other) => delete other.dataset.order);
      head.dataset.order = down ? "down" : "up";
      const value = (row) => row.cells[column].dataset.v;
      const order = (a, b) => (isNaN(value(a)) || isNaN(value(b)) ? value(a).localeCompare(value(b)) : value(a) - value(b));
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
    })
  );
}
