// HTML that a notebook has put out, in a sandbox: it runs no script and reaches nothing of ours.

export function frame(html, title) {
  const outer = document.createElement("iframe");
  outer.title = title;
  outer.src = "page/report.html"; // it says why
  outer.onload = () => (outer.contentDocument.querySelector("iframe").srcdoc = html);
  return outer;
}
