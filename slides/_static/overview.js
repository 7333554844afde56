// The key O lists all slides by their titles. (The overview of reveal.js is a row of small pictures,
// of which a screen shows five.)
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.createElement("dialog");
  dialog.className = "all-slides";
  dialog.setAttribute("aria-label", "All slides");
  const list = dialog.appendChild(document.createElement("ol"));
  for (const slide of document.querySelectorAll(".reveal .slides > section")) {
    const link = document.createElement("a");
    link.href = `#/${slide.id}`;
    const exercise = slide.querySelector(".now-you");
    link.textContent = slide.querySelector("h1, h2").textContent
      + (exercise ? `: exercise ${exercise.dataset.number}` : "");
    const item = list.appendChild(document.createElement("li"));
    item.className = slide.className.includes("title") ? "deck" : "";
    item.append(link);
  }
  dialog.addEventListener("click", (event) => { if (event.target.closest("a")) dialog.close(); });
  document.body.append(dialog);

  const toggle = () => {
    if (dialog.open) return dialog.close();
    dialog.showModal();
    dialog.querySelectorAll("a")[Reveal.getSlidePastCount()].focus();
  };
  Reveal.addKeyBinding({ keyCode: 79, key: "O", description: "All slides" }, toggle);
});
