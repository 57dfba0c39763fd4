// What the style sheet alone cannot do.

const LONG = 30; // letters of an entry beyond which a table is one of words
const MOST_COLUMNS = 5;

document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".bd-article table")) {
    const names = [...table.querySelectorAll("thead th")].map((n) => n.textContent.trim());
    const cells = [...table.querySelectorAll("tbody td")];
    const words = cells.some((cell) => cell.textContent.trim().length > LONG);
    if (!words || names.length < 2 || names.length > MOST_COLUMNS) continue;
    // on a narrow screen each row becomes a block, and each entry says what it is
    table.classList.add("of-words");
    for (const cell of cells) {
      const name = names[cell.cellIndex];
      if (!cell.textContent.trim()) cell.classList.add("blank");
      else if (name) cell.dataset.column = name;
    }
  }
  // pictures of many panels in full
  for (const picture of document.querySelectorAll("img.sphx-glr-single-img")) {
    picture.addEventListener("click", () => window.open(picture.src, "_self"));
  }
});
