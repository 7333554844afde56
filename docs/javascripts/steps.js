// A drawing that is told in steps: buttons, and the arrow keys when one of them has the keyboard.
// Without this script, all steps of the drawing and all their sentences are seen.
document.addEventListener("DOMContentLoaded", () => {
  for (const figure of document.querySelectorAll(".steps")) {
    const steps = [...figure.querySelectorAll("svg .step")];
    const told = [...figure.querySelectorAll(".steps-told > li")];
    const bar = document.createElement("div");
    bar.className = "steps-bar";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Steps of the drawing");
    let at = 0;

    const button = (text, label, press) => {
      const made = bar.appendChild(document.createElement("button"));
      made.type = "button";
      made.textContent = text;
      made.setAttribute("aria-label", label);
      made.addEventListener("click", press);
      return made;
    };
    const go = (to) => {
      at = Math.max(0, Math.min(steps.length - 1, to));
      steps.forEach((step, i) => step.classList.toggle("later", i > at));
      told.forEach((each, i) => each.classList.toggle("elsewhere", i !== at));
      where.textContent = `Step ${at + 1} of ${steps.length}`;
      // Not `disabled`: a button that loses its use must not lose the keyboard.
      back.setAttribute("aria-disabled", at === 0);
      next.setAttribute("aria-disabled", at === steps.length - 1);
    };

    const back = button("◀", "Step back", () => go(at - 1));
    const where = bar.appendChild(document.createElement("span"));
    const next = button("▶", "Next step", () => go(at + 1));
    button("All", "All steps", () => go(steps.length - 1));
    bar.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      go(at + by);
    });
    const list = figure.querySelector(".steps-told");
    list.setAttribute("aria-live", "polite");
    list.before(bar);
    figure.classList.add("walked");
    go(0);
  }
});
