/** The place in the channel: at its end, unless somebody scrolled up; kept while things above change their height. */

const NEAR_END = 120;

const scroller = document.getElementById("scroller");
const newest = document.getElementById("newest");
let atEnd = true;
let lastTop = 0;

/** Make a change to what is shown, without what one looks at moving away. */
export function inPlace(change) {
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

/** Go to the end and stay there. */
export function toEnd() {
  atEnd = true;
  inPlace(() => {});
}

/** Stay where one is, even if that is near the end. */
export function leaveEnd() {
  atEnd = false;
}

/** Content that grows or shrinks is no scrolling: only who scrolls up leaves the end. */
function onScroll() {
  const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  if (left < NEAR_END) atEnd = true;
  else if (scroller.scrollTop < lastTop) atEnd = false;
  lastTop = scroller.scrollTop;
  newest.hidden = atEnd;
}

scroller.addEventListener("scroll", onScroll, { passive: true });
for (const each of [scroller, scroller.firstElementChild]) new ResizeObserver(() => inPlace(() => {})).observe(each);
newest.addEventListener("click", toEnd);
