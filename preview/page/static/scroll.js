/** The scroll position: at the end unless the user scrolled up, and kept when content above changes its height. */

const NEAR_END = 120;

const scroller = document.getElementById("scroller");
const newest = document.getElementById("newest");
let atEnd = true;
let lastTop = 0;
let target = null;

/** Apply a change to the content and keep the visible messages in place. */
export function keepPosition(change) {
  const anchor = atEnd ? null : topmost();
  const before = anchor?.getBoundingClientRect().top;
  change();
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  else if (anchor?.isConnected) scroller.scrollTop += anchor.getBoundingClientRect().top - before;
  lastTop = scroller.scrollTop;
}

function topmost() {
  const top = scroller.getBoundingClientRect().top;
  return [...scroller.querySelectorAll(".message")].find((each) => each.getBoundingClientRect().bottom > top);
}

/** Scroll to the end and stay there. */
export function scrollToEnd() {
  atEnd = true;
  keepPosition(() => {});
  updateButton();
}

/** Tell a user who scrolled up that the answer to a command or a press is below; the button jumps to it. */
export function showAnswerBelow(jump) {
  if (atEnd) return;
  target = jump;
  updateButton();
}

function updateButton() {
  if (atEnd) target = null;
  newest.hidden = atEnd;
  newest.textContent = target ? "Answered below ↓" : "Newest messages ↓";
}

/** Keep the present position, even near the end. */
export function detachFromEnd() {
  atEnd = false;
}

/** Leave the end only if the user scrolls up, not if the content grows or shrinks. */
function onScroll() {
  const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  if (left < NEAR_END) atEnd = true;
  else if (scroller.scrollTop < lastTop) atEnd = false;
  lastTop = scroller.scrollTop;
  updateButton();
}

scroller.addEventListener("scroll", onScroll, { passive: true });
const resized = new ResizeObserver(() => keepPosition(() => {}));
for (const each of [scroller, scroller.firstElementChild]) resized.observe(each);
newest.addEventListener("click", () => (target ?? scrollToEnd)());
