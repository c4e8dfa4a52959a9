/** Files dropped anywhere on the page, or pasted. */

/** Pass dropped or pasted files to `take`, and show a drop target while files are dragged. */
export function acceptFiles(take) {
  let depth = 0;
  const over = (by) => {
    depth = Math.max(0, depth + by);
    document.body.classList.toggle("dropping", depth > 0);
  };
  document.addEventListener("dragenter", (event) => event.dataTransfer?.types.includes("Files") && over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    take([...(event.dataTransfer?.files ?? [])]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || event.target.closest?.("dialog")) return;
    event.preventDefault();
    take(files);
  });
}
