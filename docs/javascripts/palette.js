// The page follows the system until its reader has chosen a palette. The theme keeps the first
// palette that it shows as if it was chosen, so a choice is noted here.
const CHOSEN = "__palette_chosen";
const dark = matchMedia("(prefers-color-scheme: dark)");
let following = false;

if (!__md_get(CHOSEN)) {
  __md_set("__palette", {
    index: dark.matches ? 1 : 0, // as mkdocs.yml has them
    color: {
      media: `(prefers-color-scheme: ${dark.matches ? "dark" : "light"})`,
      scheme: dark.matches ? "slate" : "default",
      primary: "custom",
      accent: "custom",
    },
  });
}

dark.addEventListener("change", () => {
  if (__md_get(CHOSEN)) return;
  following = true;
  document.getElementById(`__palette_${dark.matches ? 1 : 0}`).click();
  following = false;
});

document.addEventListener("change", (event) => {
  if (event.target.name === "__palette" && !following) __md_set(CHOSEN, true);
});
