// On a phone, a tap makes a drawing as large as its words need, in the page and in its palette;
// the next tap shows it whole again. On a wider page its link opens the file beside the page.
document.addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll("p.drawing > a")) {
    link.addEventListener("click", (event) => {
      if (!matchMedia("(max-width: 44em)").matches) return;
      event.preventDefault();
      link.parentElement.classList.toggle("large");
    });
  }
});
